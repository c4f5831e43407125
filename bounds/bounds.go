package bounds

import (
	"context"
	"fmt"
	"math"
	"sync"

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

	base   [][]float64 // by node: its values at the middle of the region
	terms  []terms     // by node
	leaves []*terms    // by node: of those that are replaced by their Form
	mutex  sync.Mutex  // guards leaves
	passes sync.Pool   // of *pass
}

// interval has the lower and upper ends of a tensor's values.
type interval struct{ low, high []float64 }

// Compute bounds the network's values over the region. A region of another size than the Net's clips gives an error
// that wraps polynet.ErrConfig, and so does one that is not finite; ctx's error ends it early.
func (n *Net) Compute(ctx context.Context, r Region, m Method) (*Bounds, error) {
	b := &Bounds{net: n, method: m}
	b.forms, b.relaxed = make([]*Form, len(n.nodes)), make([]relaxation, len(n.nodes))
	b.pairs, b.leaves = make([]*interval, len(n.nodes)), make([]*terms, len(n.nodes))
	b.base, b.terms = make([][]float64, len(n.nodes)), make([]terms, len(n.nodes))
	if err := b.setInput(r); err != nil {
		return nil, err
	}
	b.base[0] = b.forms[0].Center
	for id := 1; id < len(n.nodes); id++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if v := &n.nodes[id]; v.nonlinear() && !m.Intervals && m.Depth > 0 {
			b.refine(id, v)
		}
		if b.forward(id); m.Intervals {
			b.forms[id].forget()
		} else {
			b.settle(id)
			if v := &n.nodes[id]; v.kind == sum && n.nodes[len(n.nodes)-1].level == 0 && m.Depth > 0 {
				// Of a linear network nothing else would tighten what rounding is judged by.
				b.refineValues(id, v.kind)
			}
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
	clear(b.leaves)
	matters := func(i int) bool { return reader != rectifier || f.Low[i] < 0 && f.High[i] > 0 }
	var open []int
	for i := range f.Center {
		if matters(i) {
			open = append(open, i)
		}
	}
	b.each(len(open), lanes, func(p *pass, first, count int) {
		entries := open[first : first+count]
		lines := p.run(single(x, entries, 1), stop, nil)
		var left []int
		for k, i := range entries {
			if f.tighten(i, lines[k]); matters(i) {
				left = append(left, i)
			}
		}
		if b.net.rectified && len(left) > 0 {
			b.tightenAdaptively(p, x, left, stop)
		}
	})
}

// single returns an objective for each of a node's entries, times a factor.
func single(x int, entries []int, factor float32) []objective {
	list := make([]objective, len(entries))
	for k, i := range entries {
		list[k] = objective{x, []int{i}, []float32{factor}}
	}
	return list
}

// tightenAdaptively bounds entries of node x from below and from above with the lines that suit each.
func (b *Bounds) tightenAdaptively(p *pass, x int, entries []int, stop int) {
	p.adaptive = true
	lows := p.run(single(x, entries, 1), stop, nil)
	highs := p.run(single(x, entries, -1), stop, nil)
	p.adaptive = false
	f := b.forms[x]
	for k, i := range entries {
		low, high := lows[k], highs[k]
		if !low.finite() || !high.finite() {
			continue
		}
		// Both are lines in g; between them lies a band around the mean slope.
		s := (low.s - high.s) / 2
		gap := math.Abs(low.s+high.s) / 2
		f.tighten(i, line{0, s, low.c + low.lo - gap, -high.c - high.lo + gap})
		slack := rounding * (math.Abs(low.c) + math.Abs(low.lo) + math.Abs(high.c) + math.Abs(high.lo))
		f.Low[i] = max(f.Low[i], low.c+low.lo-math.Abs(low.s)-slack)
		f.High[i] = min(f.High[i], -(high.c+high.lo-math.Abs(high.s))+slack)
		f.prefer(i)
	}
}

// refineProduct tightens the bounds of both operands of a product, and those of their deviations' product.
func (b *Bounds) refineProduct(id int, v *node) {
	x, y := b.forms[v.args[0]], b.forms[v.args[1]]
	n := len(x.Center)
	factors, lines := make([]float64, n), make([][4]line, n) // bounds change when no pass reads them
	stop := b.stop(max(v.args[0], v.args[1]))
	clear(b.leaves)
	b.each(n, lanes/2, func(p *pass, first, count int) {
		entries, k := make([]int, count), factors[first:first+count]
		for j := range entries {
			i := first + j
			if entries[j], k[j] = i, 1; x.half(i) > 0 && y.half(i) > 0 {
				k[j] = math.Sqrt(x.half(i) / y.half(i))
			}
		}
		found := p.run(append(single(v.args[0], entries, 1), single(v.args[1], entries, 1)...), stop, k)
		for j, i := range entries {
			lines[i] = [4]line{found[j], found[count+j], found[2*count+j], found[3*count+j]}
		}
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
	if !l.finite() {
		return math.Inf(1)
	}
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
	for c := range list {
		list[c] = f.Low[label] - f.High[c]
	}
	list[label] = math.Inf(1)
	if b.method.Intervals {
		return list
	}
	clear(b.leaves)
	b.each(len(list), lanes, func(p *pass, first, count int) {
		var objectives []objective
		for c := first; c < first+count; c++ {
			objectives = append(objectives, objective{last, []int{label, c}, []float32{1, -1}})
		}
		for _, p.adaptive = range []bool{false, true} {
			for k, l := range p.run(objectives, -1, nil) {
				if c := first + k; c != label && l.finite() {
					slack := rounding * (math.Abs(l.c) + math.Abs(l.lo) + math.Abs(l.s))
					list[c] = max(list[c], l.c+l.lo-math.Abs(l.s)-slack)
				}
			}
		}
		p.adaptive = false
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
