package onnx

import (
	"slices"
	"strings"

	"github.com/polyphon/polyphon/polynet"
)

// network follows the steps of p from the network's input to the logits and keeps their weights.
func (w *walk) network(p *polynet.Program) {
	read := make([]readers, len(p.Steps)+2) // by their numbers, what reads the tensors
	for i := range p.Steps {
		s := &p.Steps[i]
		read[s.X].conv = read[s.X].conv || s.Convolves()
		read[s.X].sum = read[s.X].sum || s.Plus
		read[s.Skip].sum, read[s.Add].sum = true, true
	}
	values := []string{polynet.NoTensor: "", polynet.Input: w.input()}
	for i := range p.Steps {
		s, x := &p.Steps[i], ""
		switch s.Op {
		case polynet.OpConv, polynet.OpDepthwise:
			by := read[polynet.Output(i)]
			if s.Skip != polynet.NoTensor {
				by = readers{sum: true}
			}
			x = w.conv(s, w.convolution(s.Name, values[s.X], by), values[s.Skip], values[s.Add])
		case polynet.OpProduct:
			x = w.joins(s.Name, "Mul", values[s.X], values[s.Y])
			if s.Plus {
				x = w.joins(s.Name, "Add", x, values[s.X])
			}
		case polynet.OpTanh:
			x = w.user(s.Name, values[s.X], "Tanh").outputs[0]
		case polynet.OpMean:
			x = w.mean(s.Name, values[s.X])
		case polynet.OpLinear:
			w.linear(s, values[s.X])
		}
		if w.err != nil {
			return
		}
		values = append(values, x)
	}
}

// input returns the network's input: what its first convolution reads. Convolutions before it, which make the features,
// have names of their own.
func (w *walk) input() string {
	for i := range w.graph.nodes {
		if n := &w.graph.nodes[i]; n.op == "Conv" && !strings.HasPrefix(n.name, inputPrefix) {
			return w.origin(n.input(0))
		}
	}
	w.fail("there is no convolution")
	return ""
}

// readers says which kinds of operators read a value, normed and rectified: a convolution, a sum.
type readers struct{ conv, sum bool }

// convolution returns the named step's convolution of x. Of several it is the one that has this name from Write, or the
// one that operators of the given kinds read.
func (w *walk) convolution(name, x string, by readers) *nodeProto {
	found := slices.DeleteFunc(w.usersOf(x, "Conv"), func(n *nodeProto) bool { return w.taken[n] })
	if i := slices.IndexFunc(found, func(n *nodeProto) bool { return n.name == name }); i >= 0 {
		found = found[i : i+1]
	}
	if len(found) > 1 {
		found = slices.DeleteFunc(found, func(n *nodeProto) bool { return w.readersOf(n) != by })
	}
	if len(found) != 1 {
		w.fail("%s: %d convolutions that could be it read %.80q, instead of one", name, len(found), x)
		return &nodeProto{outputs: []string{""}}
	}
	w.taken[found[0]] = true
	return found[0]
}

// readersOf returns what reads the output of n.
func (w *walk) readersOf(n *nodeProto) readers {
	x := n.outputs[0]
	for _, op := range []string{"BatchNormalization", "Relu"} {
		if next := w.usersOf(x, op); len(next) > 0 {
			x = next[0].outputs[0]
		}
	}
	return readers{len(w.usersOf(x, "Conv")) > 0, len(w.usersOf(x, "Add")) > 0}
}

// conv keeps the weights of step s, whose convolution is n, and returns its output.
func (w *walk) conv(s *polynet.Step, n *nodeProto, skip, add string) string {
	dimensions := 3 // of the weight: time is the last one, and there may be one of size 1 before it
	if strides := n.attribute("strides"); strides != nil && len(strides.list) == 2 {
		dimensions = 4
	}
	weight := w.constant(s.Weight, n.input(1), dimensions)
	out, in, kernel := weight.dims[0], weight.dims[1], weight.dims[dimensions-1]
	if out*in*kernel != int64(len(weight.floats)) {
		w.fail("%s has shape %v", s.Weight, weight.dims)
	}
	w.keep(s.Weight, weight.floats, out, in, kernel)
	w.checkGeometry(n, s)
	bias := make([]float32, out)
	if len(n.inputs) > 2 {
		bias = w.constant(s.Name+".bias", n.input(2), 1).floats
	}
	f := w.norm(s.Norm, n.outputs[0], bias)
	switch {
	case s.Add != polynet.NoTensor:
		f = w.joins(s.Name, "Add", w.joins(s.Name, "Add", skip, add), f)
	case s.HasProduct():
		sum, product := w.joins(s.Name, "Add", f, skip), w.joins(s.ProductNorm.Name, "Mul", f, skip)
		f = w.joins(s.Name, "Add", sum, w.norm(s.ProductNorm, product, make([]float32, s.Width)))
	case s.Skip != polynet.NoTensor:
		f = w.joins(s.Name, "Add", f, skip)
	}
	if s.ReLU {
		return w.user(s.Name, f, "Relu").outputs[0]
	}
	if len(w.usersOf(f, "Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "Clip", "Elu", "Gelu")) > 0 {
		w.fail("%s: an activation function follows it", s.Name)
	}
	return f
}

// checkGeometry compares what the weight's shape does not show.
func (w *walk) checkGeometry(n *nodeProto, s *polynet.Step) {
	group := int64(1)
	if a := n.attribute("group"); a != nil {
		group = a.integer
	}
	switch {
	case n.last("strides", 1) != int64(s.Stride):
		w.fail("%s has a stride of %d, not %d", s.Name, n.last("strides", 1), s.Stride)
	case n.last("dilations", 1) != 1:
		w.fail("%s is dilated", s.Name)
	case group != int64(groups(s)):
		w.fail("%s has %d groups, not %d", s.Name, group, groups(s))
	}
	if w.padded[n.input(0)] {
		return // by as much as other operators compute
	}
	before := int64(0)
	if pads := n.attribute("pads"); pads != nil && len(pads.list) > 1 {
		before = pads.list[len(pads.list)/2-1] // of the last dimension; as for those after it, no output may read some
	}
	if want, _ := s.Reach(s.X); before != int64(want) {
		w.fail("%s reads %d rows before the present one, not %d", s.Name, before, want)
	}
}

// norm keeps the norm of x, to which bias has been added, and returns its output. A norm that was folded into weights
// is kept as one that adds the bias and changes nothing else.
func (w *walk) norm(norm polynet.Norm, x string, bias []float32) string {
	if norm.Name == "" {
		if i := slices.IndexFunc(bias, func(v float32) bool { return v != 0 }); i >= 0 {
			w.fail("%.80q: a bias of %g, where the network has none", x, bias[i])
		}
		return x
	}
	ones := slices.Repeat([]float32{1}, len(bias))
	variance := slices.Repeat([]float32{1 - polynet.NormEpsilon}, len(bias))
	terms := [][]float32{ones, bias, make([]float32, len(bias)), variance}
	if len(w.usersOf(x, "BatchNormalization")) > 0 {
		n := w.user(norm.Name, x, "BatchNormalization")
		terms, x = w.normTerms(n, norm.Name, bias), n.outputs[0]
	}
	for i, suffix := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		w.keep(norm.Name+suffix, terms[i], int64(len(terms[i])))
	}
	if norm.Factor == "" {
		return x
	}
	for _, n := range w.usersOf(x, "Mul") {
		for _, operand := range n.inputs {
			if w.tensors[w.origin(operand)] != nil {
				factor := w.constant(norm.Factor, operand, 1).floats
				w.keep(norm.Factor, factor, int64(len(factor)))
				return n.outputs[0]
			}
		}
	}
	w.keep(norm.Factor, []float32{1}, 1)
	return x
}

// normTerms returns the weight, bias, mean and variance of a batch norm before whose operand bias was added.
func (w *walk) normTerms(n *nodeProto, name string, bias []float32) [][]float32 {
	terms := make([][]float32, 4)
	for i := range terms {
		terms[i] = slices.Clone(w.constant(name, n.input(1+i), 1).floats)
		if len(terms[i]) != len(bias) {
			w.fail("%s: %d values for %d channels", name, len(terms[i]), len(bias))
			return terms
		}
	}
	if mode := n.attribute("training_mode"); mode != nil && mode.integer != 0 {
		w.fail("%s computes statistics, as in training; export the network in eval mode", name)
	}
	epsilon := polynet.NormEpsilon
	if a := n.attribute("epsilon"); a != nil {
		epsilon = float64(a.number)
	}
	mean, variance := terms[2], terms[3]
	for i := range bias {
		mean[i] -= bias[i]
		// A model's norms have one epsilon, so that another one's difference goes to the variance.
		variance[i] = float32(float64(variance[i]) + epsilon - polynet.NormEpsilon)
		if variance[i] < 0 {
			w.fail("%s: with an epsilon of %g the variance of channel %d is too small", name, epsilon, i)
		}
	}
	return terms
}

// mean returns the mean of x over time.
func (w *walk) mean(name, x string) string {
	found := w.usersOf(x, "ReduceMean", "GlobalAveragePool")
	if len(found) != 1 {
		w.fail("%s: %d operators take the mean over time, instead of one", name, len(found))
		return ""
	}
	x = found[0].outputs[0]
	if shaped := w.usersOf(x, "Flatten", "Squeeze", "Reshape"); len(shaped) == 1 {
		x = shaped[0].outputs[0]
	}
	return x
}

// linear keeps the weights of the linear step that reads x.
func (w *walk) linear(s *polynet.Step, x string) {
	n := w.user(s.Name, x, "Gemm")
	weight, bias := w.constant(s.Weight, n.input(1), 2), w.constant(s.Bias, n.input(2), 1)
	if transposed := n.attribute("transB"); transposed == nil || transposed.integer != 1 {
		w.fail("%s: its weight is not (out, in)", s.Name)
	}
	w.keep(s.Weight, weight.floats, weight.dims...)
	w.keep(s.Bias, bias.floats, bias.dims...)
}
