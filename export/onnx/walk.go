package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/polynet"
)

// geometry is that of a convolution, in rows.
type geometry struct{ kernel, ahead, stride int }

// network walks from the stem to the logits.
func (w *walk) network(c polynet.Config) {
	shapes := make(map[string]bool)
	for _, s := range c.WeightShapes() {
		shapes[s.Name] = true
	}
	relu := c.Block.Rectified()
	x := w.conv(w.stem(), "stem.conv", "stem.norm", geometry{c.Stem.Kernel, c.Stem.Ahead, c.Stem.Stride})
	x = w.rectified("stem.norm", x, relu)
	for i, s := range c.Stages {
		for j := range s.Blocks {
			b := blockWalk{walk: w, name: fmt.Sprintf("stages.%d.%d", i, j), relu: relu, tanh: c.Block == polynet.PiTanh, g: geometry{s.Kernel, s.Ahead, s.Stride}}
			if j > 0 {
				b.g.stride = 1
			}
			b.skips = shapes[b.name+".skip.conv.weight"]
			b.product, b.mixes = shapes[b.name+".product.scale"], shapes[b.name+".product.conv.weight"]
			if x = b.walkFrom(x); w.err != nil {
				return
			}
		}
	}
	w.head(x)
}

// stem returns the first convolution of the network: those in front of it, which make the features, have names of their own.
func (w *walk) stem() *nodeProto {
	for i := range w.graph.nodes {
		if n := &w.graph.nodes[i]; n.op == "Conv" && !strings.HasPrefix(n.name, inputPrefix) {
			return n
		}
	}
	w.fail("there is no convolution")
	return &nodeProto{outputs: []string{""}}
}

// conv keeps a convolution's weight and that of the norm behind it, and returns what the norm gives.
func (w *walk) conv(n *nodeProto, name, norm string, g geometry) string {
	weight := w.constant(name+".weight", n.input(1), n.dimensions())
	out, in, kernel := weight.dims[0], weight.dims[1], weight.dims[len(weight.dims)-1]
	if out*in*kernel != int64(len(weight.floats)) {
		w.fail("%s.weight has shape %v", name, weight.dims)
	}
	w.keep(name+".weight", weight.floats, out, in, kernel)
	w.checkGeometry(n, name, g)
	bias := make([]float32, out)
	if len(n.inputs) > 2 {
		bias = w.constant(name+".bias", n.input(2), 1).floats
	}
	y := n.outputs[0]
	if len(w.usersOf(y, "BatchNormalization")) > 0 {
		return w.norm(y, norm, bias)
	}
	// The norm is in the weights: what is left of it divides by 1.
	variance := slices.Repeat([]float32{1 - polynet.NormEpsilon}, len(bias))
	w.keepNorm(norm, slices.Repeat([]float32{1}, len(bias)), bias, make([]float32, len(bias)), variance)
	return y
}

// dimensions returns how many dimensions a convolution's weight has: time is the last one of sound, and there may be one of
// size 1 in front of it.
func (n *nodeProto) dimensions() int {
	if strides := n.attribute("strides"); strides != nil && len(strides.list) == 2 {
		return 4
	}
	return 3
}

// checkGeometry compares what the weight's shape does not tell.
func (w *walk) checkGeometry(n *nodeProto, name string, g geometry) {
	group := n.attribute("group")
	switch {
	case n.last("strides", 1) != int64(g.stride):
		w.fail("%s has a stride of %d, not %d", name, n.last("strides", 1), g.stride)
	case n.last("dilations", 1) != 1:
		w.fail("%s is dilated", name)
	case group != nil && group.integer != 1:
		w.fail("%s has %d groups", name, group.integer)
	}
	if w.padded[n.input(0)] {
		return // by as much as other operators compute
	}
	front, want := int64(0), int64(g.kernel-1-g.ahead)
	if pads := n.attribute("pads"); pads != nil && len(pads.list) > 1 {
		front = pads.list[len(pads.list)/2-1] // of the last dimension; zeros that no output reads may follow behind
	}
	if front != want {
		w.fail("%s reads %d rows before the present one, not %d", name, front, want)
	}
}

// norm keeps the batch norm that reads x, which bias has been added to, and returns what it gives.
func (w *walk) norm(x, name string, bias []float32) string {
	n := w.user(name, x, "BatchNormalization")
	values := make([][]float32, 4)
	for i := range values {
		values[i] = slices.Clone(w.constant(name, n.input(1+i), 1).floats)
		if len(values[i]) != len(bias) {
			w.fail("%s: %d values for %d channels", name, len(values[i]), len(bias))
			return ""
		}
	}
	if mode := n.attribute("training_mode"); mode != nil && mode.integer != 0 {
		w.fail("%s computes statistics, as in training; export the network in eval mode", name)
	}
	epsilon := polynet.NormEpsilon
	if a := n.attribute("epsilon"); a != nil {
		epsilon = float64(a.number)
	}
	for i := range bias {
		values[2][i] -= bias[i]
		// A model's norms have one epsilon, so that another one's difference goes to the variance.
		values[3][i] = float32(float64(values[3][i]) + epsilon - polynet.NormEpsilon)
		if values[3][i] < 0 {
			w.fail("%s: with an epsilon of %g the variance of channel %d is too small", name, epsilon, i)
		}
	}
	w.keepNorm(name, values[0], values[1], values[2], values[3])
	return n.outputs[0]
}

func (w *walk) keepNorm(name string, weight, bias, mean, variance []float32) {
	w.keep(name+".weight", weight, int64(len(weight)))
	w.keep(name+".bias", bias, int64(len(bias)))
	w.keep(name+".running_mean", mean, int64(len(mean)))
	w.keep(name+".running_var", variance, int64(len(variance)))
}

// rectified returns max(x, 0) where the network has it, and x where not.
func (w *walk) rectified(what, x string, relu bool) string {
	if relu {
		return w.user(what, x, "Relu").outputs[0]
	}
	if len(w.usersOf(x, "Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "Clip", "Elu", "Gelu")) > 0 {
		w.fail("%s: an activation function comes behind it", what)
	}
	return x
}

// head walks from the last block to the logits.
func (w *walk) head(x string) {
	pooled := w.usersOf(x, "ReduceMean", "GlobalAveragePool")
	if len(pooled) != 1 {
		w.fail("pool: %d operators take the mean over time, instead of one", len(pooled))
		return
	}
	x = pooled[0].outputs[0]
	if shaped := w.usersOf(x, "Flatten", "Squeeze", "Reshape"); len(shaped) == 1 {
		x = shaped[0].outputs[0]
	}
	n := w.user("head", x, "Gemm")
	weight := w.constant("head.weight", n.input(1), 2)
	if transposed := n.attribute("transB"); transposed == nil || transposed.integer != 1 {
		w.fail("head: its weight is not (out, in)")
	}
	w.keep("head.weight", weight.floats, weight.dims...)
	bias := w.constant("head.bias", n.input(2), 1)
	w.keep("head.bias", bias.floats, bias.dims...)
}

// blockWalk walks through a residual block, see polynet.BlockKind.
type blockWalk struct {
	*walk
	name                  string
	g                     geometry // of the first convolution
	relu, tanh            bool
	skips, product, mixes bool
}

// walkFrom goes from the block's input to its output, which it returns.
func (b blockWalk) walkFrom(x string) string {
	first, skip := b.paths(x)
	f := b.conv(first, b.name+".conv1", b.name+".norm1", b.g)
	f = b.rectified(b.name+".norm1", f, b.relu)
	f = b.conv(b.user(b.name+".conv2", f, "Conv"), b.name+".conv2", b.name+".norm2", geometry{b.g.kernel, b.g.ahead, 1})
	s := x
	if b.skips {
		s = b.conv(skip, b.name+".skip.conv", b.name+".skip.norm", geometry{1, 0, b.g.stride})
	}
	sum := b.joins(b.name, "Add", f, s)
	if !b.product {
		return b.rectified(b.name, sum, b.relu)
	}
	z := b.joins(b.name+".product", "Mul", f, s)
	if b.tanh {
		z = b.user(b.name+".product.tanh", z, "Tanh").outputs[0]
	}
	if b.mixes {
		z = b.conv(b.user(b.name+".product.conv", z, "Conv"), b.name+".product.conv", b.name+".product.norm", geometry{1, 0, 1})
	} else {
		z = b.norm(z, b.name+".product.norm", make([]float32, b.width(z)))
	}
	return b.rectified(b.name, b.joins(b.name, "Add", b.scaled(z), sum), b.relu)
}

// paths returns the convolutions that read the block's input: the branch's first, which another one follows, and the skip's.
func (b blockWalk) paths(x string) (first, skip *nodeProto) {
	none := &nodeProto{outputs: []string{""}}
	convs := b.usersOf(x, "Conv")
	want := 1
	if b.skips {
		want = 2
	}
	if len(convs) != want {
		b.fail("%s: %d convolutions read its input, instead of %d", b.name, len(convs), want)
		return none, none
	}
	if !b.skips {
		return convs[0], none
	}
	if b.leadsOn(convs[0]) {
		return convs[0], convs[1]
	}
	return convs[1], convs[0]
}

// leadsOn reports whether another convolution reads what n gives, normed and rectified.
func (b blockWalk) leadsOn(n *nodeProto) bool {
	x := n.outputs[0]
	for _, op := range []string{"BatchNormalization", "Relu"} {
		if next := b.usersOf(x, op); len(next) > 0 {
			x = next[0].outputs[0]
		}
	}
	return len(b.usersOf(x, "Conv")) > 0
}

// width returns the channels of the norm that reads x.
func (b blockWalk) width(x string) int {
	return len(b.constant(b.name+".product.norm", b.user(b.name+".product.norm", x, "BatchNormalization").input(1), 1).floats)
}

// scaled keeps the factor of the product z, which is 1 where nothing multiplies it, and returns the result.
func (b blockWalk) scaled(z string) string {
	name := b.name + ".product.scale"
	found := b.usersOf(z, "Mul")
	if len(found) == 0 {
		b.keep(name, []float32{1}, 1)
		return z
	}
	n := b.user(name, z, "Mul")
	factor := n.input(0)
	if b.origin(factor) == z {
		factor = n.input(1)
	}
	b.keep(name, b.constant(name, factor, 1).floats, 1)
	return n.outputs[0]
}
