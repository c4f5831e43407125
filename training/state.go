package polynet

import (
	"errors"
	"fmt"
	"slices"

	"github.com/polyphon/polyphon/device"
	"gorgonia.org/tensor"
)

// ErrWeights marks weights that do not fit a network.
var ErrWeights = errors.New("weights do not fit the network")

// State is what training changes in a network, for checkpoints. How the parameters lie in the slices follows from the
// Config; Weights gives them by name.
type State struct {
	Params  []float32
	Running []float32 // the norms' running statistics
}

// State returns a copy of the parameters and running statistics.
func (n *Network) State() State { return n.download(n.values, n.running) }

// SetState sets the parameters and running statistics to those of a network of the same Config. Other lengths give
// an error wrapping ErrWeights.
func (n *Network) SetState(s State) error { return n.upload(n.values, n.running, s) }

func (n *Network) download(values, running device.Buffer) State {
	return State{Params: download(n.dev, values), Running: download(n.dev, running)}
}

func (n *Network) upload(values, running device.Buffer, s State) error {
	if len(s.Params) != values.Len() || len(s.Running) != running.Len() {
		return fmt.Errorf("%w: a state of %d and %d values for one of %d and %d",
			ErrWeights, len(s.Params), len(s.Running), values.Len(), running.Len())
	}
	n.dev.Upload(values, s.Params)
	n.dev.Upload(running, s.Running)
	return nil
}

// Weights returns copies of the parameters and running statistics by name, as Model.Weights names them.
func (n *Network) Weights() map[string]*tensor.Dense { return n.weights(n.values, n.running) }

func (n *Network) weights(values, running device.Buffer) map[string]*tensor.Dense {
	weights := make(map[string]*tensor.Dense, len(n.params))
	for i, begin := range n.begins() {
		p := n.params[i]
		data := download(n.dev, n.home(p, values, running).Slice(begin, begin+p.Size()))
		weights[p.Name] = tensor.New(tensor.WithShape(p.Shape...), tensor.WithBacking(data))
	}
	return weights
}

// SetWeights sets the parameters and running statistics by name. A name that is missing or unknown, another shape and
// another type than float32 give an error wrapping ErrWeights, and leave the network as it was.
func (n *Network) SetWeights(weights map[string]*tensor.Dense) error {
	known := make(map[string]bool, len(n.params))
	for _, p := range n.params {
		known[p.Name] = true
		w, ok := weights[p.Name]
		if !ok {
			return fmt.Errorf("%w: %s is missing", ErrWeights, p.Name)
		}
		if !slices.Equal([]int(w.Shape()), p.Shape) {
			return fmt.Errorf("%w: %s has shape %v instead of %v", ErrWeights, p.Name, []int(w.Shape()), p.Shape)
		}
		if w.Dtype() != tensor.Float32 {
			return fmt.Errorf("%w: %s holds %v instead of float32", ErrWeights, p.Name, w.Dtype())
		}
	}
	for name := range weights {
		if !known[name] {
			return fmt.Errorf("%w: it has no %s", ErrWeights, name)
		}
	}
	for _, p := range n.params {
		n.dev.Upload(p.Value, weights[p.Name].Data().([]float32))
	}
	return nil
}

// download returns a copy of b's values.
func download(d device.Trainer, b device.Buffer) []float32 {
	values := make([]float32, b.Len())
	d.Download(values, b)
	return values
}
