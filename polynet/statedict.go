package polynet

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gorgonia.org/tensor"
)

// ErrWeights marks weights that do not fit a network.
var ErrWeights = errors.New("weights do not fit the network")

// StateDict is the weights of a network as PyTorch keeps them (bench/pytorch/polynet.py is the network): float32
// tensors in one piece by the names of Model.Weights, but a convolution's (out, in, kernel) and the head's (out, in).
type StateDict map[string]*tensor.Dense

// stateDictFormat is what the metadata of PyTorch's safetensors files has for a format.
const stateDictFormat = "pt"

// countSuffix ends the names of PyTorch's counts of training steps, integers without an influence on answers.
const countSuffix = ".num_batches_tracked"

// ReadStateDict reads a safetensors file of PyTorch's to its end: its tensors and its metadata. It never holds more
// memory than a small multiple of what r has delivered, whatever the header claims. Errors wrap ErrModel.
func ReadStateDict(r io.Reader) (StateDict, map[string]string, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	header, err := readHeader(in)
	if err != nil {
		return nil, nil, err
	}
	metadata, entries, err := splitHeader(header)
	if err != nil {
		return nil, nil, err
	}
	if metadata["format"] == modelFormat {
		return nil, nil, fmt.Errorf("%w: a model of polyphon's already", ErrModel)
	}
	names := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		x, y := entries[a].Offsets, entries[b].Offsets
		return cmp.Or(slices.Compare(x[:], y[:]), strings.Compare(a, b))
	})
	d, end := StateDict{}, int64(0)
	for _, name := range names {
		w, err := readEntry(in, name, entries[name], end)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: tensor %s %w", ErrModel, name, err)
		}
		end = entries[name].Offsets[1]
		if w != nil {
			d[name] = w
		}
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return nil, nil, fmt.Errorf("%w: bytes behind the last tensor", ErrModel)
	}
	return d, metadata, nil
}

// readEntry returns the tensor that begins at the given byte, or nil for a count of training steps.
func readEntry(in *bufio.Reader, name string, e tensorEntry, begin int64) (*tensor.Dense, error) {
	if e.Offsets[0] != begin || e.Offsets[1] < begin {
		return nil, fmt.Errorf("lies at bytes %v, not from %d on: gaps and overlaps are not allowed", e.Offsets, begin)
	}
	size := e.Offsets[1] - begin
	if strings.HasSuffix(name, countSuffix) {
		if _, err := io.CopyN(io.Discard, in, size); err != nil {
			return nil, fmt.Errorf("breaks off: %w", noEOF(err))
		}
		return nil, nil
	}
	if e.Type != "F32" {
		return nil, fmt.Errorf("has type %.20q, want F32", e.Type)
	}
	values := int64(1)
	for _, n := range e.Shape {
		if n < 1 || values > size/int64(n) {
			return nil, fmt.Errorf("has shape %v in %d bytes", e.Shape, size)
		}
		values *= int64(n)
	}
	if 4*values != size {
		return nil, fmt.Errorf("has shape %v in %d bytes", e.Shape, size)
	}
	backing, err := readValues(in, values)
	if err != nil {
		return nil, fmt.Errorf("breaks off: %w", err)
	}
	return tensor.New(tensor.WithShape(e.Shape...), tensor.WithBacking(backing)), nil
}

// SetStateDict sets m's weights to those of d. Missing and surplus tensors and other shapes than those of m.Net give an
// error that wraps ErrWeights and names them, and an impossible m.Net one that wraps ErrConfig; m is then as it was.
func (m *Model) SetStateDict(d StateDict) error {
	if err := m.Net.Validate(); err != nil {
		return err
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
	values, shape := t.Data().([]float32), slices.Clone(t.Shape())
	slices.Reverse(shape)
	sizes := append(slices.Clone(shape), 1, 1)
	c, b, a := sizes[0], sizes[1], sizes[2]
	turned := make([]float32, 0, len(values))
	for k := range c {
		for j := range b {
			for i := range a {
				turned = append(turned, values[(i*b+j)*c+k])
			}
		}
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(turned))
}

// listed joins names, the first few of many.
func listed(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
