package training

import (
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// forwardProduct returns f + s + a·BN(f∘s).
func (c *convOp) forwardProduct(p *Pass, f, s Activation) Activation {
	k := c.product.statistics(p, f.View, s.View)
	y := p.like(f)
	p.dev.HadamardSum(y.View, f.View, s.View, k.Scale, k.Shift)
	p.save(saved{x: f, y: s, mean: k.Mean, variance: k.Var})
	if c.ReLU {
		p.dev.Affine(y.View, y.View, device.View{}, device.Buffer{}, device.Buffer{}, device.Buffer{}, true)
		p.save(saved{y: y})
	}
	return y
}

// backwardProduct undoes forwardProduct and the norm of f. It returns the gradient of the convolution's output.
func (c *convOp) backwardProduct(p *Pass, dy gradient) Activation {
	if c.ReLU {
		p.dev.ReLUGrad(dy.View, dy.View, p.restore().y.View)
	}
	r := p.restore()
	f, s := r.x, r.y
	ka, kb, kc := c.product.gradients(p, dy.View, f.View, s.View, r)
	p.dev.HadamardSumGrad(f.View, dy.View, dy.View, f.View, s.View, ka, kb, kc)
	p.accumulate(c.Skip, dy, true)
	return c.norm.backward(p, f, p.restore())
}

// productOp computes an OpProduct: x∘y, or x∘y + x.
type productOp struct{ *polynet.Step }

func (o productOp) forward(p *Pass) Activation {
	x, y := p.tensors[o.X], p.tensors[o.Y]
	z := p.memory.plainLike(x)
	if o.Plus {
		p.copy(z.View, x.View)
	}
	p.dev.Hadamard(z.View, x.View, y.View, o.Plus)
	return z
}

func (o productOp) backward(p *Pass, dy gradient) {
	dst, add := p.gradientOf(o.Y)
	p.dev.Hadamard(dst.View, dy.View, p.tensors[o.X].View, add)
	if o.Plus {
		p.accumulate(o.X, dy, true) // where that makes dy the memory of dx, dx becomes dx + dx∘y
	}
	dst, add = p.gradientOf(o.X)
	p.dev.Hadamard(dst.View, dy.View, p.tensors[o.Y].View, add)
}

// tanhOp computes an OpTanh.
type tanhOp struct{ *polynet.Step }

func (o tanhOp) forward(p *Pass) Activation {
	y := p.memory.plainLike(p.tensors[o.X])
	p.dev.Tanh(y.View, p.tensors[o.X].View)
	p.save(saved{y: y})
	return y
}

func (o tanhOp) backward(p *Pass, dy gradient) {
	p.dev.TanhGrad(dy.View, dy.View, p.restore().y.View)
	p.accumulate(o.X, dy, true)
}
