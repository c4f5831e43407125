package report

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

func TestRoundTicks(t *testing.T) {
	for _, c := range []struct {
		least, most float64
		want        string
	}{
		{0, 100, "0 20 40 60 80 100"},
		{0, 1, "0 0.2 0.4 0.6 0.8 1"},
		{-1, 1, "-1 -0.5 0 0.5 1"},
		{0.15, 2.5, "0.5 1 1.5 2 2.5"},
		{1, 40, "5 10 15 20 25 30 35 40"},
		{0, 789, "0 100 200 300 400 500 600 700"},
		{3, 3, ""},
	} {
		var names []string
		for _, tick := range roundTicks(c.least, c.most) {
			names = append(names, tick.Label)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%g to %g: %s, want %s", c.least, c.most, got, c.want)
		}
	}
}

func TestShortTexts(t *testing.T) {
	for n, want := range map[int]string{0: "0", 9999: "9999", 10000: "10k", 123456: "123k", 999500: "1000k"} {
		if got := shortCount(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for label, want := range map[string]string{
		"left":                  "left",
		strings.Repeat("ä", 20): strings.Repeat("ä", 20),
		strings.Repeat("ä", 21): strings.Repeat("ä", 19) + "…",
		"a\uffffb":              "a\ufffdb", hostile: `</style><script>doc…`,
	} {
		if got := chartLabel(label); got != want {
			t.Errorf("%q: %q, want %q", label, got, want)
		}
	}
}

func TestProbit(t *testing.T) {
	for x, want := range map[float64]float64{leastRate: 0, mostRate: 1, 0: 0, 100: 1, 50: 0.66672} {
		if got := (probit{}).Normalize(leastRate, mostRate, x); !near(got, want) {
			t.Errorf("%g %%: %g, want %g", x, got, want)
		}
	}
}

// TestManyLabels has more labels than a matrix may have, and a history of one epoch without a validation loss.
func TestManyLabels(t *testing.T) {
	in := testInput(t)
	c := nettest.Tiny(polynet.Linear)
	c.Classes = maxMatrix + 1
	in.Model, in.Raw = nettest.RandomModel(c, nettest.Rand(1)), calibrate.Logits{Classes: c.Classes}
	for range in.Names {
		in.Raw.Add(nettest.Normals(nettest.Rand(2), c.Classes), []int{0})
	}
	n, err := training.NewInputGradient(in.Model, device.Ref())
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	in.Network, in.Worst, in.History = n, 1, []training.Epoch{{Epoch: 1, Loss: 2, ValidNLL: math.NaN()}}
	dir, page := written(t, in)
	if !strings.Contains(page, "too many labels for a matrix") || strings.Count(page, "<picture>") != 5 {
		t.Errorf("%d pictures", strings.Count(page, "<picture>"))
	}
	if names := listing(t, dir); slices.Contains(names, "confusion.csv") || !slices.Contains(names, "learning.svg") {
		t.Errorf("files %v", names)
	}
	if rows, err := os.ReadFile(filepath.Join(dir, "labels.csv")); strings.Count(string(rows), "\n") != c.Classes+1 {
		t.Errorf("labels.csv has %d lines, error %v", strings.Count(string(rows), "\n"), err)
	}
}
