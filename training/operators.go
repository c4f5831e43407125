package training

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// operator computes one step of a program and its gradients.
type operator interface {
	// forward returns the step's output. The operands, which stay as they are, are in p.tensors.
	forward(p *Pass) Activation
	// backward adds the gradients of the step's weights and operands, given that of the output, whose memory it may
	// overwrite. It undoes the latest forward that has not been undone.
	backward(p *Pass, dy gradient)
}

// convOp computes an OpConv: a convolution, its norm, and a skip, a sum or a product term; or, of kernel 1, a
// convolution alone.
type convOp struct {
	*polynet.Step
	weight  *Param     // (Kernel, In, Width)
	norm    *batchNorm // nil: there is none, and nothing after it
	product *batchNorm // of f∘skip; nil: there is no product term
	narrow  *narrowing // nil: the weight is float32
}

func (c *convOp) forward(p *Pass) Activation {
	return c.finish(p, c.convolve(p, p.tensors[c.X]))
}

// finish returns the step's output, given what the convolution alone gives.
func (c *convOp) finish(p *Pass, z Activation) Activation {
	if c.norm == nil {
		return z
	}
	if c.product != nil {
		return c.forwardProduct(p, c.norm.forward(p, z, Activation{}, false), p.tensors[c.Skip])
	}
	skip := p.tensors[c.Skip]
	if c.Add != polynet.NoTensor {
		skip = p.memory.plainLike(z)
		p.add(skip.View, p.tensors[c.Skip].View, p.tensors[c.Add].View)
	}
	return c.norm.forward(p, z, skip, c.ReLU)
}

func (c *convOp) backward(p *Pass, dy gradient) {
	var dz Activation
	switch {
	case c.norm == nil:
		dz = dy.Activation
	case c.product != nil:
		dz = c.backwardProduct(p, dy)
	default:
		r := p.restore()
		if c.ReLU {
			p.dev.ReLUGrad(dy.View, dy.View, r.y.View)
		}
		dz = c.norm.backward(p, dy.Activation, r)
		p.accumulate(c.Skip, dy, c.Add == polynet.NoTensor)
		p.accumulate(c.Add, dy, true)
	}
	r := p.restore()
	p.dev.MatMulTransA(c.weight.Grad, c.windows(r.x), dz.View)
	switch {
	case !p.wanted(c.X):
	case c.narrow != nil:
		dx := gradient{Activation: p.memory.plainLike(r.x)}
		c.backwardInput(p, dx.Activation, dz, r.weight, false)
		c.narrow.clamp(p, dx.Activation, p.tensors[c.X], r.limit)
		p.accumulate(c.X, dx, true)
	default:
		dx, add := p.gradientOf(c.X)
		c.backwardInput(p, dx, dz, r.weight, add)
	}
}

// before is how many rows before its own one an output row reads.
func (c *convOp) before() int { return c.Kernel - 1 - c.Ahead }

// windows returns the rows of x that the convolution multiplies. Output row t reads the input rows t·Stride−before …
// t·Stride+Ahead, which are consecutive in memory, so that a convolution is one matrix product of overlapping rows
// (Kernel·In values each) with the weight as a (Kernel·In, Width) matrix.
func (c *convOp) windows(x Activation) device.View {
	return x.windows(-c.before(), device.CeilDiv(x.Rows, c.Stride), c.Kernel, c.Stride)
}

// convolve returns the convolution of x, without padding. x must have padding unless Kernel is 1.
func (c *convOp) convolve(p *Pass, x Activation) Activation {
	if x.Cols != c.In {
		panic(fmt.Sprintf("training: %s %v applied to %v", c.Weight, c.weight.Shape, x.View))
	}
	r := saved{x: x, weight: c.weight.Value}
	if c.narrow != nil {
		r.weight = c.narrow.weights(p)
		r.x, r.limit = c.narrow.round(p, x)
	}
	windows := c.windows(r.x)
	y := p.memory.plain(x.Groups, windows.Rows, c.Width)
	w := p.pack()
	p.dev.PackWindows(w, r.weight, c.Width, windows)
	p.dev.MatMul(y.View, windows, w, device.Epilogue{})
	p.save(r)
	return y
}

// backwardInput computes the convolution's gradient with respect to its input, or adds it to dx. dy has padding.
//
// Input row Stride·q + r, of phase r, is tap k of output row t where t·Stride − before + k = Stride·q + r. So only
// every Stride-th tap belongs to a phase, beginning with k0 = (r+before) mod Stride, and the rows of dy that it
// multiplies are consecutive, the last one being q + (r+before−k0)/Stride. Each phase is therefore a convolution of
// stride 1 over dy whose kernel is these taps, transposed and in reverse order.
func (c *convOp) backwardInput(p *Pass, dx, dy Activation, weight device.Buffer, add bool) {
	for r := range min(c.Stride, dx.Rows) {
		k0 := (r + c.before()) % c.Stride
		rows := dx.every(r, c.Stride)
		if k0 >= c.Kernel { // no window reads this phase
			if !add {
				p.dev.Fill(rows, 0)
			}
			continue
		}
		taps := device.CeilDiv(c.Kernel-k0, c.Stride)
		first := (r+c.before()-k0)/c.Stride - (taps - 1)
		windows := dy.windows(first, rows.Rows, taps, 1)
		w := p.pack()
		p.dev.PackWindows(w, c.phase(p, weight, k0, taps), c.In, windows)
		p.dev.MatMul(rows, windows, w, device.Epilogue{Accumulate: add})
	}
}

// phase returns the taps k0, k0+Stride, ... of the weight, each transposed, the last one first: (taps·Width, In).
func (c *convOp) phase(p *Pass, weight device.Buffer, k0, taps int) device.Buffer {
	size := c.In * c.Width
	w := p.memory.alloc(taps * size)
	p.dev.Transpose(
		device.View{Data: w, Groups: taps, Rows: c.Width, Cols: c.In, GroupStride: size, RowStride: c.In},
		device.View{
			Data:   weight.Slice(k0*size, weight.Len()),
			Groups: taps, Rows: c.In, Cols: c.Width, GroupStride: c.Stride * size, RowStride: c.Width,
		}, true)
	return w
}

// forwardProduct returns f + s + a·BN(f∘s).
func (c *convOp) forwardProduct(p *Pass, f, s Activation) Activation {
	k := c.product.statistics(p, f.View, s.View)
	y := p.activation(f.Groups, f.Rows, f.Cols)
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

// depthwiseOp computes an OpDepthwise and its norm.
type depthwiseOp struct {
	*polynet.Step
	weight *Param // (Kernel, 1, Width)
	norm   *batchNorm
}

func (o *depthwiseOp) forward(p *Pass) Activation {
	x := p.tensors[o.X]
	z := p.memory.plainLike(x)
	p.dev.Depthwise(z.View, o.windows(x, o.Ahead), o.weight.Value, device.Buffer{}, false)
	p.save(saved{x: x})
	return o.norm.forward(p, z, Activation{}, false)
}

// backward convolves the gradient with the taps in reverse order: input row t is tap k of output row
// t + Kernel − 1 − Ahead − k.
func (o *depthwiseOp) backward(p *Pass, dy gradient) {
	dz := o.norm.backward(p, dy.Activation, p.restore())
	p.dev.DepthwiseGrad(o.weight.Grad, o.windows(p.restore().x, o.Ahead), dz.View)
	if !p.wanted(o.X) {
		return
	}
	reversed := p.memory.alloc(o.Kernel * o.Width)
	taps := device.View{Groups: o.Kernel, GroupStride: o.Width}
	src, dst := taps, taps
	src.Data, src.Rows, src.Cols, src.RowStride = o.weight.Value, 1, o.Width, o.Width
	dst.Data, dst.Rows, dst.Cols, dst.RowStride = reversed, o.Width, 1, 1
	p.dev.Transpose(dst, src, true)
	dx, add := p.gradientOf(o.X)
	p.dev.Depthwise(dx.View, o.windows(dz, o.Kernel-1-o.Ahead), reversed, device.Buffer{}, add)
}

// windows returns the rows of x that each row with so many rows of lookahead is computed from.
func (o *depthwiseOp) windows(x Activation, ahead int) device.View {
	if x.Cols != o.Width {
		panic(fmt.Sprintf("training: %s %v applied to %v", o.Name, o.weight.Shape, x.View))
	}
	return x.windows(ahead+1-o.Kernel, x.Rows, o.Kernel, 1)
}

// productOp computes an OpProduct: x∘y, or x∘y + x.
type productOp struct{ *polynet.Step }

func (o productOp) forward(p *Pass) Activation {
	x, y := p.tensors[o.X], p.tensors[o.Y]
	z := p.memory.plainLike(x)
	if o.Plus {
		p.add(z.View, x.View, device.View{})
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
