package polynet

import (
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
)

// Plan is a model compiled for inference on one device: batch norms are folded into the convolutions' weights, the
// weights are packed for the device's matrix product, and what follows a product (shift, skip, Hadamard term, ReLU) is
// its epilogue, so that a `pi` block is two products and writes each activation once. A Plan is immutable and shared
// by goroutines; each works in a Session of its own.
type Plan struct {
	dev     device.Trainer
	single  device.Trainer // for a clip alone, whose layers are too short to hand over
	config  Config
	norm    features.Norm
	program *program
	steps   []instruction
	head    instruction // over the means

	listener device.LogMeler // nil: features are made by the processor
	sound    device.LogMelSpec
}

// instruction is a step with what it takes of a model, on a device.
type instruction struct {
	*step
	weight                      *device.Packed // of a convolution: (kernel·in, width)
	shift                       device.Buffer  // (width)
	scale, offset               device.Buffer  // the product's norm with its factor, (width)
	instanceScale, instanceBias device.Buffer  // (instance)
}

// Compile prepares the model for inference on d. A model that is not consistent gives an error that wraps ErrModel.
func (m *Model) Compile(d device.Trainer) (*Plan, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m.compile(d, 1, m.Features.Frames(m.windowSamples())), nil
}

// compile is Compile of a valid model for runs over so many frames of so many clips at a time: it may run over others, but not
// as fast.
func (m *Model) compile(d device.Trainer, clips, frames int) *Plan {
	fused, c := m.fused(), compiler{dev: d}
	p := &Plan{
		dev: d, single: d.Serial().(device.Trainer), config: m.Net, norm: m.Norm, program: m.Net.program().settled(),
		steps: make([]instruction, len(fused.Steps)),
	}
	rows := p.program.rows(frames)
	for i := range p.steps {
		s := &p.program.steps[i]
		p.steps[i] = c.instruction(s, &fused.Steps[i], clips, rows[made(i)])
	}
	p.head.weight, p.head.shift = c.pack(fused.Head.Weight, fused.Head.Out), c.place(fused.Head.Shift)
	d.Free(c.source)
	return p
}

// hear has the device make the features of sounds itself, with e's numbers, where it can.
func (p *Plan) hear(e *features.Extractor) {
	listener, ok := p.dev.(device.LogMeler)
	f := e.Config()
	if !ok || !listener.SupportsLogMel(device.LogMelSpec{FFT: f.FFT}) {
		return
	}
	before, _ := f.Margins()
	spans, bank := e.MelSpans()
	place := (&compiler{dev: p.dev}).place
	p.listener = listener
	p.sound = device.LogMelSpec{
		FFT: f.FFT, Hop: f.Hop, Before: before,
		Window: place(e.WindowWeights()), Roots: place(e.FourierRoots()), Spans: place(spans), Bank: place(bank), Floor: float32(f.Floor), Mean: place(p.norm.Mean), Std: place(p.norm.Std), Limit: p.norm.Limit,
	}
}

// compiler packs a model's weights.
type compiler struct {
	dev    device.Trainer
	source device.Buffer // scratch: a weight before it is packed
}

// instruction returns the step, which gives so many rows of each of so many clips.
func (c *compiler) instruction(s *step, f *FusedStep, clips, rows int) instruction {
	n := instruction{step: s}
	if s.op != opConv {
		return n
	}
	windows := device.View{Groups: clips, Rows: rows, Cols: s.kernel * s.in, RowStride: s.stride * s.in}
	n.weight, n.shift = c.packWindows(f.Conv.Weight, s.width, windows), c.place(f.Conv.Shift)
	if f.Scale != nil {
		n.scale, n.offset = c.place(f.Scale), c.place(f.Offset)
	}
	if f.Instance != nil {
		n.instanceScale, n.instanceBias = c.place(f.Instance.Weight), c.place(f.Instance.Bias)
	}
	return n
}

// packWindows returns the matrix w of n columns in the device's layout for such windows.
func (c *compiler) packWindows(w []float32, n int, windows device.View) *device.Packed {
	packed := new(device.Packed)
	c.dev.PackWindows(packed, c.stage(w), n, windows)
	return packed
}

// pack returns the (len(w)/n, n) matrix w in the device's layout.
func (c *compiler) pack(w []float32, n int) *device.Packed {
	packed := new(device.Packed)
	c.dev.Pack(packed, c.stage(w), len(w)/n, n)
	return packed
}

// stage returns device memory with the values that the next call of stage overwrites.
func (c *compiler) stage(values []float32) device.Buffer {
	if c.source.Len() < len(values) {
		c.dev.Free(c.source)
		c.source = c.dev.Alloc(len(values))
	}
	b := c.source.Slice(0, len(values))
	c.dev.Upload(b, values)
	return b
}

// place returns device memory with the values.
func (c *compiler) place(values []float32) device.Buffer {
	b := c.dev.Alloc(len(values))
	c.dev.Upload(b, values)
	return b
}

// Close gives the Plan's memory back to the device. Neither it nor its Sessions may be used any more.
func (p *Plan) Close() {
	for i := range p.steps {
		p.steps[i].free(p.dev)
	}
	p.head.free(p.dev)
	for _, b := range []device.Buffer{p.sound.Window, p.sound.Roots, p.sound.Spans, p.sound.Bank, p.sound.Mean, p.sound.Std} {
		p.dev.Free(b)
	}
}

func (n *instruction) free(d device.Trainer) {
	if n.weight != nil {
		d.Free(n.weight.Data)
	}
	for _, b := range []device.Buffer{n.shift, n.scale, n.offset, n.instanceScale, n.instanceBias} {
		d.Free(b)
	}
}

// operands are what a step works on. x is the windows where it is a convolution; of the others, those that the step has not are
// empty.
type operands struct {
	x, y, skip, add device.View
	inPlace         bool // the result takes the memory of the operand that it may (see step.home)
}

// home returns the operand whose memory the step can give its result, or none: an element of the result is computed of the same
// element there.
func (s *step) home() value {
	switch {
	case s.op == opMaxPool:
		return none
	case s.op != opConv:
		return s.x
	case s.add != none:
		return s.add
	}
	return s.skip
}

// run computes the step. scratch is memory for instance norms.
func (n *instruction) run(d device.Trainer, dst device.View, o *operands, scratch device.Buffer) {
	switch n.op {
	case opProduct:
		if n.plus && !o.inPlace {
			copyRows(d, dst, o.x)
		}
		d.Hadamard(dst, o.x, o.y, n.plus)
	case opTanh:
		d.Tanh(dst, o.x)
	case opMaxPool:
		d.MaxRows(dst, o.x, poolReach)
	case opConv:
		if n.add != none && !o.inPlace {
			copyRows(d, dst, o.add)
		}
		d.MatMul(dst, o.x, n.weight, device.Epilogue{
			Accumulate: n.add != none, Shift: n.shift, Skip: o.skip, Scale: n.scale, Offset: n.offset, ReLU: n.relu,
		})
		if n.instance > 0 {
			n.normaliseClips(d, dst, scratch)
		}
	}
}

// copyRows sets dst's rows to src's.
func copyRows(d device.Trainer, dst, src device.View) {
	none := device.Buffer{}
	d.Affine(dst, src, device.View{}, none, none, none, false)
}

// normaliseClips applies the instance norm to the rows that the convolution gave.
func (n *instruction) normaliseClips(d device.Trainer, y device.View, scratch device.Buffer) {
	size := n.instance
	k := device.Norm{
		Gamma: n.instanceScale, Beta: n.instanceBias, Mean: scratch.Slice(0, size), Var: scratch.Slice(size, 2*size),
		Scale: scratch.Slice(2*size, 3*size), Shift: scratch.Slice(3*size, 4*size),
	}
	for g := range y.Groups {
		clip := clipColumns(y, g, size)
		normaliseClip(d, k, clip, clip, device.View{}, false)
	}
}
