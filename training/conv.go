package polynet

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
)

// convolution over time. Output row t reads the input rows t·stride−left … t·stride+ahead, which lie behind one another,
// so the layer is one matrix product of overlapping rows (kernel·in values each) with the weight, (kernel·in, out). What it
// returns has no padding, what it is given must have some unless kernel is 1.
type convolution struct {
	weight                         *Param // (kernel, in, out)
	in, out, kernel, ahead, stride int
}

func newConvolution(name string, in, out, kernel, ahead, stride int) *convolution {
	return &convolution{
		weight: &Param{
			Name: name + ".weight", Shape: []int{kernel, in, out}, Kind: Decayed, initial: kaiming(kernel * out),
		},
		in: in, out: out, kernel: kernel, ahead: ahead, stride: stride,
	}
}

func (c *convolution) Params() []*Param { return []*Param{c.weight} }

func (c *convolution) left() int { return c.kernel - 1 - c.ahead }

// windows returns the rows of x that the convolution multiplies.
func (c *convolution) windows(x Activation) device.View {
	return x.windows(-c.left(), ceilDiv(x.Rows, c.stride), c.kernel, c.stride)
}

func (c *convolution) Forward(p *Pass, x Activation) Activation {
	if x.Cols != c.in {
		panic(fmt.Sprintf("polynet: %s %v applied to %v", c.weight.Name, c.weight.Shape, x.View))
	}
	y := p.plain(x.Groups, ceilDiv(x.Rows, c.stride), c.out)
	windows := c.windows(x)
	w := p.packWindows(c.weight.Value, c.out, windows)
	p.dev.MatMul(y.View, windows, w, device.Epilogue{})
	p.save(record{x: x})
	return y
}

func (c *convolution) Backward(p *Pass, dy Activation) Activation {
	x := c.backwardWeight(p, dy)
	dx := p.plainLike(x)
	c.backwardInput(p, dx, dy, false)
	return dx
}

// backwardWeight adds the weight's gradient and returns the input that Forward had.
func (c *convolution) backwardWeight(p *Pass, dy Activation) Activation {
	x := p.restore().x
	p.dev.MatMulTransA(c.weight.Grad, c.windows(x), dy.View)
	return x
}

// backwardInput computes the gradient with respect to the input, or adds it to dx.
//
// Input row stride·q + r, of phase r, is tap k of output row t where t·stride − left + k = stride·q + r. So only every
// stride-th tap belongs to a phase, beginning with k0 = (r+left) mod stride, and the rows of dy that it meets are
// consecutive, the last one being q + (r+left−k0)/stride. Each phase is therefore a convolution of stride 1 over dy whose
// kernel is these taps, transposed and in reverse order.
func (c *convolution) backwardInput(p *Pass, dx, dy Activation, accumulate bool) {
	for r := range min(c.stride, dx.Rows) {
		k0 := (r + c.left()) % c.stride
		rows := dx.every(r, c.stride)
		if k0 >= c.kernel { // no window reads this phase
			if !accumulate {
				p.dev.Fill(rows, 0)
			}
			continue
		}
		taps := ceilDiv(c.kernel-k0, c.stride)
		first := (r+c.left()-k0)/c.stride - (taps - 1)
		windows := dy.windows(first, rows.Rows, taps, 1)
		w := p.packWindows(c.phase(p, k0, taps), c.in, windows)
		p.dev.MatMul(rows, windows, w, device.Epilogue{Accumulate: accumulate})
	}
}

// phase returns the taps k0, k0+stride, ... of the weight, each transposed, the last one first: (taps·out, in).
func (c *convolution) phase(p *Pass, k0, taps int) device.Buffer {
	size := c.in * c.out
	w := p.vector(taps * size)
	p.dev.Transpose(
		device.View{Data: w, Groups: taps, Rows: c.out, Cols: c.in, GroupStride: size, RowStride: c.in},
		device.View{
			Data:   c.weight.Value.Slice(k0*size, c.weight.Value.Len()),
			Groups: taps, Rows: c.in, Cols: c.out, GroupStride: c.stride * size, RowStride: c.out,
		}, true)
	return w
}
