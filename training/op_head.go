package training

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// poolRange is the frames of the input that the mean over time is taken over: count of them from first on. A count of 0
// stands for all frames.
type poolRange struct{ first, count int }

// of returns x's rows whose frames are in the range; stride is the frames of the input for each row. At least one must
// be.
func (r poolRange) of(x Activation, stride int) device.View {
	if r.count == 0 {
		return x.View
	}
	first, end := r.rows(x.Rows, stride)
	v := x.every(first, 1)
	v.Rows = end - first
	return v
}

// rows returns which of so many rows are in the range, first to before end.
func (r poolRange) rows(rows, stride int) (first, end int) {
	if r.count == 0 {
		return 0, rows
	}
	first, end = device.CeilDiv(r.first, stride), min(device.CeilDiv(r.first+r.count, stride), rows)
	if r.first < 0 || end <= first {
		panic(fmt.Sprintf("training: the mean over frames [%d,%d) of %d rows, one in %d frames",
			r.first, r.first+r.count, rows, stride))
	}
	return first, end
}

// clip returns the rows of one clip that are in the range, moved by so many rows.
func (r poolRange) clip(x Activation, stride, clip, shift int) device.View {
	first, end := r.rows(x.Rows, stride)
	v := x.every(first+shift, 1)
	v.Rows = end - first
	return clipOf(v, clip)
}

// clipOf returns the part of a view that is one clip.
func clipOf(v device.View, g int) device.View {
	v.Data = v.Data.Slice(g*v.GroupStride, v.Data.Len())
	v.Groups = 1
	return v
}

// meanOp computes an OpMean: the mean over time of the rows in the Pass's range, which locate may move for each clip.
type meanOp struct {
	*polynet.Step
	stride int // frames of the input from one row of X to the next
}

func (o meanOp) forward(p *Pass) Activation {
	x := p.tensors[o.X]
	y := p.memory.plain(x.Groups, 1, x.Cols)
	if p.shifts = nil; p.locate != nil {
		p.shifts = p.locate(p, x, o.stride)
	}
	if p.shifts == nil {
		p.dev.AvgPool(y.View, p.pooled.of(x, o.stride))
	}
	for clip, shift := range p.shifts {
		p.dev.AvgPool(clipOf(y.View, clip), p.pooled.clip(x, o.stride, clip, shift))
	}
	return y
}

func (o meanOp) backward(p *Pass, dy gradient) {
	dx := gradient{p.gradientMemory.plainLike(p.tensors[o.X]), true}
	rows := p.pooled.of(dx.Activation, o.stride)
	if rows.Rows < dx.Rows {
		p.dev.Fill(dx.View, 0)
	}
	if p.shifts == nil {
		p.dev.AvgPoolGrad(rows, dy.View, 1/float32(rows.Rows))
	}
	for clip, shift := range p.shifts {
		p.dev.AvgPoolGrad(p.pooled.clip(dx.Activation, o.stride, clip, shift), clipOf(dy.View, clip), 1/float32(rows.Rows))
	}
	p.accumulate(o.X, dx, true)
}

// dropoutOp computes an OpDropout.
type dropoutOp struct{ *polynet.Step }

func (o dropoutOp) forward(p *Pass) Activation {
	x := p.tensors[o.X]
	if !p.Train {
		return x
	}
	values := make([]float32, x.Count()*x.Cols)
	for i := range values {
		if p.rng.Float64() >= o.Dropout {
			values[i] = float32(1 / (1 - o.Dropout)) // keeps the mean
		}
	}
	y, mask := p.memory.plainLike(x), p.memory.plainLike(x)
	p.dev.Upload(mask.Data, values)
	p.dev.Hadamard(y.View, x.View, mask.View, false)
	p.save(saved{y: mask})
	return y
}

func (o dropoutOp) backward(p *Pass, dy gradient) {
	if p.Train {
		p.dev.Hadamard(dy.View, dy.View, p.restore().y.View, false)
	}
	p.accumulate(o.X, dy, true)
}

// linearOp computes an OpLinear, as one matrix product of the rows of all clips.
type linearOp struct {
	*polynet.Step
	weight *Param     // (In, Width)
	bias   *Param     // (Width)
	narrow *narrowing // nil: the weight is float32
}

// values returns what the head multiplies by.
func (o linearOp) values(p *Pass) device.Buffer {
	if o.narrow != nil {
		return o.narrow.weights(p)
	}
	return o.weight.Value
}

func (o linearOp) forward(p *Pass) Activation {
	x := p.tensors[o.X]
	if x.Cols != o.In {
		panic(fmt.Sprintf("training: %s %v applied to %v", o.Weight, o.weight.Shape, x.View))
	}
	y := p.memory.plain(x.Groups, x.Rows, o.Width)
	w := p.pack()
	p.dev.Pack(w, o.values(p), o.In, o.Width)
	p.dev.MatMul(y.matrix(), x.matrix(), w, device.Epilogue{Shift: o.bias.Value})
	return y
}

func (o linearOp) backward(p *Pass, dy gradient) {
	x, dlogits := p.tensors[o.X], dy.matrix()
	p.dev.MatMulTransA(o.weight.Grad, x.matrix(), dlogits)
	sum := p.matrix(1, o.Width)
	p.dev.GradSums(sum.Data, device.Buffer{}, dlogits, device.View{}, device.View{})
	bias := device.Matrix(o.bias.Grad, 1, o.Width)
	p.add(bias, bias, sum)
	if !p.wanted(o.X) {
		return
	}
	transposed := p.matrix(o.Width, o.In)
	p.dev.Transpose(transposed, device.Matrix(o.values(p), o.In, o.Width), false)
	w := p.pack()
	p.dev.Pack(w, transposed.Data, o.Width, o.In)
	dx := gradient{Activation: p.memory.plainLike(x)}
	p.dev.MatMul(dx.matrix(), dlogits, w, device.Epilogue{})
	p.accumulate(o.X, dx, true)
}
