package inference

import (
	"sync"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// weights are a model's weights on a device, packed for runs of one size. Other runs can use them too, but are slower.
type weights struct {
	size   runSize
	groups int // that use them; guarded by Plan.mu

	mu    sync.Mutex
	steps []boundStep // nil until the first run; the last two are the mean over time and the linear layer
}

// boundStep is a step of a Program with its weights on a device. Weights that the step does not have are empty.
type boundStep struct {
	*polynet.Step
	weight              *device.Packed // (Kernel·In, Width), but of OpDepthwise
	taps                device.Buffer  // (Kernel, Width), of OpDepthwise
	bias, scale, offset device.Buffer  // (Width)
	round               float32        // the InputScale of OpRound
}

// packed returns the steps. The first call packs the weights; calls at the same time wait for it.
func (w *weights) packed(p *Plan) []boundStep {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.steps == nil {
		w.steps = p.pack(w.size)
	}
	return w.steps
}

// pack copies the program's weights to the device, packed for runs of the given size.
func (p *Plan) pack(size runSize) []boundStep {
	var scratch device.Buffer // a weight before it is packed
	defer func() { p.dev.Free(scratch) }()
	values := func(name string) []float32 { return p.values[name].Data().([]float32) }
	stage := func(name string) device.Buffer {
		list := values(name)
		if scratch.Len() < len(list) {
			p.dev.Free(scratch)
			scratch = p.dev.Alloc(len(list))
		}
		b := scratch.Slice(0, len(list))
		p.dev.Upload(b, list)
		return b
	}
	upload := func(name string) device.Buffer {
		if name == "" {
			return device.Buffer{}
		}
		return p.upload(values(name))
	}
	steps := make([]boundStep, len(p.program.Steps))
	geometry := p.program.Geometry()
	for i := range steps {
		s := &p.program.Steps[i]
		b := boundStep{Step: s, bias: upload(s.Bias), scale: upload(s.Scale), offset: upload(s.Offset)}
		switch s.Op {
		case polynet.OpConv:
			b.weight = new(device.Packed)
			p.dev.PackWindows(b.weight, stage(s.Weight), s.Width, device.View{
				Groups: size.streams, Rows: device.CeilDiv(size.frames, geometry[polynet.Output(i)].Stride),
				Cols: s.Kernel * s.In, RowStride: s.Stride * s.In,
			})
		case polynet.OpDepthwise:
			b.taps = upload(s.Weight)
		case polynet.OpRound:
			b.round = values(s.InputScale)[0]
		case polynet.OpLinear:
			b.weight = new(device.Packed)
			p.dev.Pack(b.weight, stage(s.Weight), s.In, s.Width)
		}
		steps[i] = b
	}
	return steps
}

func (w *weights) free(d device.Device) {
	for _, s := range w.steps {
		if s.weight != nil {
			d.Free(s.weight.Data)
		}
		for _, b := range []device.Buffer{s.taps, s.bias, s.scale, s.offset} {
			d.Free(b)
		}
	}
}

// operands are a step's result dst and its operands. Those that the step does not have are empty. The x of a
// convolution is its overlapping windows.
type operands struct {
	dst, x, y, skip, add device.View
	inPlace              bool // dst has the memory of inPlaceOperand
}

// inPlaceOperand returns the operand that the step can overwrite with its result, because each element of the result is
// computed from the same element of this operand, or NoTensor.
func inPlaceOperand(s *polynet.Step) polynet.Tensor {
	switch {
	case s.Op == polynet.OpDepthwise:
		return polynet.NoTensor
	case s.Op != polynet.OpConv:
		return s.X
	case s.Add != polynet.NoTensor:
		return s.Add
	}
	return s.Skip
}

// run computes the step.
func (s *boundStep) run(d device.Device, o *operands) {
	switch s.Op {
	case polynet.OpConv, polynet.OpLinear:
		accumulate := s.Add != polynet.NoTensor
		if accumulate && !o.inPlace {
			copyRows(d, o.dst, o.add)
		}
		d.MatMul(o.dst, o.x, s.weight, device.Epilogue{
			Accumulate: accumulate, Shift: s.bias, Skip: o.skip, Scale: s.scale, Offset: s.offset, ReLU: s.ReLU,
		})
	case polynet.OpDepthwise:
		d.Depthwise(o.dst, o.x, s.taps, s.bias, false)
	case polynet.OpProduct:
		if s.Plus && !o.inPlace {
			copyRows(d, o.dst, o.x)
		}
		d.Hadamard(o.dst, o.x, o.y, s.Plus)
	case polynet.OpTanh:
		d.Tanh(o.dst, o.x)
	case polynet.OpRound:
		roundRows(d, o.dst, o.x, s.round)
	default:
		panic("inference: no kernel for step " + s.Name)
	}
}

// roundRows sets dst's rows to x's, rounded. In a device's own memory they are copied as they are.
func roundRows(d device.Device, dst, x device.View, scale float32) {
	to, from := dst.Data.Host(), x.Data.Host()
	if to == nil {
		copyRows(d, dst, x)
		return
	}
	for g := range dst.Groups {
		for r := range dst.Rows {
			polynet.RoundTo(to[g*dst.GroupStride+r*dst.RowStride:][:dst.Cols], from[g*x.GroupStride+r*x.RowStride:], scale)
		}
	}
}

// copyRows sets dst's rows to src's.
func copyRows(d device.Device, dst, src device.View) {
	none := device.Buffer{}
	d.Affine(dst, src, device.View{}, none, none, none, false)
}
