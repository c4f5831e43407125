package bounds

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

var methods = []Method{{Intervals: true}, {}, {Depth: 2}, {Depth: Full}}

// folded returns a random model's program and weights as they run.
func folded(t *testing.T, c polynet.Config, seed uint64) (*polynet.Program, polynet.Weights) {
	t.Helper()
	p, w, err := nettest.RandomModel(c, nettest.Rand(seed)).Inference()
	if err != nil {
		t.Fatal(err)
	}
	return p, w
}

func compute(t *testing.T, p *polynet.Program, w polynet.Weights, frames int, r Region, m Method) *Bounds {
	t.Helper()
	n, err := Compile(p, w, frames)
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.Compute(t.Context(), r, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// around returns a region around a random clip.
func around(rng *rand.Rand, values int, slope, radius float64) Region {
	r := Region{make([]float64, values), make([]float64, values), make([]float64, values)}
	for i := range values {
		r.Center[i], r.Slope[i], r.Radius[i] = rng.NormFloat64(), slope*(0.5+rng.Float64()), radius*rng.Float64()
	}
	return r
}

// draw returns a clip of the region and its g: half of the draws are corners.
func (r Region) draw(rng *rand.Rand, channels int) (x nettest.Rows, g float64) {
	corner := rng.IntN(2) == 0
	unit := func() float64 {
		if corner {
			return float64(2*rng.IntN(2) - 1)
		}
		return 2*rng.Float64() - 1
	}
	g = unit()
	for i := range r.Center {
		if i%channels == 0 {
			x = append(x, nil)
		}
		v := r.Center[i] + r.Radius[i]*unit()
		if r.Slope != nil {
			v += r.Slope[i] * g
		}
		x[i/channels] = append(x[i/channels], v)
	}
	return x, g
}

// contain fails unless the values, at the position g, are within the form, up to rounding.
func contain(t *testing.T, what string, f *Form, g float64, values nettest.Rows) bool {
	t.Helper()
	for i := range f.Center {
		v := values[i/len(values[0])][i%len(values[0])]
		line := math.Abs(v-f.Center[i]-f.Slope[i]*g) - f.Radius[i]
		if outside := max(line, f.Low[i]-v, v-f.High[i]); outside > 1e-11*(1+math.Abs(v)) || v != v {
			t.Errorf("%s: value %d is %g, %g outside of %g … %g", what, i, v, outside, f.Low[i], f.High[i])
			return false
		}
	}
	return true
}

// TestBoundsContain draws points of regions around clips, and compares all values of networks of all kinds with the
// bounds. Each method's bounds have to be within those of interval arithmetic.
func TestBoundsContain(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		for k, c := range append(nettest.Configs(kind), nettest.Tiny(kind)) {
			p, w := folded(t, c, 3)
			const frames = 11
			for _, radius := range []float64{0.01, 0.3}[k%2 : k%2+1] {
				rng := nettest.Rand(uint64(k))
				r := around(rng, frames*c.Inputs, 3*radius, radius)
				var all []*Bounds
				for _, m := range methods {
					all = append(all, compute(t, p, w, frames, r, m))
				}
				for range 12 {
					x, g := r.draw(rng, c.Inputs)
					for i := range p.Steps {
						values := nettest.Plain{Program: &polynet.Program{Steps: p.Steps[:i+1]}, Weights: w}.Run(x)
						for j, b := range all {
							name := fmt.Sprintf("%s %d %+v: step %s", kind, k, methods[j], p.Steps[i].Name)
							if !contain(t, name, b.Output(polynet.Output(i)), g, values) {
								return
							}
						}
					}
				}
				for j, b := range all[1:] {
					narrower(t, fmt.Sprintf("%s %d %+v", kind, k, methods[j+1]), b, all[0])
				}
			}
		}
	}
}

// narrower fails unless every interval of b lies within that of wide.
func narrower(t *testing.T, what string, b, wide *Bounds) {
	t.Helper()
	for id, f := range b.forms {
		for i := range f.Low {
			slack := 1e-6 * (1 + math.Abs(wide.forms[id].Low[i]) + math.Abs(wide.forms[id].High[i]))
			if f.Low[i] < wide.forms[id].Low[i]-slack || f.High[i] > wide.forms[id].High[i]+slack {
				t.Errorf("%s: node %d: %g … %g is not within %g … %g", what, id, f.Low[i], f.High[i],
					wide.forms[id].Low[i], wide.forms[id].High[i])
				return
			}
		}
	}
}

// TestManyPoints compares the logits of 10,000 points of a region with the bounds, and the advantages with the logits'
// differences.
func TestManyPoints(t *testing.T) {
	kinds := []polynet.BlockKind{polynet.ReLU, polynet.Pi, polynet.Pi1x1ReLU, polynet.Star}
	for _, kind := range kinds {
		c := nettest.Tiny(kind)
		p, w := folded(t, c, 9)
		const frames = 6
		rng := nettest.Rand(4)
		r := around(rng, frames*c.Inputs, 0.1, 0.05)
		var all []*Bounds
		var advantages [][]float64
		for _, m := range methods {
			all = append(all, compute(t, p, w, frames, r, m))
			advantages = append(advantages, all[len(all)-1].Advantage(1))
		}
		for range 10000 / len(kinds) {
			x, g := r.draw(rng, c.Inputs)
			logits := nettest.Plain{Program: p, Weights: w}.Run(x)
			for j, b := range all {
				contain(t, fmt.Sprintf("%s %+v", kind, methods[j]), b.Logits(), g, logits)
				for class, a := range advantages[j] {
					if d := logits[0][1] - logits[0][class]; class != 1 && d < a-1e-9 {
						t.Fatalf("%s %+v: advantage over %d of %g is below %g", kind, methods[j], class, d, a)
					}
				}
			}
		}
	}
}

// TestLinearNetworksAreExact compares the bounds of a network without products and ReLU with the extremes, which lie in
// corners that the network's derivatives name.
func TestLinearNetworksAreExact(t *testing.T) {
	for _, c := range append(nettest.Configs(polynet.Linear), nettest.Tiny(polynet.Linear)) {
		p, w := folded(t, c, 5)
		const frames = 9
		rng := nettest.Rand(6)
		r := around(rng, frames*c.Inputs, 0.2, 0.4)
		run := func(v []float64) []float64 {
			x := make(nettest.Rows, frames)
			for i := range v {
				x[i/c.Inputs] = append(x[i/c.Inputs], v[i])
			}
			return nettest.Plain{Program: p, Weights: w}.Run(x)[0]
		}
		base := run(r.Center)
		high, low := append([]float64(nil), base...), append([]float64(nil), base...)
		along := make([]float64, c.Classes)
		for i := range r.Center {
			x := append([]float64(nil), r.Center...)
			x[i]++
			for k, v := range run(x) {
				d := v - base[k]
				along[k] += d * r.Slope[i]
				high[k] += math.Abs(d) * r.Radius[i]
				low[k] -= math.Abs(d) * r.Radius[i]
			}
		}
		// Coefficients are float32: with what that may cost, bounds are wider by a little.
		f := compute(t, p, w, frames, r, Method{Depth: Full}).Logits()
		adv := compute(t, p, w, frames, r, Method{}).Advantage(0)
		for k := range base {
			wantLow, wantHigh := low[k]-math.Abs(along[k]), high[k]+math.Abs(along[k])
			slack := 1e-3 * (wantHigh - wantLow)
			if f.Low[k] > wantLow || f.Low[k] < wantLow-slack || f.High[k] < wantHigh || f.High[k] > wantHigh+slack {
				t.Errorf("logit %d is within %g … %g, want %g … %g", k, f.Low[k], f.High[k], wantLow, wantHigh)
			}
			if k > 0 && adv[k] < f.Low[0]-f.High[k]-1e-9 {
				t.Errorf("advantage %g is less than the logits' bounds say", adv[k])
			}
		}
	}
}

// squares is x∘(1x1 convolution of x by factor), and its mean.
func squares(factor float32) (*polynet.Program, polynet.Weights) {
	w := polynet.Weights{"w": tensor.New(tensor.WithShape(1, 1, 1), tensor.WithBacking([]float32{factor}))}
	return &polynet.Program{Inputs: 1, Steps: []polynet.Step{
		{Op: polynet.OpConv, X: polynet.Input, Width: 1, In: 1, Kernel: 1, Stride: 1, Weight: "w"},
		{Op: polynet.OpProduct, X: polynet.Input, Y: polynet.Output(0), Width: 1},
	}}, w
}

// TestSquaresAreExact checks bounds of w·x·x, which intervals and McCormick's planes take for two values that vary each
// by itself.
func TestSquaresAreExact(t *testing.T) {
	for _, c := range []struct {
		factor         float32
		center, radius float64
		low, high      float64
	}{{1, 0, 1, 0, 1}, {-2, 0, 3, -18, 0}, {0.5, 2, 1, 0.5, 4.5}, {3, -1, 0.5, 0.75, 6.75}} {
		p, w := squares(c.factor)
		r := Region{Center: []float64{c.center}, Radius: []float64{c.radius}}
		f := compute(t, p, w, 1, r, Method{Depth: Full}).Logits()
		// A line's tangent in the middle is below the ends by r².
		slack := math.Abs(float64(c.factor))*c.radius*c.radius*math.Min(1, math.Abs(c.center)) + 1e-6
		if math.Abs(f.Low[0]-c.low) > slack || math.Abs(f.High[0]-c.high) > 1e-6+slack {
			t.Errorf("%g·x² of %g±%g: %g … %g, want %g … %g", c.factor, c.center, c.radius, f.Low[0], f.High[0], c.low, c.high)
		}
	}
}

// TestGainIsADirection checks that what moves all values together costs less than a box of the same size, and that half
// the range costs about a quarter of what linear bounds miss.
func TestGainIsADirection(t *testing.T) {
	for _, kind := range []polynet.BlockKind{polynet.Pi, polynet.Star} {
		c := nettest.Tiny(kind)
		p, w := folded(t, c, 9)
		const frames = 8
		width := func(size float64, box bool) float64 {
			r := around(nettest.Rand(8), frames*c.Inputs, size, 0)
			if box {
				r.Radius, r.Slope = r.Slope, nil
			}
			f := compute(t, p, w, frames, r, Method{Depth: Full}).Logits()
			sum := 0.0
			for i := range f.Low {
				if sum += f.High[i] - f.Low[i]; !box {
					sum -= 2 * math.Abs(f.Slope[i])
				}
			}
			return sum
		}
		whole, half, box := width(0.02, false), width(0.01, false), width(0.02, true)
		if whole > box/3 || half > whole/3 {
			t.Errorf("%s: linear bounds miss %g, at half the range %g; a box has %g", kind, whole, half, box)
		}
	}
}

func TestWrongRegions(t *testing.T) {
	p, w := folded(t, nettest.Tiny(polynet.Pi), 1)
	if _, err := Compile(p, w, 0); !errors.Is(err, polynet.ErrConfig) {
		t.Errorf("0 frames: %v", err)
	}
	raw := nettest.Tiny(polynet.Pi).Program()
	if _, err := Compile(raw, nil, 3); !errors.Is(err, polynet.ErrConfig) {
		t.Errorf("norms: %v", err)
	}
	n, err := Compile(p, w, 2)
	if err != nil {
		t.Fatal(err)
	}
	good := Box(2*6, 1)
	for name, r := range map[string]Region{
		"empty": {}, "short": Box(5, 1), "infinite": Box(12, math.Inf(1)), "NaN": Box(12, math.NaN()),
		"negative": Box(12, -1), "slope": {Center: good.Center, Slope: []float64{1}},
	} {
		if _, err := n.Compute(t.Context(), r, Method{}); !errors.Is(err, polynet.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTighterThanIntervals compares the widths of logits: substitution has to be at least three times tighter than
// interval arithmetic in networks of a few blocks.
func TestTighterThanIntervals(t *testing.T) {
	for _, kind := range []polynet.BlockKind{polynet.ReLU, polynet.Pi, polynet.Pi1x1ReLU, polynet.Star, polynet.Mu} {
		c := nettest.Tiny(kind)
		p, w := folded(t, c, 9)
		const frames = 10
		r := around(nettest.Rand(4), frames*c.Inputs, 0, 0.01)
		width := func(m Method) (sum float64) {
			f := compute(t, p, w, frames, r, m).Logits()
			for i := range f.Low {
				sum += f.High[i] - f.Low[i]
			}
			return sum
		}
		if wide, tight := width(Method{Intervals: true}), width(Method{Depth: Full}); wide < 3*tight {
			t.Errorf("%s: intervals are %g wide, linear bounds %g", kind, wide, tight)
		}
	}
}
