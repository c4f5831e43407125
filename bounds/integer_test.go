package bounds

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/polyphon/polyphon/internal/milp"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// dense returns a network of dense layers of a row: each has (in, out) weights and biases and, but for the last one, a
// ReLU.
func dense(layers ...[2][]float32) (*polynet.Program, polynet.Weights) {
	p, w := &polynet.Program{}, polynet.Weights{}
	for i, l := range layers {
		width := len(l[1])
		s := polynet.Step{
			Op: polynet.OpConv, Name: fmt.Sprint(i), X: polynet.Tensor(i + 1), Width: width, In: len(l[0]) / width, Kernel: 1,
			Stride: 1, Weight: fmt.Sprintf("w%d", i), Bias: fmt.Sprintf("b%d", i), ReLU: i+1 < len(layers),
		}
		if i == 0 {
			p.Inputs = s.In
		}
		p.Steps = append(p.Steps, s)
		w[s.Weight] = tensor.New(tensor.WithShape(1, s.In, width), tensor.WithBacking(l[0]))
		w[s.Bias] = tensor.New(tensor.WithShape(width), tensor.WithBacking(l[1]))
	}
	return p, w
}

// correlated is a network whose first layer has max(x, 0) and max(−x, 0), of which intervals do not know that their sum
// is |x|. Its second layer has |x| − 1.5, 1.5 − |x|, |x| − 0.75 and −|x| − 0.25.
func correlated() (*polynet.Program, polynet.Weights) {
	return dense(
		[2][]float32{{1, -1}, {0, 0}},
		[2][]float32{{1, -1, 1, -1, 1, -1, 1, -1}, {-1.5, 1.5, -0.75, -0.25}},
		[2][]float32{{1, 1, 1, 1}, {0}},
	)
}

func solvers(t *testing.T) (list []*milp.Solver) {
	t.Helper()
	for _, name := range milp.Programs {
		list = append(list, milp.Named(name, need.Tool(t, name)))
	}
	return list
}

// TestDecide asks about units that intervals leave open.
func TestDecide(t *testing.T) {
	for _, s := range solvers(t) {
		p, w := correlated()
		b := compute(t, p, w, 1, Box(1, 1), Method{})
		questions := b.Questions(1)
		want := []Question{{1, 0, true}, {1, 0, false}, {1, 1, true}, {1, 1, false}, {1, 2, true}, {1, 2, false}}
		if fmt.Sprint(questions) != fmt.Sprint(want) {
			t.Fatalf("questions %v, want %v", questions, want)
		}
		verdicts, err := b.Decide(t.Context(), s, questions, 10*time.Second)
		if err != nil || fmt.Sprint(verdicts) != fmt.Sprint([]Verdict{Proved, Refuted, Refuted, Proved, Refuted, Refuted}) {
			t.Errorf("%s: %v, %v", s.Name(), verdicts, err)
		}
		f := b.BeforeReLU(1)
		if f.High[0] > -Margin || f.Low[1] < Margin || fmt.Sprint(b.Questions(1)) != fmt.Sprint(want[4:]) {
			t.Errorf("%s: bounds %v … %v, questions %v", s.Name(), f.Low, f.High, b.Questions(1))
		}
	}
}

// TestDecidedUnits compares what is proved with points of the region: dense layers, convolutions with their rows at the
// ends, residual sums and products.
func TestDecidedUnits(t *testing.T) {
	type network struct {
		name   string
		p      *polynet.Program
		w      polynet.Weights
		frames int
	}
	var networks []network
	rng := nettest.Rand(12)
	random := func(n int, shift float32) []float32 {
		v := nettest.Normals(rng, n)
		for i := range v {
			v[i] += shift
		}
		return v
	}
	for i := range 2 {
		p, w := dense(
			[2][]float32{random(3*5, 0), random(5, 0)}, [2][]float32{random(5*6, 0), random(6, -3)},
			[2][]float32{random(6*5, 0), random(5, -3)}, [2][]float32{random(5*2, 0), random(2, 0)})
		networks = append(networks, network{fmt.Sprintf("dense %d", i), p, w, 1})
	}
	for _, kind := range []polynet.BlockKind{polynet.ReLU, polynet.PiReLU} {
		c := nettest.Tiny(kind)
		c.Inputs, c.Stem.Width, c.Stem.Stride = 2, 3, 1
		c.Stages = []polynet.Stage{{Width: 3, Blocks: 1, Kernel: 3, Ahead: 1, Stride: 1}}
		p, w := folded(t, c, 3)
		for i := range p.Steps {
			if b := p.Steps[i].Bias; p.Steps[i].ReLU && b != "" {
				for k := range w[b].Data().([]float32) {
					w[b].Data().([]float32)[k] -= float32(k)
				}
			}
		}
		networks = append(networks, network{string(kind), p, w, 5})
	}
	counts := map[Verdict]int{}
	for k, n := range networks {
		for _, s := range solvers(t)[k%2 : k%2+1] {
			r := Box(n.frames*n.p.Inputs, 1)
			b := compute(t, n.p, n.w, n.frames, r, Method{})
			proved := map[Question]bool{}
			for i := range n.p.Steps {
				questions := b.Questions(i)
				verdicts, err := b.Decide(t.Context(), s, questions, 20*time.Second)
				if err != nil {
					t.Fatalf("%s: %v", n.name, err)
				}
				for k, v := range verdicts {
					counts[v]++
					proved[questions[k]] = v == Proved
				}
			}
			for range 300 {
				x, _ := r.draw(rng, n.p.Inputs)
				at := compute(t, n.p, n.w, n.frames, Region{Center: flat(x)}, Method{Intervals: true})
				for q, is := range proved {
					f := at.BeforeReLU(q.Step)
					for e := q.Channel; e < len(f.Low) && is; e += n.p.Steps[q.Step].Width {
						if q.Above && f.High[e] > 0 || !q.Above && f.Low[e] < 0 {
							t.Fatalf("%s: %+v is proved not to be, and entry %d is within %g … %g", n.name, q, e, f.Low[e], f.High[e])
						}
					}
				}
			}
		}
	}
	if counts[Proved] < 5 || counts[Refuted] < 5 {
		t.Errorf("verdicts %v", counts)
	}
}

func flat(x nettest.Rows) (list []float64) {
	for _, row := range x {
		list = append(list, row...)
	}
	return list
}

// TestDecideEnds asks what cannot be answered: within no time, of too many values, and of a solver that fails.
func TestDecideEnds(t *testing.T) {
	s := solvers(t)[0]
	p, w := correlated()
	b := compute(t, p, w, 1, Box(1, 1), Method{})
	verdicts, err := b.Decide(t.Context(), s, b.Questions(1), 0)
	if err != nil || fmt.Sprint(verdicts) != fmt.Sprint([]Verdict{Open, Open, Open, Open, Open, Open}) {
		t.Errorf("without time: %v, %v", verdicts, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Decide(ctx, s, b.Questions(1), time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := b.Decide(t.Context(), milp.Named("cbc", "no-such-program"), b.Questions(1), time.Second); err == nil {
		t.Error("a solver that does not exist gives no error")
	}
	ones, zeros := make([]float32, maxBinaries+9), make([]float32, maxBinaries+9)
	for i := range ones {
		ones[i] = 1
	}
	half := []float32{-maxBinaries / 2}
	p, w = dense([2][]float32{ones, zeros}, [2][]float32{ones, half}, [2][]float32{{1}, {0}})
	b = compute(t, p, w, 1, Box(1, 1), Method{})
	if verdicts, err = b.Decide(t.Context(), s, b.Questions(1)[:1], time.Second); err != nil || verdicts[0] != TooLarge {
		t.Errorf("of %d values on both sides of 0: %v, %v", len(ones), verdicts, err)
	}
}
