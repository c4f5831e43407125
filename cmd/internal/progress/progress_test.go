package progress

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestNoTerminal: a line is written after a while, and not before.
func TestNoTerminal(t *testing.T) {
	for _, c := range []struct {
		total, done int
		after       time.Duration
		want        string
	}{
		{40, 10, 30 * time.Second, "train: 10 of 40, 25 %, 1m30s left  clips\n"},
		{2000, 1999, time.Hour, "train: 1999 of 2000, 99 %, 2s left  clips\n"},
		{3, 0, time.Minute, "train: 0 of 3, 0 %  clips\n"},
		{40, 10, period / 2, ""},
		{40, 40, time.Hour, ""}, // the end speaks for itself
		{40, 50, time.Hour, ""},
	} {
		var out bytes.Buffer
		b := New(&out, c.total, "train")
		b.begun = b.begun.Add(-c.after)
		b.description = "clips"
		for range 3 {
			b.Set(c.done)
			b.Describe("clips")
			b.Clear()
		}
		if out.String() != c.want {
			t.Errorf("%d of %d after %v: %q, want %q", c.done, c.total, c.after, &out, c.want)
		}
		b.shown = b.shown.Add(-period)
		b.Add(0)
		if n := strings.Count(out.String(), "\n"); c.want != "" && n != 2 {
			t.Errorf("%d lines after another period", n)
		}
	}
	var none *Bar
	none.Add(1)
	none.Set(1)
	none.Describe("text")
	none.Clear()
}
