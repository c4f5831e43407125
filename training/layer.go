package polynet

import (
	"math"
	"math/rand/v2"

	"github.com/polyphon/polyphon/device"
)

// Layer is one step of a network. Layers hold parameters only; what a run needs lies in its Pass.
type Layer interface {
	// Forward returns the layer's output for x. It leaves x as it is.
	Forward(p *Pass, x Activation) Activation
	// Backward takes the loss's gradient with respect to the output of the latest Forward that no Backward has
	// answered yet, adds the gradients of the parameters to their Grad, and returns the gradient with respect to that
	// Forward's input. dy is consumed: its memory may be overwritten or returned.
	Backward(p *Pass, dy Activation) Activation
	// Params returns the layer's parameters and running statistics.
	Params() []*Param
}

// ParamKind says how training treats a parameter.
type ParamKind int

// The kinds of parameters, in the order in which a network stores them.
const (
	Decayed   ParamKind = iota // weights of convolutions and of the head: weight decay applies
	Undecayed                  // norms' weights and biases, the head's bias, the product's factor a: it does not
	Running                    // norms' running statistics: set by Forward, not by an optimiser
)

// Param is one named array of a network. Value and Grad are slices of buffers that hold all of the network's.
type Param struct {
	Name  string // as in Model.Weights
	Shape []int
	Kind  ParamKind
	Value device.Buffer
	Grad  device.Buffer // the loss's gradient; empty where Kind is Running

	initial func(dst []float32, rng *rand.Rand)
}

// Size returns the number of values.
func (p *Param) Size() int {
	n := 1
	for _, s := range p.Shape {
		n *= s
	}
	return n
}

// constant is an initialisation with one value.
func constant(v float32) func([]float32, *rand.Rand) {
	return func(dst []float32, _ *rand.Rand) {
		for i := range dst {
			dst[i] = v
		}
	}
}

// kaiming draws from a normal distribution of variance 2/fan. With the fan-out it is how the official Π-nets are
// initialised (He et al., 2015), with and without activations.
func kaiming(fan int) func([]float32, *rand.Rand) { return normal(2 / float64(fan)) }

// normal draws from a normal distribution.
func normal(variance float64) func([]float32, *rand.Rand) {
	deviation := math.Sqrt(variance)
	return func(dst []float32, rng *rand.Rand) {
		for i := range dst {
			dst[i] = float32(rng.NormFloat64() * deviation)
		}
	}
}

// uniform draws from [-limit, limit).
func uniform(limit float64) func([]float32, *rand.Rand) {
	return func(dst []float32, rng *rand.Rand) {
		for i := range dst {
			dst[i] = float32((2*rng.Float64() - 1) * limit)
		}
	}
}
