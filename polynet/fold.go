package polynet

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/confidence"
	"gorgonia.org/tensor"
)

// Weights are a network's weights by name, dense tensors: float32, and int8 of narrow weights.
type Weights map[string]*tensor.Dense

// values returns the named weight's values.
func (w Weights) values(name string) []float32 { return w[name].Data().([]float32) }

// Check returns an error that wraps ErrModel when w has not exactly the weights that p names, each of its shape,
// finite, contiguous and with no negative variance.
func (p *Program) Check(w Weights) error {
	for _, s := range p.Weights {
		t := w[s.Name]
		if t == nil {
			return fmt.Errorf("%w: no tensor %s", ErrModel, s.Name)
		}
		if err := s.check(t); err != nil {
			return fmt.Errorf("%w: tensor %s %w", ErrModel, s.Name, err)
		}
	}
	if len(w) == len(p.Weights) {
		return nil
	}
	surplus := maps.Clone(w)
	for _, s := range p.Weights {
		delete(surplus, s.Name)
	}
	return fmt.Errorf("%w: %d tensors, the network has %d: %s is not one of its",
		ErrModel, len(w), len(p.Weights), slices.Min(slices.Collect(maps.Keys(surplus))))
}

func (w Weight) check(t *tensor.Dense) error {
	if !t.Shape().Eq(tensor.Shape(w.Shape)) {
		return fmt.Errorf("has shape %v, the network wants %v", []int(t.Shape()), w.Shape)
	}
	if w.Precision != Float32 {
		return w.checkLevels(t)
	}
	values, ok := t.Data().([]float32)
	if !ok || int64(len(values)) != w.Len() {
		return fmt.Errorf("holds %v, want %d contiguous float32 values", t.Dtype(), w.Len())
	}
	variance := w.Kind == Running && strings.HasSuffix(w.Name, ".running_var")
	divisor := strings.HasSuffix(w.Name, inputScale)
	for i, v := range values {
		if v-v != 0 { // NaN or infinite
			return fmt.Errorf("has the value %v at %d", v, i)
		}
		if variance && v < 0 {
			return fmt.Errorf("has the negative variance %v at %d", v, i)
		}
		if divisor && v <= 0 {
			return fmt.Errorf("has the value %v, a scale is positive", v)
		}
	}
	return nil
}

// FoldNorms returns the program and the weights with the batch norms, by their running statistics, folded into the
// convolutions before them, of narrow ones into WeightScale, and those of product terms made Scale and Offset. Sums are
// float64. w must fit p (Check) and stays as it is.
//
// The normalisation of the features is not part of a Program: folded into the stem it would no longer make the padding
// zero, and for a mel that hardly varies in the training data it would cancel large terms.
func (p *Program) FoldNorms(w Weights) (*Program, Weights) {
	f := &Program{Inputs: p.Inputs, Steps: slices.Clone(p.Steps)}
	folded := Weights{}
	put := func(name string, values []float32, shape ...int) {
		f.Weights = append(f.Weights, Weight{Name: name, Shape: shape})
		folded[name] = tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))
	}
	keep := func(name string, precision Precision) {
		f.Weights = append(f.Weights, Weight{Name: name, Shape: slices.Clone(w[name].Shape()), Precision: precision})
		folded[name] = w[name]
	}
	for i := range f.Steps {
		s := &f.Steps[i]
		switch s.Op {
		case OpConv, OpDepthwise:
			scale, shift := w.Affine(s.Norm, s.Width)
			s.Bias, s.Norm = strings.TrimSuffix(s.Weight, ".weight")+".bias", Norm{}
			scaled := s.Weight
			if s.Precision != Float32 {
				keep(s.Weight, s.Precision)
				keep(s.InputScale, Float32)
				scaled = s.WeightScale
			}
			weight := slices.Clone(w.values(scaled))
			for row := range slices.Chunk(weight, s.Width) {
				for k, v := range row {
					row[k] = float32(float64(v) * scale[k])
				}
			}
			put(scaled, weight, w[scaled].Shape()...)
			put(s.Bias, toFloat32(shift), s.Width)
		case OpLinear:
			keep(s.Weight, s.Precision)
			keep(s.Bias, Float32)
			if s.Precision != Float32 {
				keep(s.WeightScale, Float32)
			}
		}
		if n := s.ProductNorm; n.Name != "" {
			scale, offset := w.Affine(n, s.Width)
			s.Scale, s.Offset, s.ProductNorm = n.Name+".weight", n.Name+".bias", Norm{}
			put(s.Scale, toFloat32(scale), s.Width)
			put(s.Offset, toFloat32(offset), s.Width)
		}
	}
	return f, folded
}

// Affine returns a norm of running statistics, or none, over so many channels as x → scale∘x + shift.
func (w Weights) Affine(n Norm, width int) (scale, shift []float64) {
	if n.Name == "" {
		return slices.Repeat([]float64{1}, width), make([]float64, width)
	}
	weight, bias := w.values(n.Name+".weight"), w.values(n.Name+".bias")
	mean, variance := w.values(n.Name+".running_mean"), w.values(n.Name+".running_var")
	factor := 1.0
	if n.Factor != "" {
		factor = float64(w.values(n.Factor)[0])
	}
	scale, shift = make([]float64, width), make([]float64, width)
	for i := range scale {
		inverse := float64(weight[i]) / math.Sqrt(float64(variance[i])+NormEpsilon)
		scale[i] = factor * inverse
		shift[i] = factor * (float64(bias[i]) - float64(mean[i])*inverse)
	}
	return scale, shift
}

func toFloat32(values []float64) []float32 {
	list := make([]float32, len(values))
	for i, v := range values {
		list[i] = float32(v)
	}
	return list
}

// DropTrainingSteps returns the program without the steps that do nothing outside of training.
func (p *Program) DropTrainingSteps() *Program {
	return p.without(func(i int) bool { return p.Steps[i].Op == OpDropout })
}

// without returns the program without some of the steps, whose X takes the place of their output.
func (p *Program) without(drop func(i int) bool) *Program {
	q := &Program{Inputs: p.Inputs, Weights: p.Weights}
	renamed := make([]Tensor, len(p.Steps)+2) // tensors of q, by those of p
	renamed[Input] = Input
	for i, s := range p.Steps {
		if drop(i) {
			renamed[Output(i)] = renamed[s.X]
			continue
		}
		s.X, s.Y, s.Skip, s.Add = renamed[s.X], renamed[s.Y], renamed[s.Skip], renamed[s.Add]
		q.Steps = append(q.Steps, s)
		renamed[Output(i)] = Output(len(q.Steps) - 1)
	}
	return q
}

// FuseProducts returns the program and the weights with each product a + a∘b of two convolutions that nothing else
// reads as the second one's product term: with s = a − 1, it is b + s + b∘s + 1. Norms must be folded. w stays as it
// is.
func (p *Program) FuseProducts(w Weights) (*Program, Weights) {
	q := &Program{Inputs: p.Inputs, Steps: slices.Clone(p.Steps), Weights: slices.Clone(p.Weights)}
	fused, done := maps.Clone(w), make([]bool, len(p.Steps))
	vector := func(name string, values []float32) string {
		if fused[name] == nil {
			q.Weights = append(q.Weights, Weight{Name: name, Shape: []int{len(values)}})
		}
		fused[name] = tensor.New(tensor.WithShape(len(values)), tensor.WithBacking(values))
		return name
	}
	readers := make([]int, len(p.Steps)+2)
	for i := range p.Steps {
		for _, t := range p.Steps[i].Operands() {
			readers[t]++
		}
	}
	plain := func(t Tensor) bool { // whether t is a convolution alone, which one step reads
		if t < Output(0) || readers[t] != 1 {
			return false
		}
		s := &p.Steps[t-Output(0)]
		return s.Op == OpConv && s.Bias != "" && s.Skip == NoTensor && !s.ReLU
	}
	for i := range q.Steps {
		s := &q.Steps[i]
		if s.Op != OpProduct || !s.Plus || s.X >= s.Y || !plain(s.X) || !plain(s.Y) {
			continue
		}
		a, b := &q.Steps[s.X-Output(0)], &q.Steps[s.Y-Output(0)]
		bias := slices.Clone(w.values(a.Bias))
		for c := range bias {
			bias[c]--
		}
		vector(a.Bias, bias)
		ones := slices.Repeat([]float32{1}, s.Width)
		b.Skip, b.Scale, b.Offset = s.X, vector(s.Name+".scale", ones), vector(s.Name+".offset", ones)
		s.X, done[i] = s.Y, true
	}
	return q.without(func(i int) bool { return done[i] }), fused
}

// Inference returns the program and the weights that a trained model runs with: norms folded, without the steps of
// training, and the calibration's scaling in the head. An impossible network gives an error that wraps ErrConfig,
// weights that do not fit it one that wraps ErrModel.
func (m *Model) Inference() (*Program, Weights, error) {
	if err := m.Net.Validate(); err != nil {
		return nil, nil, err
	}
	p := m.Net.Program()
	if err := p.Check(m.Weights); err != nil {
		return nil, nil, err
	}
	p, w := p.FoldNorms(m.Weights)
	if s := m.Calibrated().Scaling; s != nil {
		p.foldScaling(w, s)
	}
	return p.DropTrainingSteps(), w, nil
}

// foldScaling multiplies and shifts the logits by changing the weights of the last step, the head. w keeps its tensors,
// which others may share, and gets new ones.
func (p *Program) foldScaling(w Weights, s *confidence.Scaling) {
	head := &p.Steps[len(p.Steps)-1]
	scaled := head.Weight
	if head.Precision != Float32 {
		scaled = head.WeightScale
	}
	weight, bias := slices.Clone(w.values(scaled)), slices.Clone(w.values(head.Bias))
	for i := range weight {
		weight[i] = float32(float64(weight[i]) * s.Scale[i%head.Width])
	}
	for i := range bias {
		bias[i] = float32(s.Scale[i]*float64(bias[i]) + s.Shift[i])
	}
	w[scaled] = tensor.New(tensor.WithShape(w[scaled].Shape()...), tensor.WithBacking(weight))
	w[head.Bias] = tensor.New(tensor.WithShape(head.Width), tensor.WithBacking(bias))
}
