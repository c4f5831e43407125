package polynet

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gorgonia.org/tensor"
)

// StateDict is the weights of a network as PyTorch keeps them (bench/pytorch/polynet.py is the network): float32
// tensors, of narrow weights int8 ones, in one piece by the names of Model.Weights, but a convolution's (out, in,
// kernel) and the head's (out, in).
type StateDict map[string]*tensor.Dense

const (
	stateDictFormat = "pt"                   // the format in the metadata of PyTorch's safetensors files
	countSuffix     = ".num_batches_tracked" // of the names of its counts of training steps, which answers do not need
)

// ReadStateDict reads a safetensors file of PyTorch's to its end: its tensors and its metadata. It never holds more
// memory than a small multiple of what r has delivered, whatever the header claims. Errors wrap ErrModel.
func ReadStateDict(r io.Reader) (StateDict, map[string]string, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	metadata, entries, err := readHeader(in)
	if err != nil {
		return nil, nil, err
	}
	if format := metadata["format"]; format == modelFormat || format == narrowFormat {
		return nil, nil, fmt.Errorf("%w: a model of polyphon's already", ErrModel)
	}
	d, err := readTensors(in, entries, nil)
	maps.DeleteFunc(d, func(_ string, t *tensor.Dense) bool { return t == nil })
	return d, metadata, err
}

// SetStateDict sets m's weights to those of d. Missing and surplus tensors and other shapes than those of m.Net give an
// error that wraps ErrWeights and names them, and an impossible m.Net one that wraps ErrConfig; m is then as it was.
func (m *Model) SetStateDict(d StateDict) error {
	if err := m.Net.Validate(); err != nil {
		return err
	}
	if m.Net.Narrow != nil {
		return fmt.Errorf("%w: it has weights of %s, PyTorch's are float32", ErrWeights, m.Net.Narrow.Weights)
	}
	shapes := m.Net.Program().Weights
	weights := make(Weights, len(shapes))
	var missing []string
	for _, s := range shapes {
		w, ok := d[s.Name]
		if !ok {
			missing = append(missing, s.Name)
			continue
		}
		want := slices.Clone(s.Shape)
		slices.Reverse(want)
		if !slices.Equal([]int(w.Shape()), want) {
			return fmt.Errorf("%w: %s has shape %v instead of %v", ErrWeights, s.Name, []int(w.Shape()), want)
		}
		weights[s.Name] = reversed(w)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: it lacks %s", ErrWeights, listed(missing))
	}
	surplus := slices.DeleteFunc(slices.Sorted(maps.Keys(d)), func(name string) bool { return weights[name] != nil })
	if len(surplus) > 0 {
		return fmt.Errorf("%w: it has no %s", ErrWeights, listed(surplus))
	}
	m.Weights = weights
	return nil
}

// StateDict returns the weights in the order of PyTorch; SetStateDict is the inverse.
func (w Weights) StateDict() StateDict {
	d := make(StateDict, len(w))
	for name, t := range w {
		d[name] = reversed(t)
	}
	return d
}

// reversed returns a copy of a tensor of up to three dimensions with its dimensions in the opposite order.
func reversed(t *tensor.Dense) *tensor.Dense {
	shape := slices.Clone(t.Shape())
	slices.Reverse(shape)
	var turned any
	if levels, narrow := t.Data().([]int8); narrow {
		turned = turn(levels, shape)
	} else {
		turned = turn(t.Data().([]float32), shape)
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(turned))
}

// turn returns values in the opposite order of dimensions, which is the given one.
func turn[T any](values []T, shape []int) []T {
	sizes := append(slices.Clone(shape), 1, 1)
	c, b, a := sizes[0], sizes[1], sizes[2]
	turned := make([]T, 0, len(values))
	for k := range c {
		for j := range b {
			for i := range a {
				turned = append(turned, values[(i*b+j)*c+k])
			}
		}
	}
	return turned
}

// listed joins names, the first few of many.
func listed(names []string) string {
	const limit = 5
	if len(names) > limit {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:limit], ", "), len(names)-limit)
	}
	return strings.Join(names, ", ")
}
