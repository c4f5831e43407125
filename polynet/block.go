package polynet

import "github.com/polyphon/polyphon/device"

// block is a residual block. With the branch F(x) = BN(conv(BN(conv(x)))) and the skip S(x) = x, or BN(conv1x1(x)) where
// the block changes width or has a stride, it gives
//
//	linear  F + S
//	relu    max(F + S, 0), and max(·, 0) behind the branch's first norm
//	pi      F + S + a·BN(F∘S)
//	pi1x1   F + S + a·BN(conv1x1(F∘S))
//
// (Chrysos et al., "Deep polynomial neural networks", 2020). a starts at 0, so that a network starts as the linear one.
type block struct {
	kind         BlockKind
	conv1, conv2 *convolution
	norm1, norm2 *batchNorm
	skip         *convolution // nil: S(x) = x
	skipNorm     *batchNorm
	product      *convolution // pi1x1
	productNorm  *batchNorm   // pi, pi1x1
}

func newBlock(kind BlockKind, g blockSpec) *block {
	b := &block{
		kind:  kind,
		conv1: newConvolution(g.name+".conv1", g.in, g.width, g.kernel, g.ahead, g.stride),
		norm1: newBatchNorm(g.name+".norm1", g.width, g.relu),
		conv2: newConvolution(g.name+".conv2", g.width, g.width, g.kernel, g.ahead, 1),
		norm2: newBatchNorm(g.name+".norm2", g.width, false),
	}
	if g.hasSkip {
		b.skip = newConvolution(g.name+".skip.conv", g.in, g.width, 1, 0, g.stride)
		b.skipNorm = newBatchNorm(g.name+".skip.norm", g.width, false)
	}
	if g.mixed {
		b.product = newConvolution(g.name+".product.conv", g.width, g.width, 1, 0, 1)
	}
	if g.product {
		b.productNorm = newBatchNorm(g.name+".product.norm", g.width, false)
		b.productNorm.factor = &Param{
			Name: g.name + ".product.scale", Shape: []int{1}, Kind: Undecayed, initial: constant(0),
		}
	}
	return b
}

func (b *block) Params() []*Param {
	var params []*Param
	for _, c := range []*convolution{b.conv1, b.conv2, b.skip, b.product} {
		if c != nil {
			params = append(params, c.Params()...)
		}
	}
	for _, n := range []*batchNorm{b.norm1, b.norm2, b.skipNorm, b.productNorm} {
		if n != nil {
			params = append(params, n.Params()...)
		}
	}
	return params
}

func (b *block) Forward(p *Pass, x Activation) Activation {
	s := x
	if b.skip != nil {
		s = b.skipNorm.Forward(p, b.skip.Forward(p, x))
	}
	f := b.conv2.Forward(p, b.norm1.Forward(p, b.conv1.Forward(p, x)))
	var y Activation
	switch b.kind {
	case Linear, ReLU:
		y = b.norm2.forward(p, f, s, b.kind == ReLU)
	case Pi:
		y = b.joinPi(p, b.norm2.Forward(p, f), s)
	case Pi1x1:
		y = b.joinPi1x1(p, b.norm2.Forward(p, f), s)
	}
	p.save(record{x: x})
	return y
}

func (b *block) joinPi(p *Pass, f, s Activation) Activation {
	k := b.productNorm.statistics(p, f.View, s.View)
	y := p.like(f)
	p.dev.HadamardSum(y.View, f.View, s.View, k.Scale, k.Shift)
	p.save(record{x: f, y: s, mean: k.Mean, variance: k.Var})
	return y
}

func (b *block) joinPi1x1(p *Pass, f, s Activation) Activation {
	none := device.Buffer{}
	sum, z := p.plainLike(f), p.plainLike(f)
	p.dev.Affine(sum.View, f.View, s.View, none, none, none, false)
	p.dev.Hadamard(z.View, f.View, s.View, false)
	p.save(record{x: f, y: s})
	return b.productNorm.forward(p, b.product.Forward(p, z), sum, false)
}

// Backward leaves nothing but the returned gradient in the arena.
func (b *block) Backward(p *Pass, dy Activation) Activation {
	x := p.restore().x
	// ds is the skip's gradient; with S(x) = x it is the first part of dx.
	ds, dx := dy, dy
	if b.skip != nil {
		dx = p.plainLike(x)
	}
	start := p.arena.at
	df := b.norm1.Backward(p, b.conv2.Backward(p, b.backwardJoin(p, dy)))
	b.conv1.backwardWeight(p, df)
	b.conv1.backwardInput(p, dx, df, b.skip == nil)
	if b.skip != nil {
		ds = b.skipNorm.Backward(p, ds)
		b.skip.backwardWeight(p, ds)
		b.skip.backwardInput(p, dx, ds, true)
	}
	p.arena.rewind(start)
	return dx
}

// backwardJoin turns dy into the gradient with respect to S and returns that with respect to the branch's last convolution's
// output.
func (b *block) backwardJoin(p *Pass, dy Activation) Activation {
	switch b.kind {
	case Pi:
		r := p.restore()
		f, s := r.x, r.y
		ka, kb, kc := b.productNorm.gradients(p, dy.View, f.View, s.View, r)
		p.dev.HadamardSumGrad(f.View, dy.View, dy.View, f.View, s.View, ka, kb, kc)
		return b.norm2.Backward(p, f)
	case Pi1x1:
		dz := b.product.Backward(p, b.productNorm.Backward(p, dy))
		r := p.restore()
		df := p.plainLike(dy)
		p.copy(df, dy)
		p.dev.Hadamard(dy.View, dz.View, r.x.View, true)
		p.dev.Hadamard(df.View, dz.View, r.y.View, true)
		return b.norm2.Backward(p, df)
	case ReLU:
		r := p.restore()
		p.dev.ReLUGrad(dy.View, dy.View, r.y.View)
		return b.norm2.backward(p, dy, r)
	}
	return b.norm2.Backward(p, dy)
}
