package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// walk follows a graph's values from its input to the logits. It keeps the first error; results after it mean nothing.
type walk struct {
	graph   *graphProto
	tensors map[string]*tensorProto // constants
	origins map[string]string       // of a value: the one that it is a copy of, perhaps padded
	padded  map[string]bool         // values that a Pad made
	users   map[string][]*nodeProto // by the origin of an input
	used    map[*tensorProto]bool
	taken   map[*nodeProto]bool // convolutions that are those of steps
	weights polynet.StateDict
	err     error
}

func newWalk(g *graphProto) *walk {
	w := &walk{
		graph: g, tensors: make(map[string]*tensorProto), origins: make(map[string]string),
		padded: make(map[string]bool), users: make(map[string][]*nodeProto), used: make(map[*tensorProto]bool),
		taken: make(map[*nodeProto]bool), weights: make(polynet.StateDict),
	}
	for i := range g.initializers {
		w.tensors[g.initializers[i].name] = &g.initializers[i]
	}
	for i := range g.nodes {
		n := &g.nodes[i] // after those that it depends on, as ONNX demands
		for _, name := range n.inputs {
			origin := w.origin(name)
			w.users[origin] = append(w.users[origin], n)
		}
		switch out := n.outputs[0]; n.op {
		case "Constant":
			if value := n.attribute("value"); value != nil && value.tensor != nil {
				w.tensors[out] = value.tensor
			}
		case "Identity", "Pad":
			w.origins[out] = w.origin(n.input(0))
			w.padded[out] = n.op == "Pad"
		}
	}
	return w
}

func (w *walk) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// origin returns the value that the named one is a copy of, or the named one.
func (w *walk) origin(name string) string {
	if origin, ok := w.origins[name]; ok {
		return origin
	}
	return name
}

// maxUsers bounds how many nodes may read a value of a network, so that no graph takes quadratic time.
const maxUsers = 256

// usersOf returns the nodes of the given operators that read value x.
func (w *walk) usersOf(x string, ops ...string) []*nodeProto {
	if n := len(w.users[x]); n > maxUsers {
		w.fail("%d operators read %.80q", n, x)
		return nil
	}
	return slices.DeleteFunc(slices.Clone(w.users[x]), func(n *nodeProto) bool { return !slices.Contains(ops, n.op) })
}

// user returns the one node of the given operator that reads x. Without it, it fails and returns an empty node.
func (w *walk) user(what, x, op string) *nodeProto {
	found := w.usersOf(x, op)
	if len(found) != 1 {
		w.fail("%s: %d operators %s read %.80q, instead of one", what, len(found), op, x)
		return &nodeProto{outputs: []string{""}}
	}
	return found[0]
}

// joins returns the output of the one node of the given operator that reads x, whose other operand must be y.
func (w *walk) joins(what, op, x, y string) string {
	n := w.user(what, x, op)
	if a, b := w.origin(n.input(0)), w.origin(n.input(1)); a != y && b != y {
		w.fail("%s: %s of %.80q and %.80q, not of %.80q", what, op, a, b, y)
	}
	return n.outputs[0]
}

// constant returns the named float32 constant, whose shape must have so many dimensions.
func (w *walk) constant(what, name string, dims int) *tensorProto {
	t := w.tensors[w.origin(name)]
	if t == nil || t.kind != tensorFloat || len(t.dims) != dims || len(t.floats) == 0 {
		w.fail("%s: %.80q is no float32 constant of %d dimensions", what, name, dims)
		return &tensorProto{dims: make([]int64, dims)}
	}
	w.used[t] = true
	return t
}

// unused returns the names of the float32 initializers that are not part of the network.
func (w *walk) unused() []string {
	var names []string
	for i := range w.graph.initializers {
		t := &w.graph.initializers[i]
		own := strings.HasPrefix(t.name, inputPrefix) || strings.HasPrefix(t.name, outputPrefix)
		if t.kind == tensorFloat && !own && !w.used[t] {
			names = append(names, t.name)
		}
	}
	return names
}

// keep stores a weight under its name in a polynet.StateDict.
func (w *walk) keep(name string, values []float32, shape ...int64) {
	if w.err != nil {
		return
	}
	sizes := make([]int, len(shape))
	for i, d := range shape {
		sizes[i] = int(d)
	}
	w.weights[name] = tensor.New(tensor.WithShape(sizes...), tensor.WithBacking(values))
}

// input returns the name of input i, or "" where there is none.
func (n *nodeProto) input(i int) string {
	if i >= len(n.inputs) {
		return ""
	}
	return n.inputs[i]
}

func (n *nodeProto) attribute(name string) *attributeProto {
	for i := range n.attributes {
		if n.attributes[i].name == name {
			return &n.attributes[i]
		}
	}
	return nil
}

// last returns the last integer of the named list, or one without it.
func (n *nodeProto) last(name string, without int64) int64 {
	if a := n.attribute(name); a != nil && len(a.list) > 0 {
		return a.list[len(a.list)-1]
	}
	return without
}
