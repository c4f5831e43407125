package compress

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/bounds"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// limited returns a random model whose features have a limit, and random clips.
func limited(c polynet.Config) (*polynet.Model, Data) {
	rng := nettest.Rand(3)
	m := nettest.RandomModel(c, rng)
	m.Norm.Limit = 2
	d := Data{Device: device.Ref(), Clips: 20, Frames: 30}
	for i, v := range nettest.Normals(rng, d.Clips*d.Frames*c.Inputs) {
		d.Rows = append(d.Rows, m.Norm.Mean[i%c.Inputs]+2*v*m.Norm.Std[i%c.Inputs])
	}
	return m, d
}

// plant makes units of the first block's conv1 removable: 1 is always below 0, nothing reads 2, and 5 is the sum of 0
// and 3, which are always above 0.
func plant(m *polynet.Model) {
	const part = "stages.0.0."
	set := func(name string, unit int, v float32) { values(m.Weights, part+"norm1."+name)[unit] = v }
	for unit, bias := range map[int]float32{0: 100, 3: 100, 5: 200} {
		set("weight", unit, 1)
		set("running_var", unit, 1)
		set("running_mean", unit, 0)
		set("bias", unit, bias)
	}
	set("bias", 1, -500)
	first, second := values(m.Weights, part+"conv1.weight"), values(m.Weights, part+"conv2.weight")
	width := m.Net.Stages[0].Width
	for k := 0; k < len(first); k += width {
		first[k+5] = first[k] + first[k+3]
	}
	for k := range second {
		if k/width%width == 2 {
			second[k] = 0
		}
	}
}

// TestExactRemovesWhatIsProved plants removable units and checks that they go, and that the model stays equivalent.
func TestExactRemovesWhatIsProved(t *testing.T) {
	for kind, want := range map[polynet.BlockKind]struct {
		left   int
		reason string
	}{
		polynet.ReLU:      {5, "1 are 0, 1 are not read, 1 are combinations of others"},
		polynet.Pi1x1ReLU: {5, "1 are 0, 1 are not read, 1 are combinations of others"},
		polynet.Pi:        {6, "0 are 0, 1 are not read, 1 are combinations of others"},
	} {
		m, d := limited(nettest.Tiny(kind))
		plant(m)
		e := &Exact{Method: bounds.Method{Depth: 1}, Points: 300}
		if kind == polynet.ReLU {
			e.Points = 10000
		}
		n, report, err := e.Apply(t.Context(), m, d)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		line := fmt.Sprintf("stages.0.0.conv1: %d of 8 units stay; %s", want.left, want.reason)
		if len(n.Net.Inner) != 3 || n.Net.Inner[0][0] != want.left || report.Lines[0] != line {
			t.Errorf("%s: inner widths %v, %q, want %q", kind, n.Net.Inner, report.Lines, line)
		}
		for clip := range d.Clips {
			rows := d.Rows[clip*d.Frames*m.Net.Inputs : (clip+1)*d.Frames*m.Net.Inputs]
			before, after := nettest.Logits(m, rows), nettest.Logits(n, rows)
			for k, v := range before {
				if math.Abs(v-after[k]) > 1e-4*max(1, math.Abs(v)) {
					t.Errorf("%s: logit %d of clip %d is %g, was %g", kind, k, clip, after[k], v)
				}
			}
		}
	}
}

// TestExactLeavesOthers applies the pass to random networks: none of their units is removable.
func TestExactLeavesOthers(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		m, d := limited(nettest.Tiny(kind))
		n, report, err := (&Exact{Points: 32}).Apply(t.Context(), m, d)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if n.Net.Inner != nil || strings.Contains(report.Done, "removed") && !strings.HasPrefix(report.Done, "0 of ") {
			t.Errorf("%s: %s", kind, report.Done)
		}
	}
}

// TestExactAroundAClip removes more units where fewer inputs are possible, and needs no limit then.
func TestExactAroundAClip(t *testing.T) {
	m, d := limited(nettest.Tiny(polynet.ReLU))
	for unit, v := range values(m.Weights, "stages.0.0.norm1.bias") {
		values(m.Weights, "stages.0.0.norm1.bias")[unit] = v - 2
	}
	m.Norm.Limit = 0
	if _, _, err := (&Exact{}).Apply(t.Context(), m, d); !errors.Is(err, ErrImpossible) {
		t.Errorf("without a limit: %v", err)
	}
	left := math.MaxInt
	for _, radius := range []float64{100, 0.01} {
		e := &Exact{Around: d.Rows[:d.Frames*m.Net.Inputs], Radius: radius, Points: 500, Method: bounds.Method{Depth: 1}}
		n, report, err := e.Apply(t.Context(), m, d)
		if err != nil {
			t.Fatal(err)
		}
		p, units := n.Net.Program(), 0
		for _, s := range p.Steps {
			units += s.Width
		}
		if units >= left || !strings.Contains(report.Done, "of one clip's features") {
			t.Errorf("within %g dB: %d channels, before %d; %s", radius, units, left, report.Done)
		}
		left = units
	}
}

// TestExactIsChecked compares a model with another one that it is not equivalent to.
func TestExactIsChecked(t *testing.T) {
	m, d := limited(nettest.Tiny(polynet.Pi))
	other, _ := limited(nettest.Tiny(polynet.Pi))
	values(other.Weights, "head.bias")[1] += 0.5
	w := &exactWork{Exact: &Exact{Points: 10}, channels: channelsOf(m.Net), model: m}
	if _, err := w.compare(t.Context(), other, d); !errors.Is(err, ErrImpossible) {
		t.Errorf("a logit that is 0.5 off: %v", err)
	}
}
