package polynet

import (
	"github.com/polyphon/polyphon/device"
)

// convolved computes a convStep.
type convolved struct {
	*step
	conv    *convolution
	norm    norm
	product *batchNorm // pi: of f∘skip
}

// norm is what stands behind a convolution.
type norm interface {
	Params() []*Param
	// forward returns the norm of x, plus skip where given, through max(·, 0) with relu.
	forward(p *Pass, x, skip Activation, relu bool) Activation
	// backward undoes forward but for skip and relu. The gradient lies in the memory of forward's output, which has the padding
	// that a convolution needs.
	backward(p *Pass, dy Activation, r record) Activation
}

func newConvolved(s *step) *convolved {
	c := &convolved{step: s, conv: newConvolution(s.conv, s.in, s.width, s.kernel, s.ahead, s.stride)}
	if s.gain > 0 {
		c.conv.weight.initial = normal(s.gain / float64(s.kernel*s.in))
	}
	switch {
	case s.instance > 0:
		c.norm = newSplitNorm(s.norm, s.width, s.instance)
	case s.whitens:
		c.norm = newIterNorm(s.norm, s.width, newFactor(s.factor))
	default:
		n := newBatchNorm(s.norm, s.width)
		if s.startsAtOne {
			n.weight.initial, n.bias.initial = constant(0), constant(1)
		}
		if s.factor != "" {
			n.factor = newFactor(s.factor)
		}
		c.norm = n
	}
	if s.product != "" {
		c.product = newBatchNorm(s.product+".norm", s.width)
		c.product.factor = newFactor(s.product + ".scale")
	}
	return c
}

// newFactor returns a learned scalar in front of a norm.
func newFactor(name string) *Param {
	return &Param{Name: name, Shape: []int{1}, Kind: Undecayed, initial: constant(0)}
}

// params returns the parameters of the convolution and its norm, or of the product.
func (c *convolved) params(product bool) []*Param {
	if product {
		return c.product.Params()
	}
	return append(c.conv.Params(), c.norm.Params()...)
}

func (c *convolved) forward(p *Pass, v []Activation) Activation {
	z := c.conv.Forward(p, v[c.x])
	if c.product != nil {
		return c.join(p, c.norm.forward(p, z, Activation{}, false), v[c.skip])
	}
	var skip Activation
	if c.skip != none {
		skip = v[c.skip]
	}
	if c.add != none {
		none := device.Buffer{}
		skip = p.plainLike(z)
		p.dev.Affine(skip.View, v[c.skip].View, v[c.add].View, none, none, none, false)
	}
	return c.norm.forward(p, z, skip, c.relu)
}

// join returns f + s + a·BN(f∘s).
func (c *convolved) join(p *Pass, f, s Activation) Activation {
	k := c.product.statistics(p, f.View, s.View)
	y := p.like(f)
	p.dev.HadamardSum(y.View, f.View, s.View, k.Scale, k.Shift)
	p.save(record{x: f, y: s, mean: k.Mean, variance: k.Var})
	if c.relu {
		none := device.Buffer{}
		p.dev.Affine(y.View, y.View, device.View{}, none, none, none, true)
		p.save(record{y: y})
	}
	return y
}

func (c *convolved) backward(p *Pass, dy gradient) {
	var dz Activation
	if c.product != nil {
		dz = c.backwardJoin(p, dy)
	} else {
		r := p.restore()
		if c.relu {
			p.dev.ReLUGrad(dy.View, dy.View, r.y.View)
		}
		dz = c.norm.backward(p, dy.Activation, r)
		p.give(c.skip, dy, c.add == none)
		p.give(c.add, dy, true)
	}
	c.conv.backwardWeight(p, dz)
	if p.wanted(c.x) {
		dx, add := p.into(c.x)
		c.conv.backwardInput(p, dx, dz, add)
	}
}

// backwardJoin undoes join and the norm of f.
func (c *convolved) backwardJoin(p *Pass, dy gradient) Activation {
	if c.relu {
		p.dev.ReLUGrad(dy.View, dy.View, p.restore().y.View)
	}
	r := p.restore()
	f, s := r.x, r.y
	ka, kb, kc := c.product.gradients(p, dy.View, f.View, s.View, r)
	p.dev.HadamardSumGrad(f.View, dy.View, dy.View, f.View, s.View, ka, kb, kc)
	p.give(c.skip, dy, true)
	return c.norm.backward(p, f, p.restore())
}

// hadamard computes x∘y, or x∘y + x.
type hadamard struct{ *step }

func (h *hadamard) forward(p *Pass, v []Activation) Activation {
	x, y := v[h.x], v[h.y]
	z := p.plainLike(x)
	if h.plus {
		p.copy(z, x)
	}
	p.dev.Hadamard(z.View, x.View, y.View, h.plus)
	return z
}

func (h *hadamard) backward(p *Pass, dy gradient) {
	dst, add := p.into(h.y)
	p.dev.Hadamard(dst.View, dy.View, p.values[h.x].View, add)
	if h.plus {
		p.give(h.x, dy, true) // and where that makes it dx, dx becomes dx + dx∘y
	}
	dst, add = p.into(h.x)
	p.dev.Hadamard(dst.View, dy.View, p.values[h.y].View, add)
}

// hyperbolic computes tanh x.
type hyperbolic struct{ *step }

func (h *hyperbolic) forward(p *Pass, v []Activation) Activation {
	y := p.plainLike(v[h.x])
	p.dev.Tanh(y.View, v[h.x].View)
	p.save(record{y: y})
	return y
}

func (h *hyperbolic) backward(p *Pass, dy gradient) {
	p.dev.TanhGrad(dy.View, dy.View, p.restore().y.View)
	p.give(h.x, dy, true)
}

// poolReach is how many rows before and behind its own one a maximum is taken over.
const poolReach = 1

// maxPool computes the largest of x's rows t−1 to t+1.
type maxPool struct{ *step }

func (m *maxPool) forward(p *Pass, v []Activation) Activation {
	y := p.like(v[m.x])
	p.dev.MaxRows(y.View, v[m.x].View, poolReach)
	return y
}

func (m *maxPool) backward(p *Pass, dy gradient) {
	dx := gradient{Activation: p.plainLike(dy.Activation)}
	p.dev.MaxRowsGrad(dx.View, dy.View, p.values[m.x].View, poolReach)
	p.give(m.x, dx, true)
}

// DropBlock's size in rows, and the probability that a row is dropped, nearly.
const (
	dropSize        = 7
	dropProbability = 0.1
)

// dropRows computes x, and in training DropBlock (Ghiasi et al., 2018) along time: runs of rows, drawn for each clip, become 0 in
// all channels, and the others are scaled so that the mean stays.
type dropRows struct{ *step }

func (d *dropRows) forward(p *Pass, v []Activation) Activation {
	x := v[d.x]
	if !p.Train {
		return x
	}
	y, mask := p.like(x), p.plainLike(x)
	p.dev.Upload(mask.Data, dropMask(p, x.Groups, x.Rows, x.Cols))
	p.dev.Hadamard(y.View, x.View, mask.View, false)
	p.save(record{mask: mask.View})
	return y
}

func (d *dropRows) backward(p *Pass, dy gradient) {
	p.dev.Hadamard(dy.View, dy.View, p.restore().mask, false)
	p.give(d.x, dy, true)
}

// dropMask draws what the rows of clips are multiplied with.
func dropMask(p *Pass, clips, rows, cols int) []float32 {
	kept := make([]float32, clips*rows)
	for g := range clips {
		clip := kept[g*rows:][:rows]
		for r := range clip {
			clip[r] = 1
		}
		for r := range clip {
			if p.rng.Float64() < dropProbability/dropSize { // the middle of a run
				clear(clip[max(0, r-dropSize/2):min(rows, r+dropSize/2+1)])
			}
		}
	}
	count := float32(0)
	for _, k := range kept {
		count += k
	}
	mask := make([]float32, 0, clips*rows*cols)
	for _, k := range kept {
		for range cols {
			mask = append(mask, k*float32(len(kept))/max(count, 1))
		}
	}
	return mask
}
