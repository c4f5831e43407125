package compress

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/bounds"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/need"
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
	around := d.Rows[:d.Frames*m.Net.Inputs]
	for i, v := range around { // no sound's features are lower
		around[i] = max(v, float32(math.Log(m.Features.Floor)))
	}
	left := math.MaxInt
	for _, radius := range []float64{100, 0.01} {
		e := &Exact{Around: around, Radius: radius, Points: 500, Method: bounds.Method{Depth: 1}}
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
		if lines := strings.Join(report.Lines, "\n"); strings.Contains(lines, "within the limit") ||
			!strings.Contains(lines, "the same answers on the clip and at 500 random points") {
			t.Errorf("within %g dB: %q", radius, report.Lines)
		}
		left = units
	}
	m.Norm.Limit = 3
	_, everywhere, err := (&Exact{Points: 50, Method: bounds.Method{Depth: 1}}).Apply(t.Context(), m, d)
	if err != nil {
		t.Fatal(err)
	}
	e := &Exact{Around: around, Radius: 0.01, Points: 50, Method: bounds.Method{Depth: 1}}
	_, report, err := e.Apply(t.Context(), m, d)
	want := fmt.Sprintf("bounds alone prove it of %d units (%.1f %%)", everywhere.Units.Removed,
		100*float64(everywhere.Units.Removed)/float64(everywhere.Units.All))
	if err != nil || report.Units.Removed <= everywhere.Units.Removed ||
		!strings.Contains(strings.Join(report.Lines, "\n"), want) {
		t.Errorf("around the clip %+v, everywhere %+v, %v: %q does not say %q", report.Units, everywhere.Units, err,
			report.Lines, want)
	}
}

// TestExactIsChecked compares a model with another one that it is not equivalent to.
func TestExactIsChecked(t *testing.T) {
	m, d := limited(nettest.Tiny(polynet.Pi))
	other, _ := limited(nettest.Tiny(polynet.Pi))
	values(other.Weights, "head.bias")[1] += 0.5
	w := &exactWork{Exact: &Exact{Points: 10}, channels: channelsOf(m.Net), model: m, frames: d.Frames}
	if _, err := w.compare(t.Context(), other, d); !errors.Is(err, ErrImpossible) {
		t.Errorf("a logit that is 0.5 off: %v", err)
	}
}

// absolute returns a model of one feature within ±1, of which the stem makes max(x, 0) and max(−x, 0) and conv1
// |x| − 1.5, which intervals do not know to be negative, |x| − 0.5, and −x − 2.
func absolute() (*polynet.Model, Data) {
	m := nettest.RandomModel(polynet.Config{
		Inputs: 1, Classes: 2, Block: polynet.ReLU, Stem: polynet.Stem{Width: 2, Kernel: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: 3, Blocks: 1, Kernel: 1, Stride: 1}}, Inner: [][]int{{3}},
	}, nettest.Rand(5))
	m.Norm.Limit, m.Norm.Mean, m.Norm.Std = 1, []float32{0}, []float32{1}
	set := func(part, norm string, biases []float32, weight []float32) {
		copy(values(m.Weights, part+".weight"), weight)
		copy(values(m.Weights, norm+".bias"), biases)
		for i := range biases {
			values(m.Weights, norm+".weight")[i] = 1
			values(m.Weights, norm+".running_mean")[i] = 0
			values(m.Weights, norm+".running_var")[i] = 1 - polynet.NormEpsilon
		}
	}
	set("stem.conv", "stem.norm", []float32{0, 0}, []float32{1, -1})
	set("stages.0.0.conv1", "stages.0.0.norm1", []float32{-1.5, -0.5, -2}, []float32{1, 1, -1, 1, 1, 1})
	set("stages.0.0.conv2", "stages.0.0.norm2", []float32{1, 1, 1},
		[]float32{0.3, -0.1, 0.2, 0.1, 0.2, 0.3, -0.2, 0.1, -0.3})
	set("stages.0.0.skip.conv", "stages.0.0.skip.norm", []float32{1, 1, 1}, []float32{0.1, 0.2, 0.1, 0.3, 0.1, -0.1})
	d := Data{Device: device.Ref(), Clips: 9, Frames: 4}
	for i := range d.Clips * d.Frames {
		d.Rows = append(d.Rows, float32(i)/18-1)
	}
	return m, d
}

// TestExactAsksSolvers removes a unit that intervals leave open, where a solver is installed; where none is, or one
// that fails, the unit stays and the report says so.
func TestExactAsksSolvers(t *testing.T) {
	path := os.Getenv("PATH")
	for name, c := range map[string]struct {
		tool, script string
		limit        time.Duration
		left         int
		says         string
	}{
		"cbc": {tool: "cbc", limit: time.Minute, left: 1, says: "of 1 units that bounds leave open and the clips " +
			"show on one side of 0 alone, mixed-integer programs (cbc) prove 1, refute 0 and leave 0 open; 0 depend on " +
			"too many values"},
		"glpsol": {tool: "glpsol", limit: time.Minute, left: 1, says: "mixed-integer programs (glpsol) prove 1, refute 0"},
		"none": {limit: time.Minute, left: 2, says: "stay: no solver of mixed-integer programs is installed (cbc or " +
			"glpsol)"},
		"broken":   {script: "exit 7", limit: time.Minute, left: 2, says: "gave no answer: cbc: exit status 7"},
		"no limit": {tool: "cbc", left: 2},
	} {
		folder := t.TempDir()
		t.Setenv("PATH", path)
		if c.tool != "" {
			if err := os.Symlink(need.Tool(t, c.tool), filepath.Join(folder, c.tool)); err != nil {
				need.Host(t, "symbolic links", err)
			}
		}
		if c.script != "" {
			if err := os.WriteFile(filepath.Join(folder, "cbc"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", folder)
		m, d := absolute()
		n, report, err := (&Exact{Points: 50, Integer: c.limit}).Apply(t.Context(), m, d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := n.Net.Inner[0][0]; got != c.left {
			t.Errorf("%s: %d units stay, want %d: %q", name, got, c.left, report.Lines)
		}
		if !strings.Contains(strings.Join(report.Lines, "\n"), c.says) {
			t.Errorf("%s: %q does not say %q", name, report.Lines, c.says)
		}
	}
}

// TestExactComparesAllClips finds a difference in a clip that the calibration has not.
func TestExactComparesAllClips(t *testing.T) {
	m, d := absolute()
	counted := 0
	d.Every = func(yield func([]float32, error) bool) {
		for range 3 {
			counted += 2
			if !yield(make([]float32, 2*d.Frames), nil) {
				return
			}
		}
	}
	_, report, err := (&Exact{Points: 20}).Apply(t.Context(), m, d)
	want := "the same answers on 6 clips and at 20 random points"
	if err != nil || counted != 6 || !strings.Contains(strings.Join(report.Lines, "\n"), want) {
		t.Errorf("%v, %q, %d clips", err, report.Lines, counted)
	}
	broken := errors.New("broken")
	d.Every = func(yield func([]float32, error) bool) { yield(nil, broken) }
	if _, _, err := (&Exact{Points: 20}).Apply(t.Context(), m, d); !errors.Is(err, broken) {
		t.Errorf("an unreadable clip gives %v", err)
	}
}
