package polynet

import "math"

// Fused is a model whose batch norms are folded into its convolutions, as it runs once it is trained. The normalisation
// of the features stays outside the weights: folded into the stem it would no longer make the padding zero, and for a
// mel that hardly varies in the training data it would cancel large terms.
type Fused struct {
	Stem   FusedConv
	Blocks []FusedBlock // in the order that sound runs through them
	Head   FusedConv    // of kernel 1, over the means
}

// FusedConv is a convolution (see Config) with the batch norm behind it: y = conv(x, Weight) + Shift.
type FusedConv struct {
	Name                           string    // the prefix of its weight's name: "stem.conv", "stages.0.1.conv2"
	Weight                         []float32 // (Kernel, In, Out)
	Shift                          []float32 // (Out)
	In, Out, Kernel, Ahead, Stride int
}

// FusedBlock is a residual block (see BlockKind) as F = Conv2(Conv1(x)), with max(·, 0) between where the block kind is
// ReLU, and S = x or Skip(x), joined in
//
//	linear, relu  F + S
//	pi            F + S + Scale∘F∘S + Offset
//	pi1x1         F + S + Mix(F∘S)
//
// The factor a is in Scale and Offset, or in Mix.
type FusedBlock struct {
	Name          string // the prefix of its weights' names: "stages.0.1"
	Conv1, Conv2  FusedConv
	Skip          *FusedConv // nil: S = x
	Mix           *FusedConv // pi1x1
	Scale, Offset []float32  // pi, (Width)
}

// Fuse folds the batch norms into the convolutions, in float64. A model that is not consistent gives an error that wraps
// ErrModel.
func (m *Model) Fuse() (*Fused, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m.fused(), nil
}

// fused is Fuse of a valid model.
func (m *Model) fused() *Fused {
	s := m.Net.Stem
	f := &Fused{Stem: m.fuseConv("stem.conv", "stem.norm", s.Kernel, s.Ahead, s.Stride)}
	for _, spec := range m.Net.blocks() {
		f.Blocks = append(f.Blocks, m.fuseBlock(spec))
	}
	bias := m.values("head.bias")
	f.Head = FusedConv{
		Name: "head", Weight: m.values("head.weight"), Shift: bias,
		In: len(m.values("head.weight")) / len(bias), Out: len(bias), Kernel: 1, Stride: 1,
	}
	return f
}

func (m *Model) values(name string) []float32 { return m.Weights[name].Data().([]float32) }

func (m *Model) fuseBlock(spec blockSpec) FusedBlock {
	b := FusedBlock{
		Name:  spec.name,
		Conv1: m.fuseConv(spec.name+".conv1", spec.name+".norm1", spec.kernel, spec.ahead, spec.stride),
		Conv2: m.fuseConv(spec.name+".conv2", spec.name+".norm2", spec.kernel, spec.ahead, 1),
	}
	if spec.hasSkip {
		skip := m.fuseConv(spec.name+".skip.conv", spec.name+".skip.norm", 1, 0, spec.stride)
		b.Skip = &skip
	}
	if !spec.product {
		return b
	}
	scale, offset := m.normTerms(spec.name + ".product.norm")
	a := float64(m.values(spec.name + ".product.scale")[0])
	for i := range scale {
		scale[i] *= a
		offset[i] *= a
	}
	if spec.mixed {
		mix := m.fold(spec.name+".product.conv", scale, offset, 1, 0, 1)
		b.Mix = &mix
	} else {
		b.Scale, b.Offset = singles(scale), singles(offset)
	}
	return b
}

// fuseConv returns the convolution and the batch norm behind it as one.
func (m *Model) fuseConv(conv, norm string, kernel, ahead, stride int) FusedConv {
	scale, shift := m.normTerms(norm)
	return m.fold(conv, scale, shift, kernel, ahead, stride)
}

// normTerms returns a batch norm as x → scale∘x + shift, by its running statistics.
func (m *Model) normTerms(name string) (scale, shift []float64) {
	weight, bias := m.values(name+".weight"), m.values(name+".bias")
	mean, variance := m.values(name+".running_mean"), m.values(name+".running_var")
	scale, shift = make([]float64, len(weight)), make([]float64, len(weight))
	for i := range scale {
		scale[i] = float64(weight[i]) / math.Sqrt(float64(variance[i])+NormEpsilon)
		shift[i] = float64(bias[i]) - float64(mean[i])*scale[i]
	}
	return scale, shift
}

// fold returns a convolution whose output channels are scaled and shifted.
func (m *Model) fold(name string, scale, shift []float64, kernel, ahead, stride int) FusedConv {
	weight, out := m.values(name+".weight"), len(scale)
	scaled := make([]float32, len(weight))
	for start := 0; start < len(weight); start += out {
		row := scaled[start : start+out]
		for o, w := range weight[start : start+out] {
			row[o] = float32(float64(w) * scale[o])
		}
	}
	return FusedConv{
		Name: name, Weight: scaled, Shift: singles(shift),
		In: len(weight) / (kernel * out), Out: out, Kernel: kernel, Ahead: ahead, Stride: stride,
	}
}

// singles rounds values to float32.
func singles(values []float64) []float32 {
	single := make([]float32, len(values))
	for i, v := range values {
		single[i] = float32(v)
	}
	return single
}
