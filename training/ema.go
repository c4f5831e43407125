package polynet

import (
	"github.com/polyphon/polyphon/device"
	"gorgonia.org/tensor"
)

// EMA is an exponential moving average of a network's parameters and running statistics over its training steps (Polyak
// and Juditsky, 1992); averaged weights often answer better than the last ones.
type EMA struct {
	net             *Network
	decay           float64
	values, running device.Buffer
}

// NewEMA returns an average that begins at n's present weights. decay, in [0, 1), is the share that the average keeps at
// each step; in early steps it is lower, since the weights still move fast.
func NewEMA(n *Network, decay float64) *EMA {
	e := &EMA{net: n, decay: decay, values: n.dev.Alloc(n.values.Len()), running: n.dev.Alloc(n.running.Len())}
	n.dev.EMAUpdate(e.values, n.values, 1)
	n.dev.EMAUpdate(e.running, n.running, 1)
	return e
}

// Update takes the network's weights after step number step, counted from 1, into the average, which keeps
// min(decay, (1+step)/(10+step)) of itself.
func (e *EMA) Update(step int) {
	keep := min(e.decay, float64(1+step)/float64(10+step))
	e.net.dev.EMAUpdate(e.values, e.net.values, float32(1-keep))
	e.net.dev.EMAUpdate(e.running, e.net.running, float32(1-keep))
}

// Weights returns copies of the averages by name, as Model.Weights names them.
func (e *EMA) Weights() map[string]*tensor.Dense { return e.net.weights(e.values, e.running) }

// State returns a copy of the averages, in the layout of the network's State.
func (e *EMA) State() State { return e.net.download(e.values, e.running) }

// SetState sets the averages. Other lengths give an error wrapping ErrWeights.
func (e *EMA) SetState(s State) error { return e.net.upload(e.values, e.running, s) }
