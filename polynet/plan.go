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
	dev    device.Device
	single device.Device // for a clip alone, whose layers are too short to hand over
	config Config
	norm   features.Norm
	stem   foldedConv
	blocks []foldedBlock
	head   foldedConv // of kernel 1, over the means
}

// foldedConv is a convolution with its batch norm folded into it: y = x·weight + shift.
type foldedConv struct {
	weight                         *device.Packed // (kernel·in, out)
	shift                          device.Buffer  // (out)
	in, out, kernel, ahead, stride int
}

// foldedBlock is a residual block. Its product's norm, z → scale∘z + offset with the factor a in both, is conv2's epilogue
// (pi) or folded into mix (pi1x1).
type foldedBlock struct {
	spec          blockSpec
	conv1, conv2  foldedConv
	skip, mix     foldedConv // where the spec says so
	scale, offset device.Buffer
}

// Compile prepares the model for inference on d. A model that is not consistent gives an error that wraps ErrModel.
func (m *Model) Compile(d device.Device) (*Plan, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m.compile(d, m.Features.Frames(m.windowSamples())), nil
}

// compile is Compile of a valid model for runs over so many frames at a time: it may run over others, but not as fast.
func (m *Model) compile(d device.Device, frames int) *Plan {
	fused, c := m.fused(), compiler{dev: d, rows: frames}
	p := &Plan{dev: d, single: device.OneThread(d), config: m.Net, norm: m.Norm}
	p.stem = c.conv(fused.Stem)
	c.rows = p.stem.rows(c.rows)
	for i, spec := range m.Net.blocks() {
		p.blocks = append(p.blocks, c.block(spec, fused.Blocks[i]))
	}
	head := fused.Head
	p.head = foldedConv{
		weight: c.pack(head.Weight, head.Out), shift: c.place(head.Shift), in: head.In, out: head.Out, kernel: 1, stride: 1,
	}
	d.Free(c.source)
	return p
}

// compiler packs a model's weights.
type compiler struct {
	dev  device.Device
	rows int // of the next convolution's input, in a window

	source device.Buffer // scratch: a weight before it is packed
}

func (c *compiler) block(spec blockSpec, f FusedBlock) foldedBlock {
	b := foldedBlock{spec: spec}
	if f.Skip != nil {
		b.skip = c.conv(*f.Skip)
	}
	b.conv1 = c.conv(f.Conv1)
	c.rows = b.conv1.rows(c.rows)
	b.conv2 = c.conv(f.Conv2)
	if f.Mix != nil {
		b.mix = c.conv(*f.Mix)
	}
	if f.Scale != nil {
		b.scale, b.offset = c.place(f.Scale), c.place(f.Offset)
	}
	return b
}

func (c *compiler) conv(f FusedConv) foldedConv {
	windows := device.View{Groups: 1, Rows: ceilDiv(c.rows, f.Stride), Cols: f.Kernel * f.In, RowStride: f.Stride * f.In}
	return foldedConv{
		weight: c.packWindows(f.Weight, f.Out, windows), shift: c.place(f.Shift),
		in: f.In, out: f.Out, kernel: f.Kernel, ahead: f.Ahead, stride: f.Stride,
	}
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
	convs := []foldedConv{p.stem, p.head}
	for _, b := range p.blocks {
		convs = append(convs, b.conv1, b.conv2, b.skip, b.mix)
		p.dev.Free(b.scale)
		p.dev.Free(b.offset)
	}
	for _, c := range convs {
		if c.weight != nil {
			p.dev.Free(c.weight.Data)
			p.dev.Free(c.shift)
		}
	}
}

// rows returns how many rows the convolution makes of n.
func (c *foldedConv) rows(n int) int { return ceilDiv(n, c.stride) }

// windows returns the rows of x that the convolution multiplies.
func (c *foldedConv) windows(x Activation) device.View {
	return x.windows(-(c.kernel - 1 - c.ahead), c.rows(x.Rows), c.kernel, c.stride)
}
