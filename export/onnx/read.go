package onnx

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/polyphon/polyphon/internal/foreign"
	"github.com/polyphon/polyphon/polynet"
)

// ErrFormat marks bytes that are not an ONNX model, or one with weights that polyphon cannot read.
var ErrFormat = errors.New("unusable ONNX file")

// File is an ONNX file that has been read.
type File struct{ model modelProto }

// Read reads an ONNX file of at most 2 GiB to its end. It never holds more than 64 MB and four times what r has
// delivered. Errors wrap ErrFormat.
func Read(r io.Reader) (*File, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	f := new(File)
	switch {
	case err != nil:
	case int64(len(data)) > maxFile:
		err = fmt.Errorf("more than %d bytes", int64(maxFile))
	default:
		err = f.decode(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return f, nil
}

func (f *File) decode(data []byte) error {
	err := decode(data, &f.model)
	if err == nil && f.model.graph.nodes == nil {
		err = errors.New("it has no graph")
	}
	if kind := foreign.Known(data[:min(len(data), foreign.Start)]); err != nil && kind != "" {
		err = fmt.Errorf("it is %s", kind)
	}
	return err
}

// Metadata returns what the file says in metadata_props, as polynet.Model.SetMetadata takes it where Write wrote it.
func (f *File) Metadata() map[string]string {
	m := make(map[string]string)
	for _, e := range f.model.metadata {
		m[e.key] = e.value
	}
	return m
}

// StateDict returns the weights of network c from a graph that computes it: one that Write wrote, or one that
// torch.onnx.export wrote of bench/pytorch/polynet.py. It follows the data from operator to operator, since exporters
// rename, merge and share weights. Where a batch norm is folded into a convolution, the norm comes out as one that adds
// the bias and changes nothing else. A graph that computes something else gives an error that wraps ErrFormat and names
// the first difference, and an impossible c one that wraps polynet.ErrConfig. The weights' shapes are left to
// polynet.Model.SetStateDict.
func (f *File) StateDict(c polynet.Config) (polynet.StateDict, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	w := newWalk(&f.model.graph)
	w.network(c.Program().DropTrainingSteps())
	if w.err != nil {
		return nil, fmt.Errorf("%w: the graph is not this network of %s blocks: %w", ErrFormat, c.Block, w.err)
	}
	if unused := w.unused(); len(unused) > 0 {
		return nil, fmt.Errorf("%w: the network has no %.1000s", ErrFormat, strings.Join(unused, ", "))
	}
	return w.weights, nil
}
