package main

import (
	"math"
	"strings"
	"testing"
)

// TestFigures: figures have the digits that the number of clips leaves them.
func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{percent(93.45794392523365, 107), "93"},
		{percent(100, 107), "100"},
		{percent(0, 20), "0"},
		{percent(97.73006134969325, 4890), "97.7"},
		{percent(99.98, 100_000), "99.980"},
		{percent(50, 4), "50"},
		{percent(math.NaN(), 4), "-"},
		{share(1, 1), "1.0"},
		{share(2.0/3, 12), "0.7"},
		{share(0.975, 408), "0.975"},
		{share(0.9, 100), "0.90"},
		{share(0, 0), "-"},
		{nats(0.2345678, 107), "0.23"},
		{nats(0.0123456, 4890), "0.0123"},
		{nats(2.3456789, 10), "2.3"},
		{nats(math.Inf(1), 10), "-"},
		{perHour(3.0/1.5, 1.5), "2.0"}, {perHour(5, 1), "5"},
		{perHour(0, 0.1), "0"},
		{perHour(7.0/24, 24), "0.29"},
		{metric(map[string]float64{"valid_accuracy": 93.4579, "valid_clips": 107}, "valid_accuracy"), "93"},
		{metric(map[string]float64{"valid_context_nll": 0.5123, "valid_clips": 107}, "valid_context_nll"), "0.51"},
		{metric(map[string]float64{"test_accuracy": 93.4579}, "test_accuracy"), "93.5"},
		{metric(map[string]float64{"test_clips": 11005}, "test_clips"), "11005"},
		{metric(map[string]float64{"test_context_snr": 20}, "test_context_snr"), "20"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// TestTable: columns are as wide as what a terminal shows in them.
func TestTable(t *testing.T) {
	for _, c := range []struct {
		columns string
		rows    []string // cells between bars
		want    []string
	}{
		{"lr", []string{"label|clips", "left|5", "stop it|120"}, []string{
			"label    clips",
			"left         5",
			"stop it    120",
		}},
		{"lr", []string{"truth|左|да", "左|1|22", "да|3|4", "e\u0301|5|6"}, []string{
			"truth  左  да",
			"左      1  22",
			"да      3   4",
			"e\u0301       5   6",
		}},
		{"ldr", []string{"x|share|n", "a|0.9|1", "b|0.95|10", "c|-|3"}, []string{
			"x  share   n",
			"a   0.9    1",
			"b   0.95  10",
			"c   -      3",
		}},
		{"rl", []string{"1|the model's own", "22|", "3|chosen"}, []string{
			" 1  the model's own",
			"22",
			" 3  chosen",
		}},
	} {
		table := table{columns: c.columns}
		for _, row := range c.rows {
			table.row(strings.Split(row, "|")...)
		}
		var got strings.Builder
		if err := table.write(&got); err != nil {
			t.Fatal(err)
		}
		if want := strings.Join(c.want, "\n") + "\n"; got.String() != want {
			t.Errorf("%s\nwant\n%s", got.String(), want)
		}
	}
}
