package compress

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// rowNet returns a network that looks at several rows in its stem alone.
func rowNet(inputs, stem, stage, stride int) polynet.Config {
	return polynet.Config{
		Inputs: inputs, Classes: 3, Block: polynet.ReLU, Stem: polynet.Stem{Width: stem, Kernel: 3, Ahead: 1, Stride: 2},
		Stages: []polynet.Stage{{Width: stage, Blocks: 1, Kernel: 1, Stride: stride}},
	}
}

// uneven makes units that are active for a part of the inputs.
func uneven(m *polynet.Model) {
	for name := range m.Weights {
		if strings.HasSuffix(name, "norm.bias") || strings.HasSuffix(name, "norm1.bias") {
			for i, v := range nettest.Normals(nettest.Rand(uint64(len(name))), len(values(m.Weights, name))) {
				values(m.Weights, name)[i] = v / 2
			}
		}
	}
}

// lineWith returns the line of a report with a text.
func lineWith(r Report, text string) string {
	for _, line := range r.Lines {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}

// TestShallow approximates small networks, of rows of clips and of a stride within the block, and checks the result as
// a model of its own: exact at nearly all random windows and clips, and the more, the steeper.
func TestShallow(t *testing.T) {
	for name, c := range map[string]polynet.Config{
		"wide": rowNet(6, 4, 5, 2), "narrow": rowNet(2, 5, 3, 1), "one": rowNet(3, 3, 3, 1),
	} {
		m, d := limited(c)
		uneven(m)
		s := &Shallow{Steepness: 1000, Most: 1000, Points: 600}
		n, report, err := s.Apply(t.Context(), m, d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var shares []float64
		for _, steepness := range []string{"10", "100", "1000"} {
			var share, mean float64
			line := lineWith(report, "steepness "+steepness+":")
			format := "steepness " + steepness + ": %f %% of 600 random windows exact to 0.0001, mean difference %g,"
			if _, err := fmt.Sscanf(line, format, &share, &mean); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			shares = append(shares, share)
		}
		if shares[2] < 99 || shares[0] > shares[1] || shares[1] > shares[2] {
			t.Errorf("%s: shares %v\n%s", name, shares, strings.Join(report.Lines, "\n"))
		}
		var patterns, units, first, second int
		fmt.Sscanf(report.Done, "%d patterns of %d units a row, all that are possible: two hidden layers of %d and %d units",
			&patterns, &units, &first, &second)
		if patterns < 8 || units != c.Stem.Width+2*c.Stages[0].Width || n.Net.Stem.Width != first ||
			n.Net.Stages[0].Width != second || second != 6*patterns {
			t.Errorf("%s: %s, network %+v", name, report.Done, n.Net)
		}
		exact := 0
		for clip := range d.Clips {
			rows := d.Rows[clip*d.Frames*m.Net.Inputs : (clip+1)*d.Frames*m.Net.Inputs]
			before, after := nettest.Logits(m, rows), nettest.Logits(n, rows)
			worst := 0.0
			for k, v := range before {
				worst = max(worst, math.Abs(v-after[k]))
			}
			if worst < 1e-4 {
				exact++
			}
		}
		if exact < d.Clips-1 {
			t.Errorf("%s: %d of %d clips exact\n%s", name, exact, d.Clips, strings.Join(report.Lines, "\n"))
		}
	}
}

// TestShallowOfClips takes the patterns of clips alone: exact for them where there is room for all, and otherwise for
// the most frequent ones.
func TestShallowOfClips(t *testing.T) {
	m, d := limited(rowNet(6, 9, 8, 1))
	d.Clips, d.Rows = 8, d.Rows[:8*d.Frames*6]
	uneven(m)
	if _, _, err := (&Shallow{Steepness: 1000, Most: 50}).Apply(t.Context(), m, d); !errors.Is(err, ErrImpossible) ||
		!strings.Contains(err.Error(), "its 25 units a row have more than 50 patterns") {
		t.Errorf("too many patterns: %v", err)
	}
	s := &Shallow{Steepness: 1000, Clips: true, Most: 1000}
	_, report, err := s.Apply(t.Context(), m, d)
	if err != nil {
		t.Fatal(err)
	}
	var share float64
	line := lineWith(report, "as a network")
	if fmt.Sscanf(line, "as a network in float32: %f %%", &share); share < 90 || lineWith(report, "0.0 % of the") == "" {
		t.Errorf("all patterns of the clips: %s", strings.Join(report.Lines, "\n"))
	}
	s.Most = 20
	if _, report, err = s.Apply(t.Context(), m, d); err != nil || lineWith(report, "0.0 % of the") != "" ||
		!strings.HasPrefix(report.Done, "20 patterns of 25 units a row, those of the calibration clips") {
		t.Errorf("20 patterns: %v, %s\n%s", err, report.Done, strings.Join(report.Lines, "\n"))
	}
}

// TestShallowForms refuses networks that the construction is not about, and approximates a linear one by one pattern.
func TestShallowForms(t *testing.T) {
	s := &Shallow{Steepness: 1000, Most: 1000, Points: 10}
	for says, c := range map[string]polynet.Config{
		"products":   nettest.Tiny(polynet.Pi),
		"looks at 3": nettest.Tiny(polynet.ReLU),
	} {
		m, d := limited(c)
		if _, _, err := s.Apply(t.Context(), m, d); !errors.Is(err, ErrImpossible) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	m, d := limited(rowNet(2, 3, 2, 1))
	m.Norm.Limit = 0
	if _, _, err := s.Apply(t.Context(), m, d); !errors.Is(err, ErrImpossible) {
		t.Errorf("no limit: %v", err)
	}
	c := rowNet(2, 3, 2, 1)
	c.Block = polynet.Linear
	m, d = limited(c)
	n, report, err := s.Apply(t.Context(), m, d)
	if err != nil || !strings.HasPrefix(report.Done, "1 patterns of 0 units") || n.Net.Stages[0].Width != 6 ||
		lineWith(report, "100.00 % of 20 clips") == "" {
		t.Errorf("linear: %v, %+v", err, report)
	}
}
