package inference

import (
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// weights are a model's weights on a device, packed for runs of one size: they serve others too, but not as fast.
type weights struct {
	program *polynet.Program
	steps   []boundStep // the last two are the mean over time and the linear layer
}

// boundStep is a step of a Program with its weights on a device; those that it has not are empty.
type boundStep struct {
	*polynet.Step
	weight              *device.Packed // (Kernel·In, Width)
	bias, scale, offset device.Buffer  // (Width)
}

// pack folds the model's norms and places its weights on the device.
func (p *Plan) pack(size runSize) (*weights, error) {
	program, values, err := p.model.Inference()
	if err != nil {
		return nil, err
	}
	var scratch device.Buffer // a weight before it is packed
	defer func() { p.dev.Free(scratch) }()
	stage := func(name string) device.Buffer {
		list := values[name].Data().([]float32)
		if scratch.Len() < len(list) {
			p.dev.Free(scratch)
			scratch = p.dev.Alloc(len(list))
		}
		b := scratch.Slice(0, len(list))
		p.dev.Upload(b, list)
		return b
	}
	place := func(name string) device.Buffer {
		if name == "" {
			return device.Buffer{}
		}
		return upload(p.dev, values[name].Data().([]float32))
	}
	w := &weights{program: program, steps: make([]boundStep, len(program.Steps))}
	rows := program.Rows(size.frames)
	for i := range w.steps {
		s := &program.Steps[i]
		b := boundStep{Step: s, bias: place(s.Bias), scale: place(s.Scale), offset: place(s.Offset)}
		switch s.Op {
		case polynet.OpConv:
			b.weight = new(device.Packed)
			p.dev.PackWindows(b.weight, stage(s.Weight), s.Width, device.View{
				Groups: size.streams, Rows: rows[polynet.Output(i)], Cols: s.Kernel * s.In, RowStride: s.Stride * s.In,
			})
		case polynet.OpLinear:
			b.weight = new(device.Packed)
			p.dev.Pack(b.weight, stage(s.Weight), s.In, s.Width)
		}
		w.steps[i] = b
	}
	return w, nil
}

func (w *weights) free(d device.Device) {
	for _, s := range w.steps {
		if s.weight != nil {
			d.Free(s.weight.Data)
		}
		for _, b := range []device.Buffer{s.bias, s.scale, s.offset} {
			d.Free(b)
		}
	}
}

// head returns the linear layer.
func (w *weights) head() *boundStep { return &w.steps[len(w.steps)-1] }

// operands are what a step works on. x is the overlapping windows where it is a convolution. Those that the step has not are empty.
type operands struct {
	x, y, skip, add device.View
	inPlace         bool // the result takes the memory of the operand that inPlaceOperand names
}

// inPlaceOperand returns the operand whose memory the step can give its result, or NoTensor: an element of the result is
// computed of the same element there.
func inPlaceOperand(s *polynet.Step) polynet.Tensor {
	switch {
	case s.Op != polynet.OpConv:
		return s.X
	case s.Add != polynet.NoTensor:
		return s.Add
	}
	return s.Skip
}

// run computes the step.
func (s *boundStep) run(d device.Device, dst device.View, o *operands) {
	switch s.Op {
	case polynet.OpConv:
		accumulate := s.Add != polynet.NoTensor
		if accumulate && !o.inPlace {
			copyRows(d, dst, o.add)
		}
		d.MatMul(dst, o.x, s.weight, device.Epilogue{
			Accumulate: accumulate, Shift: s.bias, Skip: o.skip, Scale: s.scale, Offset: s.offset, ReLU: s.ReLU,
		})
	case polynet.OpProduct:
		if s.Plus && !o.inPlace {
			copyRows(d, dst, o.x)
		}
		d.Hadamard(dst, o.x, o.y, s.Plus)
	case polynet.OpTanh:
		d.Tanh(dst, o.x)
	default:
		panic("inference: no kernel for step " + s.Name)
	}
}

// copyRows sets dst's rows to src's.
func copyRows(d device.Device, dst, src device.View) {
	none := device.Buffer{}
	d.Affine(dst, src, device.View{}, none, none, none, false)
}
