package polynet

import (
	"math"
	"slices"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
)

// Plan is a model compiled for inference on one device: batch norms are folded into the convolutions' weights, the
// weights are packed for the device's matrix product, and what follows a product (shift, skip, Hadamard term, ReLU) is
// its epilogue, so that a `pi` block is two products and writes each activation once. A Plan is immutable and shared
// by goroutines; each works in a Session of its own.
type Plan struct {
	dev    device.Device
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
//
// The normalisation of the features stays outside the weights: folded into the stem it would no longer make the
// padding zero, and for a mel that hardly varies in the training data it would cancel large terms.
func (m *Model) Compile(d device.Device) (*Plan, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m.compile(d, m.Features.Frames(m.windowSamples())), nil
}

// compile is Compile of a valid model for runs over so many frames at a time: it may run over others, but not as fast.
func (m *Model) compile(d device.Device, frames int) *Plan {
	c := compiler{m: m, dev: d, rows: frames}
	p := &Plan{dev: d, config: m.Net, norm: m.Norm}
	s := m.Net.Stem
	p.stem = c.conv("stem.conv", "stem.norm", s.Kernel, s.Ahead, s.Stride)
	c.rows = p.stem.rows(c.rows)
	for _, spec := range m.Net.blocks() {
		p.blocks = append(p.blocks, c.block(spec))
	}
	p.head = c.head()
	d.Free(c.source)
	return p
}

// compiler folds and packs a model's weights.
type compiler struct {
	m    *Model
	dev  device.Device
	rows int // of the next convolution's input, in a window

	folded []float32     // scratch: a convolution's weight
	source device.Buffer // and its place on the device, before it is packed
}

func (c *compiler) weight(name string) []float32 { return c.m.Weights[name].Data().([]float32) }

func (c *compiler) block(spec blockSpec) foldedBlock {
	b := foldedBlock{spec: spec}
	if spec.hasSkip {
		b.skip = c.conv(spec.name+".skip.conv", spec.name+".skip.norm", 1, 0, spec.stride)
	}
	b.conv1 = c.conv(spec.name+".conv1", spec.name+".norm1", spec.kernel, spec.ahead, spec.stride)
	c.rows = b.conv1.rows(c.rows)
	b.conv2 = c.conv(spec.name+".conv2", spec.name+".norm2", spec.kernel, spec.ahead, 1)
	if !spec.product {
		return b
	}
	scale, offset := c.normTerms(spec.name + ".product.norm")
	a := float64(c.weight(spec.name + ".product.scale")[0])
	for i := range scale {
		scale[i] *= a
		offset[i] *= a
	}
	if spec.mixed {
		b.mix = c.fold(spec.name+".product.conv", scale, offset, 1, 0, 1)
	} else {
		b.scale, b.offset = c.upload(scale), c.upload(offset)
	}
	return b
}

// conv returns the convolution and the batch norm behind it as one.
func (c *compiler) conv(conv, norm string, kernel, ahead, stride int) foldedConv {
	scale, shift := c.normTerms(norm)
	return c.fold(conv, scale, shift, kernel, ahead, stride)
}

// normTerms returns a batch norm as x → scale∘x + shift, by its running statistics.
func (c *compiler) normTerms(name string) (scale, shift []float64) {
	weight, bias := c.weight(name+".weight"), c.weight(name+".bias")
	mean, variance := c.weight(name+".running_mean"), c.weight(name+".running_var")
	scale, shift = make([]float64, len(weight)), make([]float64, len(weight))
	for i := range scale {
		scale[i] = float64(weight[i]) / math.Sqrt(float64(variance[i])+normEpsilon)
		shift[i] = float64(bias[i]) - float64(mean[i])*scale[i]
	}
	return scale, shift
}

// fold packs a convolution whose output channels are scaled and shifted.
func (c *compiler) fold(name string, scale, shift []float64, kernel, ahead, stride int) foldedConv {
	weight, out := c.weight(name+".weight"), len(scale)
	c.folded = slices.Grow(c.folded[:0], len(weight))[:len(weight)]
	for start := 0; start < len(weight); start += out {
		row, scale := c.folded[start:start+out], scale[:out]
		for o, w := range weight[start : start+out] {
			row[o] = float32(float64(w) * scale[o])
		}
	}
	in := len(weight) / (kernel * out)
	windows := device.View{Groups: 1, Rows: ceilDiv(c.rows, stride), Cols: kernel * in, RowStride: stride * in}
	return foldedConv{
		weight: c.packWindows(c.folded, out, windows), shift: c.upload(shift),
		in: in, out: out, kernel: kernel, ahead: ahead, stride: stride,
	}
}

func (c *compiler) head() foldedConv {
	weight, bias := c.weight("head.weight"), c.weight("head.bias")
	return foldedConv{
		weight: c.pack(weight, len(bias)), shift: c.place(bias),
		in: len(weight) / len(bias), out: len(bias), kernel: 1, stride: 1,
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

// upload rounds values to float32 and places them on the device.
func (c *compiler) upload(values []float64) device.Buffer {
	single := make([]float32, len(values))
	for i, v := range values {
		single[i] = float32(v)
	}
	return c.place(single)
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
