package polynet

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
)

// Optimizer moves a network's parameters against their gradients. Weight decay applies to Decayed parameters only.
type Optimizer interface {
	// Step makes step number step, counted from 1, with the given learning rate.
	Step(rate float64, step int)
	// State returns copies of the gradients' moving moments, for checkpoints.
	State() [][]float32
	// SetState sets them to another optimiser's of the same kind for a network of the same Config; other lengths give an
	// error wrapping ErrWeights.
	SetState(moments [][]float32) error
}

// SGD is stochastic gradient descent with Nesterov momentum, in PyTorch's form.
type SGD struct {
	net             *Network
	momentum, decay float32
	velocity        device.Buffer
}

// NewSGD returns an optimiser of n's parameters with momentum in [0, 1) and weight decay.
func NewSGD(n *Network, momentum, decay float64) *SGD {
	return &SGD{net: n, momentum: float32(momentum), decay: float32(decay), velocity: n.dev.Alloc(n.values.Len())}
}

// Step implements Optimizer; SGD does not depend on the step's number.
func (o *SGD) Step(rate float64, _ int) {
	for _, g := range o.net.groups(o.decay) {
		o.net.dev.SGD(g.of(o.net.values), g.of(o.net.grads), g.of(o.velocity), float32(rate), o.momentum, g.decay)
	}
}

// State implements Optimizer: the velocity.
func (o *SGD) State() [][]float32 { return [][]float32{download(o.net.dev, o.velocity)} }

// SetState implements Optimizer.
func (o *SGD) SetState(moments [][]float32) error {
	return o.net.setMoments(moments, o.velocity)
}

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
type AdamW struct {
	net                      *Network
	beta1, beta2, eps, decay float32
	first, second            device.Buffer // moments
}

// NewAdamW returns an optimiser of n's parameters; beta1 and beta2, in [0, 1), are the decays of the moments, eps is added to
// the root of the second one. The usual values are 0.9, 0.999 and 1e-8.
func NewAdamW(n *Network, beta1, beta2, eps, decay float64) *AdamW {
	return &AdamW{
		net: n, beta1: float32(beta1), beta2: float32(beta2), eps: float32(eps), decay: float32(decay),
		first: n.dev.Alloc(n.values.Len()), second: n.dev.Alloc(n.values.Len()),
	}
}

// Step implements Optimizer.
func (o *AdamW) Step(rate float64, step int) {
	for _, g := range o.net.groups(o.decay) {
		o.net.dev.AdamW(g.of(o.net.values), g.of(o.net.grads), g.of(o.first), g.of(o.second),
			float32(rate), o.beta1, o.beta2, o.eps, g.decay, step)
	}
}

// State implements Optimizer: the first and second moments.
func (o *AdamW) State() [][]float32 {
	return [][]float32{download(o.net.dev, o.first), download(o.net.dev, o.second)}
}

// SetState implements Optimizer.
func (o *AdamW) SetState(moments [][]float32) error {
	return o.net.setMoments(moments, o.first, o.second)
}

// group is a range of the parameters' buffer with one weight decay.
type group struct {
	begin, end int
	decay      float32
}

func (g group) of(b device.Buffer) device.Buffer { return b.Slice(g.begin, g.end) }

// groups returns the Decayed parameters and the Undecayed ones.
func (n *Network) groups(decay float32) [2]group {
	return [2]group{{0, n.decayed, decay}, {n.decayed, n.values.Len(), 0}}
}

// setMoments uploads moments, one to each buffer.
func (n *Network) setMoments(moments [][]float32, buffers ...device.Buffer) error {
	if len(moments) != len(buffers) {
		return fmt.Errorf("%w: %d moments for an optimiser of %d", ErrWeights, len(moments), len(buffers))
	}
	for i, b := range buffers {
		if len(moments[i]) != b.Len() {
			return fmt.Errorf("%w: moments of %d values instead of %d", ErrWeights, len(moments[i]), b.Len())
		}
	}
	for i, b := range buffers {
		n.dev.Upload(b, moments[i])
	}
	return nil
}
