// Package polynet holds layers and shapes: time-major 1D polynomial residual networks, their training, the model file, and
// the compiled plan that answers for sounds.
package polynet

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/device"
)

// Network is a trainable network on a device: see Config for what it computes. Its parameters lie in one buffer (decayed
// ones first), their gradients in another, the running statistics in a third, so that an optimiser's step is a
// call or two. Several goroutines may run Forward at once, each with its Pass, as long as none of them trains.
type Network struct {
	config Config
	dev    device.Trainer
	graph  *graph // the stem and the blocks
	head   *head
	params []*Param

	values, grads, running device.Buffer
	decayed                int           // values[:decayed] are Decayed, the others Undecayed
	norm                   device.Buffer // ClipGradient's result
}

// NewNetwork returns a network with freshly drawn weights: convolutions from a normal distribution of variance
// 2/(Kernel·out) unless BlockKind says otherwise, the head's weight uniform within 1/√in, norms 1 and 0, factors and
// the head's bias 0. An impossible c gives an error wrapping ErrConfig.
func NewNetwork(c Config, d device.Trainer, rng *rand.Rand) (*Network, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Stages = slices.Clone(c.Stages)
	n := &Network{config: c, dev: d, graph: newGraph(c.program())}
	n.head = newHead(n.graph.program.width(), c.Classes, c.totalStride(), c.Dropout)
	n.params = append(n.graph.Params(), n.head.Params()...)
	n.allocate()
	n.initialise(rng)
	return n, nil
}

// allocate lays out the parameters, each beginning on a cache line; what lies between them is 0 and stays 0.
func (n *Network) allocate() {
	var size [Running + 1]int
	for _, p := range n.params {
		size[p.Kind] += alignUp(p.Size())
	}
	n.decayed = size[Decayed]
	n.values = n.dev.Alloc(size[Decayed] + size[Undecayed])
	n.grads = n.dev.Alloc(size[Decayed] + size[Undecayed])
	n.running = n.dev.Alloc(size[Running])
	n.norm = n.dev.Alloc(1)
	for i, begin := range n.begins() {
		p := n.params[i]
		p.Value = n.home(p, n.values, n.running).Slice(begin, begin+p.Size())
		if p.Kind != Running {
			p.Grad = n.grads.Slice(begin, begin+p.Size())
		}
	}
}

// begins returns where each parameter begins in its buffer.
func (n *Network) begins() []int {
	next := [Running + 1]int{Undecayed: n.decayed}
	begins := make([]int, len(n.params))
	for i, p := range n.params {
		begins[i] = next[p.Kind]
		next[p.Kind] += alignUp(p.Size())
	}
	return begins
}

// home returns the one of two buffers, laid out like the network's, that holds p.
func (n *Network) home(p *Param, values, running device.Buffer) device.Buffer {
	if p.Kind == Running {
		return running
	}
	return values
}

func (n *Network) initialise(rng *rand.Rand) {
	for _, p := range n.params {
		values := make([]float32, p.Size())
		p.initial(values, rng)
		n.dev.Upload(p.Value, values)
	}
}

// Config returns what the network computes.
func (n *Network) Config() Config {
	c := n.config
	c.Stages = slices.Clone(c.Stages)
	return c
}

// Params returns the parameters and running statistics, from the stem to the head.
func (n *Network) Params() []*Param { return slices.Clone(n.params) }

// Forward returns the logits, one group of (batch, Classes), contiguous; they are valid until the Pass's next Input.
// With p.Train it moves the running statistics.
func (n *Network) Forward(p *Pass, x Activation) device.View {
	if x.Cols != n.config.Inputs {
		panic(fmt.Sprintf("polynet: input %v for a network of %d inputs", x.View, n.config.Inputs))
	}
	return n.head.Forward(p, n.graph.Forward(p, x)).View
}

// Backward adds the gradients of all parameters to their Grad, given the loss's gradient with respect to the logits of
// the latest Forward, which was one in training. ZeroGradient comes before the first Backward of a step.
func (n *Network) Backward(p *Pass, dlogits device.View) {
	n.graph.backward(p, n.head.Backward(p, Activation{View: dlogits}), false)
}

// ZeroGradient sets all gradients to 0.
func (n *Network) ZeroGradient() {
	n.dev.Fill(device.Matrix(n.grads, 1, n.grads.Len()), 0)
}

// ClipGradient scales all gradients so that together they have a Euclidean norm of at most limit.
func (n *Network) ClipGradient(limit float64) {
	n.dev.ClipNorm(n.grads, n.norm, float32(limit))
}

// GradientNorm returns the norm that the gradients had before the latest ClipGradient. It waits for the device.
func (n *Network) GradientNorm() float64 { return float64(download(n.dev, n.norm)[0]) }
