// Package onnx writes models in the ONNX format (https://onnx.ai), for ONNX Runtime and other programs. It reads the
// weights in files of Write and in those that torch.onnx.export wrote of bench/pytorch/polynet.py.
package onnx

import (
	"fmt"
	"io"

	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// The names of the inputs, of which a graph has one, and of the outputs.
const (
	LogMel        = "log_mel"       // input (batch, time, Mels): rows as features.Extractor gives them, not normalised
	Samples       = "samples"       // input (batch, samples): sound in [-1, 1] at the model's rate; with WithFeatures
	Logits        = "logits"        // output (batch, Classes)
	Probabilities = "probabilities" // output (batch, Classes): the softmax of the logits divided by the temperature
)

// Opset is the version of ONNX's operators that Write uses.
const Opset = 17

// Option changes what Write writes.
type Option func(*options)

type options struct{ features bool }

// WithFeatures puts the log-mel rows into the graph, whose input is then Samples. n samples, at least one, give the
// 1 + n/Hop rows that features.Extractor makes of them.
func WithFeatures() Option { return func(o *options) { o.features = true } }

// Write writes m as an ONNX model of float32 values. Batch and time are free. The logits depend on every row, so the
// caller cuts recordings into the model's windows. The metadata is that of polynet.Model.Metadata.
//
// Write returns an error that wraps polynet.ErrModel, and writes nothing, when m is not valid, and one that wraps
// features.ErrConfig when its features are too many for a graph.
func Write(w io.Writer, m *polynet.Model, opts ...Option) error {
	var o options
	for _, option := range opts {
		option(&o)
	}
	p, err := export(m, o)
	if err != nil {
		return err
	}
	_, err = w.Write(p.encode())
	return err
}

func export(m *polynet.Model, o options) (*modelProto, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	program, weights, err := m.Inference()
	if err != nil {
		return nil, err
	}
	metadata, err := m.Metadata()
	if err != nil {
		return nil, err
	}
	b := new(builder)
	x, err := b.input(m, o)
	if err != nil {
		return nil, err
	}
	b.network(program, weights, x)
	b.softmax(m.Temperature)
	shape := []dimension{{name: "batch"}, {size: m.Net.Classes}}
	b.graph.outputs = []valueProto{
		{name: Logits, doc: "One for each label.", dims: shape},
		{name: Probabilities, doc: "The softmax of the logits divided by the temperature.", dims: shape},
	}
	b.graph.name = "polyphon"
	return &modelProto{producer: "polyphon", doc: describe(m, o), opset: Opset, graph: b.graph, metadata: metadata}, nil
}

// input adds the graph's input and what comes before the network, and returns the network's input.
func (b *builder) input(m *polynet.Model, o options) (string, error) {
	if !o.features {
		b.graph.inputs = []valueProto{{
			name: LogMel, doc: "Log-mel rows, not normalised.",
			dims: []dimension{{name: "batch"}, {name: "time"}, {size: m.Features.Mels}},
		}}
		x := b.node("Unsqueeze", "input/image", []string{LogMel, b.integers("input/image.axis", 1)})
		x = b.node("Transpose", "input/channels", []string{x}, ints("perm", 0, 3, 1, 2))
		return b.normalise(m.Norm, x), nil
	}
	e, err := features.New(m.Features)
	if err != nil {
		return "", err
	}
	b.graph.inputs = []valueProto{{
		name: Samples, doc: fmt.Sprintf("Sound of %d Hz, mono, in [-1, 1].", m.Features.Rate),
		dims: []dimension{{name: "batch"}, {name: "samples"}},
	}}
	x, err := b.frontEnd(e, Samples)
	return b.normalise(m.Norm, x), err
}

// describe returns a description of the graph for people.
func describe(m *polynet.Model, o options) string {
	input := fmt.Sprintf("%s (batch, time, %d)", LogMel, m.Features.Mels)
	if o.features {
		input = fmt.Sprintf("%s (batch, samples) of %d Hz", Samples, m.Features.Rate)
	}
	return fmt.Sprintf("polyphon: windows of %g s to %d labels. Input %s; outputs %s and %s (batch, %[2]d). "+
		"The metadata has the labels.", m.Window, len(m.Labels), input, Logits, Probabilities)
}
