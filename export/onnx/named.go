package onnx

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// named returns the weights of network c from a graph that Write wrote, by the names that it gave them. What network writes
// of these weights has to be the graph.
func (f *File) named(c polynet.Config) (polynet.StateDict, error) {
	n := naming{constants: make(map[string]*tensorProto), weights: make(polynet.StateDict)}
	for i := range f.model.graph.initializers {
		t := &f.model.graph.initializers[i]
		n.constants[t.name] = t
	}
	for _, s := range c.WeightShapes() {
		if err := n.take(s); err != nil {
			return nil, fmt.Errorf("%w: not as polyphon exports a network of %s blocks: %w", ErrFormat, c.Block, err)
		}
	}
	m := polynet.Model{Net: c}
	if err := m.SetStateDict(n.weights); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	fused, err := m.Fuse()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	b := new(builder)
	b.network(fused, "input/normalised")
	if what := b.graph.differs(&f.model.graph); what != "" {
		return nil, fmt.Errorf("%w: the graph is not that of a network of %s blocks that polyphon exported: it differs in %s", ErrFormat, c.Block, what)
	}
	return n.weights, nil
}

// naming finds weights by their names.
type naming struct {
	constants map[string]*tensorProto
	weights   polynet.StateDict
}

// take sets the weight of the shape. The norms behind convolutions are in their weights: what is left of them adds the bias.
func (n *naming) take(s polynet.WeightShape) error {
	name, shape := s.Name, slices.Clone(s.Shape)
	slices.Reverse(shape)
	values := make([]float32, s.Len())
	fill := func(v float32) error {
		for i := range values {
			values[i] = v
		}
		return nil
	}
	var err error
	norm := strings.LastIndex(name, "norm")
	switch {
	case norm < 0 && len(shape) == 1 && shape[0] == 1 && name != "head.bias": // a factor
		err = fill(1)
	case norm < 0:
		err = n.copy(values, name, 0)
	case strings.HasSuffix(name, ".running_mean"):
	case strings.HasSuffix(name, ".running_whitening"): // identity matrices, shape being (columns, channels)
		for c := range shape[1] {
			values[c%shape[0]*shape[1]+c] = 1
		}
	case strings.HasSuffix(name, ".running_var"):
		err = fill(1 - polynet.NormEpsilon)
	case strings.Contains(name, ".instance."):
		err = n.copy(values, convOf(name, norm)+name[strings.Index(name, ".instance."):], 0)
	case strings.HasSuffix(name, ".weight"):
		err = fill(1)
	default: // the bias, of which a norm over the batch may have the last channels
		bias := convOf(name, norm) + ".bias"
		first := 0
		if t := n.constants[bias]; t != nil {
			first = max(0, len(t.floats)-len(values))
		}
		err = n.copy(values, bias, first)
	}
	n.weights[name] = tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))
	return err
}

// convOf returns the convolution of the norm whose name has "norm" at the given place.
func convOf(name string, norm int) string {
	conv, _, _ := strings.Cut("conv"+name[norm+len("norm"):], ".")
	return name[:norm] + conv
}

// copy sets values to those of the named constant from first on.
func (n *naming) copy(values []float32, name string, first int) error {
	t := n.constants[name]
	if t == nil || t.kind != tensorFloat || len(t.floats) != first+len(values) {
		return fmt.Errorf("%q is no float32 constant of %d values", name, first+len(values))
	}
	copy(values, t.floats[first:])
	return nil
}

// differs says in what the network of h is another one than g, which is a network alone.
func (g *graphProto) differs(h *graphProto) string {
	own := func(name string) bool {
		return !strings.HasPrefix(name, inputPrefix) && !strings.HasPrefix(name, outputPrefix)
	}
	nodes := slices.DeleteFunc(slices.Clone(h.nodes), func(n nodeProto) bool { return !own(n.name) || n.name == Probabilities })
	for i, n := range g.nodes {
		if i >= len(nodes) || !reflect.DeepEqual(n, nodes[i]) {
			return n.name
		}
	}
	if len(nodes) > len(g.nodes) {
		return nodes[len(g.nodes)].name
	}
	constants := slices.DeleteFunc(slices.Clone(h.initializers), func(t tensorProto) bool { return !own(t.name) })
	for i, t := range g.initializers {
		if i >= len(constants) || !reflect.DeepEqual(t, constants[i]) {
			return t.name
		}
	}
	if len(constants) > len(g.initializers) {
		return constants[len(g.initializers)].name
	}
	return ""
}
