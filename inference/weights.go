package inference

import (
	"slices"
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
	weight              *device.Packed // (Kernel·In, Width), but of OpDepthwise; for bytes of narrow convolutions
	taps                device.Buffer  // (Kernel, Width), of OpDepthwise
	bias, scale, offset device.Buffer  // (Width)
	multiply            device.Buffer  // (Width), of narrow convolutions: WeightScale·InputScale
	quantises           bool           // of OpRound: its result is bytes
	round               float32        // the scale of OpRound, and of the bytes that a narrow convolution writes
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
		windows := device.View{
			Groups: size.streams, Rows: device.CeilDiv(size.frames, geometry[polynet.Output(i)].Stride),
			Cols: s.Kernel * s.In, RowStride: s.Stride * s.In,
		}
		b := boundStep{Step: s, bias: upload(s.Bias), scale: upload(s.Scale), offset: upload(s.Offset)}
		switch {
		case isNarrow(s):
			b.weight = packNarrow(p.dev.(device.Narrow), s, p.values.Levels(s.Weight), windows)
			scales := slices.Clone(values(s.WeightScale))
			for c := range scales {
				scales[c] *= scalar(p.values, s.InputScale)
			}
			b.multiply = p.upload(scales)
			if writesBytes(p.program, i) {
				b.round = scalar(p.values, p.program.Steps[i+1].InputScale)
			}
		case s.Op == polynet.OpConv:
			b.weight = new(device.Packed)
			p.dev.PackWindows(b.weight, stage(s.Weight), s.Width, windows)
		case s.Op == polynet.OpDepthwise:
			b.taps = upload(s.Weight)
		case s.Op == polynet.OpRound:
			b.round, b.quantises = scalar(p.values, s.InputScale), multipliesBytes(p.dev)
		case s.Op == polynet.OpLinear:
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
		for _, b := range []device.Buffer{s.taps, s.bias, s.scale, s.offset, s.multiply} {
			d.Free(b)
		}
	}
}

// operands are a step's result dst and its operands. Those that the step does not have are empty. The x of a
// convolution is its overlapping windows.
type operands struct {
	dst, x, y, skip, add device.View
	bytes                device.View // the result of the OpRound after a step that computes it
	inPlace              bool        // dst has the memory of inPlaceOperand
	written              bool        // the step before this one, an OpRound, has computed it
}

// inPlaceOperand returns the operand that the step can overwrite with its result, because each element of the result is
// computed from the same element of this operand, or NoTensor.
func inPlaceOperand(s *polynet.Step) polynet.Tensor {
	switch {
	case s.Op == polynet.OpDepthwise || s.Op == polynet.OpRound:
		return polynet.NoTensor
	case s.Op != polynet.OpConv:
		return s.X
	case s.Add != polynet.NoTensor && !isNarrow(s):
		return s.Add
	}
	return s.Skip
}

// run computes the step.
func (s *boundStep) run(d device.Device, o *operands) {
	switch {
	case o.written:
	case isNarrow(s.Step):
		s.runNarrow(d.(device.Narrow), o)
	case s.Op == polynet.OpConv || s.Op == polynet.OpLinear:
		accumulate := s.Add != polynet.NoTensor
		if accumulate && !o.inPlace {
			copyRows(d, o.dst, o.add)
		}
		d.MatMul(o.dst, o.x, s.weight, device.Epilogue{
			Accumulate: accumulate, Shift: s.bias, Skip: o.skip, Scale: s.scale, Offset: s.offset, ReLU: s.ReLU,
		})
	case s.Op == polynet.OpDepthwise:
		d.Depthwise(o.dst, o.x, s.taps, s.bias, false)
	case s.Op == polynet.OpProduct:
		if s.Plus && !o.inPlace {
			copyRows(d, o.dst, o.x)
		}
		d.Hadamard(o.dst, o.x, o.y, s.Plus)
	case s.Op == polynet.OpTanh:
		d.Tanh(o.dst, o.x)
	case s.Op == polynet.OpRound:
		if s.quantises {
			d.(device.Narrow).Quantise(o.dst, o.x, s.round)
		} else {
			copyRows(d, o.dst, o.x)
		}
	default:
		panic("inference: no kernel for step " + s.Name)
	}
}

// copyRows sets dst's rows to src's.
func copyRows(d device.Device, dst, src device.View) {
	none := device.Buffer{}
	d.Affine(dst, src, device.View{}, none, none, none, false)
}
