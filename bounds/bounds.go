package bounds

import (
	"context"
	"fmt"
	"math"

	"github.com/polyphon/polyphon/polynet"
)

// Region is a set of clips of normalised features, (frames, inputs) each: all Center + Slope·g + e with g from −1 to 1
// and each |e| at most its Radius. A nil Slope or Radius stands for 0.
type Region struct{ Center, Slope, Radius []float64 }

// Box returns the region of all clips of so many values within ±limit: what features clamped to ±features.Norm.Limit
// can be.
func Box(values int, limit float64) Region {
	r := Region{Center: make([]float64, values), Radius: make([]float64, values)}
	for i := range r.Radius {
		r.Radius[i] = limit
	}
	return r
}

// Method says how much work bounds are worth.
type Method struct {
	// Depth is through how many nonlinear layers bounds of inner values are substituted backwards before the bounds found
	// there take their place: 0 uses interval and affine arithmetic alone, Full goes to the input.
	Depth int
	// Intervals leaves affine arithmetic and substitution out: interval arithmetic alone.
	Intervals bool
}

// Full is the Depth that substitutes to the input.
const Full = math.MaxInt32

// Bounds are sound bounds of all values of a network over a region.
type Bounds struct {
	net     *Net
	method  Method
	forms   []*Form // by node
	relaxed []relaxation
	pairs   []*interval // by node: of products, what substitution says of the deviations' product
}

// interval has the lower and upper ends of a tensor's values.
type interval struct{ low, high []float64 }

// Compute bounds the network's values over the region. A region of another size than the Net's clips gives an error
// that wraps polynet.ErrConfig, and so does one that is not finite; ctx's error ends it early.
func (n *Net) Compute(ctx context.Context, r Region, m Method) (*Bounds, error) {
	b := &Bounds{net: n, method: m}
	b.forms, b.relaxed = make([]*Form, len(n.nodes)), make([]relaxation, len(n.nodes))
	b.pairs = make([]*interval, len(n.nodes))
	if err := b.setInput(r); err != nil {
		return nil, err
	}
	for id := 1; id < len(n.nodes); id++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if v := &n.nodes[id]; v.nonlinear() && !m.Intervals && m.Depth > 0 {
			b.refine(id, v)
		}
		b.forward(id)
		if m.Intervals {
			b.forms[id].forget()
		}
	}
	if last := len(n.nodes) - 1; !m.Intervals && m.Depth > 0 {
		b.refineValues(last, n.nodes[last].kind)
	}
	return b, nil
}

// forget replaces lines by intervals.
func (f *Form) forget() {
	for i := range f.Center {
		f.Center[i], f.Slope[i], f.Radius[i] = f.middle(i), 0, f.half(i)
	}
}

func (b *Bounds) setInput(r Region) error {
	v := &b.net.nodes[0]
	size := v.rows * v.cols
	for _, list := range [][]float64{r.Center, r.Slope, r.Radius} {
		if list != nil && len(list) != size || r.Center == nil {
			return fmt.Errorf("%w: a region of %d values for clips of %d frames of %d",
				polynet.ErrConfig, len(list), v.rows, v.cols)
		}
	}
	f := newForm(size)
	for i, c := range r.Center {
		l := line{c: c}
		if r.Slope != nil {
			l.s = r.Slope[i]
		}
		if r.Radius != nil {
			l.lo, l.hi = -r.Radius[i], r.Radius[i]
		}
		if w := l.c + l.s + l.hi; w-w != 0 || l.hi < 0 {
			return fmt.Errorf("%w: a region around %g with slope %g and radius %g", polynet.ErrConfig, l.c, l.s, l.hi)
		}
		f.set(i, l, math.Inf(-1), math.Inf(1))
	}
	b.forms[0] = f
	if b.method.Intervals {
		f.forget()
	}
	return nil
}

// refine tightens the bounds of what nonlinear node id reads, where that makes a difference, by substitution.
func (b *Bounds) refine(id int, v *node) {
	if v.kind == product && v.args[0] != v.args[1] {
		b.refineProduct(id, v)
		return
	}
	b.refineValues(v.args[0], v.kind)
}

// refineValues tightens the bounds of node x, of which a node of the given kind reads: a ReLU cares for those alone
// that may be on both sides of 0.
func (b *Bounds) refineValues(x int, reader kind) {
	f, stop := b.forms[x], b.stop(x)
	var open []int
	for i := range f.Center {
		if reader != rectifier || f.Low[i] < 0 && f.High[i] > 0 {
			open = append(open, i)
		}
	}
	b.each(len(open), 1, func(p *pass, k int) {
		i := open[k]
		f.tighten(i, p.run([]objective{{x, []int{i}, []float64{1}}}, stop, 1)[0])
		if reader != rectifier || f.Low[i] < 0 && f.High[i] > 0 {
			b.tightenAdaptively(p, x, i, stop)
		}
	})
}

// tightenAdaptively bounds entry i of node x from below and from above with the lines that suit each.
func (b *Bounds) tightenAdaptively(p *pass, x, i, stop int) {
	if !b.net.rectified {
		return
	}
	p.adaptive = true
	low := p.run([]objective{{x, []int{i}, []float64{1}}}, stop, 1)[0]
	high := p.run([]objective{{x, []int{i}, []float64{-1}}}, stop, 1)[0]
	p.adaptive = false
	// Both are lines in g; between them lies a band around the mean slope.
	s := (low.s - high.s) / 2
	gap := math.Abs(low.s+high.s) / 2
	b.forms[x].tighten(i, line{0, s, low.c + low.lo - gap, -high.c - high.lo + gap})
	f := b.forms[x]
	slack := rounding * (math.Abs(low.c) + math.Abs(low.lo) + math.Abs(high.c) + math.Abs(high.lo))
	f.Low[i] = max(f.Low[i], low.c+low.lo-math.Abs(low.s)-slack)
	f.High[i] = min(f.High[i], -(high.c+high.lo-math.Abs(high.s))+slack)
	f.prefer(i)
}

// refineProduct tightens the bounds of both operands of a product, and those of their deviations' product.
func (b *Bounds) refineProduct(id int, v *node) {
	x, y := b.forms[v.args[0]], b.forms[v.args[1]]
	n := len(x.Center)
	factors, lines := make([]float64, n), make([][]line, n) // bounds change when no pass reads them
	stop := b.stop(max(v.args[0], v.args[1]))
	b.each(n, 2, func(p *pass, i int) {
		factors[i] = 1
		if rx, ry := x.half(i), y.half(i); rx > 0 && ry > 0 {
			factors[i] = math.Sqrt(rx / ry)
		}
		one := func(node int) objective { return objective{node, []int{i}, []float64{1}} }
		lines[i] = p.run([]objective{one(v.args[0]), one(v.args[1])}, stop, factors[i])
	})
	pair := &interval{make([]float64, n), make([]float64, n)}
	b.pairs[id] = pair
	for i, k := range factors {
		x.tighten(i, lines[i][0])
		y.tighten(i, lines[i][1])
		mx, my := x.middle(i), y.middle(i)
		pair.high[i] = squareDeviation(lines[i][2], mx/k+k*my) / 4
		pair.low[i] = -squareDeviation(lines[i][3], mx/k-k*my) / 4
	}
}

// squareDeviation returns the largest square of a value's distance from m.
func squareDeviation(l line, m float64) float64 {
	low, high := l.span()
	d := max(m-low, high-m) + rounding*(math.Abs(low)+math.Abs(high)+math.Abs(m))
	return d * d
}

// stop returns the level at which the substitution of node id's values ends.
func (b *Bounds) stop(id int) int { return b.net.nodes[id].level - b.method.Depth }

// Output returns the bounds of a tensor's values, (rows, channels). They are the Bounds' own.
func (b *Bounds) Output(t polynet.Tensor) *Form { return b.forms[b.net.tensors[t]] }

// BeforeReLU returns the bounds of what step i's ReLU reads, or nil where it has none.
func (b *Bounds) BeforeReLU(i int) *Form {
	if b.net.before[i] < 0 {
		return nil
	}
	return b.forms[b.net.before[i]]
}

// Logits returns the bounds of the network's last tensor.
func (b *Bounds) Logits() *Form { return b.forms[len(b.forms)-1] }

// Advantage returns for each class by how much the logit of class label is at least above that class's anywhere in the
// region: the smallest is positive where the answer is label everywhere. The network's last tensor has one row. The
// entry of label is +Inf.
func (b *Bounds) Advantage(label int) []float64 {
	last := len(b.forms) - 1
	f := b.Logits()
	list := make([]float64, len(f.Center))
	b.each(len(list), 1, func(p *pass, c int) {
		if c == label {
			list[c] = math.Inf(1)
			return
		}
		list[c] = f.Low[label] - f.High[c]
		if b.method.Intervals {
			return
		}
		o := []objective{{last, []int{label, c}, []float64{1, -1}}}
		for _, p.adaptive = range []bool{false, true} {
			l := p.run(o, -1, 1)[0]
			slack := rounding * (math.Abs(l.c) + math.Abs(l.lo) + math.Abs(l.s))
			list[c] = max(list[c], l.c+l.lo-math.Abs(l.s)-slack)
		}
	})
	return list
}

// Sure reports whether the answer is provably label everywhere in the region, as a float32 run computes it: by Margin
// of the largest logit, and at least of 1.
func (b *Bounds) Sure(label int) bool {
	largest, f := 1.0, b.Logits()
	for i := range f.Low {
		largest = max(largest, math.Abs(f.Low[i]), math.Abs(f.High[i]))
	}
	least := math.Inf(1)
	for _, a := range b.Advantage(label) {
		least = min(least, a)
	}
	return least > Margin*largest
}
