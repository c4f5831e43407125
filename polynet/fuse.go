package polynet

import "math"

// Fused is a model whose batch norms are folded into its convolutions, as it runs once it is trained. The normalisation
// of the features stays outside the weights: folded into the stem it would no longer make the padding zero, and for a
// mel that hardly varies in the training data it would cancel large terms.
//
// Its steps make activations of earlier ones. They name them by numbers: 0 stands for an operand that is left out, 1 for the
// input, and i+2 for what step i gives. The last step gives what the mean over time is taken of.
type Fused struct {
	Steps []FusedStep
	Head  FusedConv // of kernel 1, over the means
}

// FusedOp is an operation of a FusedStep.
type FusedOp int

// The operations.
const (
	FusedConvolution FusedOp = iota // Conv(X) and what the step's other fields say
	FusedProduct                    // X∘Y, or X∘Y + X with Plus
	FusedTanh                       // tanh X
	FusedMaxPool                    // the largest of X's rows t−1, t and t+1, as far as they exist
)

// FusedStep is one operation. With f = Conv(X), a convolution's first channels then normed where Instance says so, and s the
// value Skip, a FusedConvolution gives
//
//	f                            without Skip
//	f + s                        with Skip
//	f + s + the value Add        with Skip and Add
//	f + s + Scale∘f∘s + Offset   with Skip and Scale
//
// and with ReLU of that max(·, 0).
type FusedStep struct {
	Op            FusedOp
	Name          string // unique among the steps
	Part          string // the stem or the block that it belongs to: "stem", "stages.0.1"
	Width         int    // channels that it gives
	X, Y          int    // values; Y of FusedProduct only
	Plus          bool
	Conv          FusedConv
	Skip, Add     int       // values
	Scale, Offset []float32 // (Width), the product's norm with its factor
	Instance      *FusedInstanceNorm
	ReLU          bool
}

// FusedConv is a convolution (see Config) with the batch norm behind it: y = conv(x, Weight) + Shift.
type FusedConv struct {
	Name                           string    // the prefix of its weight's name: "stem.conv", "stages.0.1.conv2"
	Weight                         []float32 // (Kernel, In, Out)
	Shift                          []float32 // (Out)
	In, Out, Kernel, Ahead, Stride int
}

// FusedInstanceNorm normalises as many channels as it has values, from the first one on, over each clip:
// Weight·(x − mean)/√(variance + NormEpsilon) + Bias, with the clip's mean and population variance.
type FusedInstanceNorm struct{ Weight, Bias []float32 }

// Fuse folds the batch norms into the convolutions, in float64. It takes nothing of m but the network and the weights: an
// impossible network gives an error that wraps ErrConfig, weights that do not fit it one that wraps ErrModel.
func (m *Model) Fuse() (*Fused, error) {
	if err := m.Net.Validate(); err != nil {
		return nil, err
	}
	if err := m.validateWeights(); err != nil {
		return nil, err
	}
	return m.fused(), nil
}

// fused is Fuse of a valid model.
func (m *Model) fused() *Fused {
	p := m.Net.program().settled()
	f := &Fused{Steps: make([]FusedStep, len(p.steps))}
	for i := range f.Steps {
		m.fuseStep(&f.Steps[i], &p.steps[i])
		f.Steps[i].Part = p.parts[p.steps[i].part]
	}
	bias := m.values("head.bias")
	f.Head = FusedConv{
		Name: "head", Weight: m.values("head.weight"), Shift: bias,
		In: len(m.values("head.weight")) / len(bias), Out: len(bias), Kernel: 1, Stride: 1,
	}
	return f
}

func (m *Model) values(name string) []float32 { return m.Weights[name].Data().([]float32) }

// fuseStep sets f to what s computes.
func (m *Model) fuseStep(f *FusedStep, s *step) {
	*f = FusedStep{
		Name: s.name, Width: s.width, X: int(s.x), Y: int(s.y), Plus: s.plus, Skip: int(s.skip), Add: int(s.add), ReLU: s.relu,
	}
	switch s.op {
	case opProduct:
		f.Op = FusedProduct
	case opTanh:
		f.Op = FusedTanh
	case opMaxPool:
		f.Op = FusedMaxPool
	case opConv:
		weight := doubles(m.values(s.conv + ".weight"))
		if s.whitens {
			weight = m.whitened(weight, s)
		}
		scale, shift := m.stepTerms(f, s)
		f.Conv = FusedConv{
			Name: s.conv, Weight: scaled(weight, scale), Shift: singles(shift),
			In: s.in, Out: s.width, Kernel: s.kernel, Ahead: s.ahead, Stride: s.stride,
		}
	}
	if s.product != "" {
		scale, offset := m.normTerms(s.product+".norm", s.product+".scale")
		f.Scale, f.Offset = singles(scale), singles(offset)
	}
}

// stepTerms returns the norm behind a convolution as x → scale∘x + shift; what is not of that form goes to f.Instance.
func (m *Model) stepTerms(f *FusedStep, s *step) (scale, shift []float64) {
	switch {
	case s.whitens:
		return m.whitenedTerms(s)
	case s.instance == 0:
		return m.normTerms(s.norm, s.factor)
	}
	f.Instance = &FusedInstanceNorm{m.values(s.norm + ".instance.weight"), m.values(s.norm + ".instance.bias")}
	scale, shift = make([]float64, s.instance), make([]float64, s.instance)
	for i := range scale {
		scale[i] = 1
	}
	rest, offset := m.normTerms(s.norm+".batch", "")
	return append(scale, rest...), append(shift, offset...)
}

// normTerms returns a batch norm as x → scale∘x + shift, by its running statistics, times the named factor where there is one.
func (m *Model) normTerms(name, factor string) (scale, shift []float64) {
	weight, bias := m.values(name+".weight"), m.values(name+".bias")
	mean, variance := m.values(name+".running_mean"), m.values(name+".running_var")
	a := 1.0
	if factor != "" {
		a = float64(m.values(factor)[0])
	}
	scale, shift = make([]float64, len(weight)), make([]float64, len(weight))
	for i := range scale {
		inverse := float64(weight[i]) / math.Sqrt(float64(variance[i])+NormEpsilon)
		scale[i] = a * inverse
		shift[i] = a * (float64(bias[i]) - float64(mean[i])*inverse)
	}
	return scale, shift
}

// whitenedTerms is stepTerms of an IterNorm, of a convolution whose weight is whitened.
func (m *Model) whitenedTerms(s *step) (scale, shift []float64) {
	weight, bias, a := m.values(s.norm+".weight"), m.values(s.norm+".bias"), float64(m.values(s.factor)[0])
	mean := m.whitened(doubles(m.values(s.norm+".running_mean")), s)
	scale, shift = make([]float64, s.width), make([]float64, s.width)
	for i := range scale {
		scale[i] = a * float64(weight[i])
		shift[i] = a * (float64(bias[i]) - mean[i]*float64(weight[i]))
	}
	return scale, shift
}

// whitened returns rows of the step's channels multiplied by its norm's whitening matrices.
func (m *Model) whitened(rows []float64, s *step) []float64 {
	whitening, group := m.values(s.norm+".running_whitening"), whitenedGroup(s.width)
	list := make([]float64, len(rows))
	for i := range list {
		c := i % s.width
		first := i - c%group // of the group's channels
		for j := range group {
			list[i] += float64(whitening[c*group+j]) * rows[first+j]
		}
	}
	return list
}

// scaled returns a convolution's weight with its output channels scaled.
func scaled(weight, scale []float64) []float32 {
	out := len(scale)
	list := make([]float32, len(weight))
	for start := 0; start < len(weight); start += out {
		row := list[start : start+out]
		for o, w := range weight[start : start+out] {
			row[o] = float32(w * scale[o])
		}
	}
	return list
}

// singles rounds values to float32.
func singles(values []float64) []float32 {
	single := make([]float32, len(values))
	for i, v := range values {
		single[i] = float32(v)
	}
	return single
}

// doubles returns values as float64.
func doubles(values []float32) []float64 {
	double := make([]float64, len(values))
	for i, v := range values {
		double[i] = float64(v)
	}
	return double
}
