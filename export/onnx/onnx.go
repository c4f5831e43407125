// Package onnx writes models in the ONNX format (https://onnx.ai), for ONNX Runtime and other programs. It reads the
// weights in files of Write and in those that torch.onnx.export wrote of bench/pytorch/polynet.py.
package onnx

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/polyphon/polyphon/polynet"
)

// Input is the input of a graph.
type Input string

// The inputs, of which the caller of Write chooses one.
const (
	// LogMel is (batch, time, Mels): rows as features.Extractor gives them, not normalised.
	LogMel Input = "log_mel"
	// Samples is (batch, samples): sound in [-1, 1] at the model's rate. n samples, at least one, give the 1 + n/Hop rows
	// that features.Extractor makes of them.
	Samples Input = "samples"
)

// The names of the outputs, (batch, Classes).
const (
	Logits        = "logits"
	Probabilities = "probabilities" // those of polynet.Model.Probabilities
)

// Opset is the version of ONNX's operators that Write uses.
const Opset = 17

// Write writes m as an ONNX model of float32 values. Narrow weights, ternary ones too, are int8 constants that
// DequantizeLinear multiplies by the scale of their channel, and what narrow convolutions read passes QuantizeLinear
// and DequantizeLinear (QDQ), which ONNX Runtime makes products of int8 of. Batch and time are free. The logits depend
// on every row, so the caller cuts recordings into the model's windows. The metadata is that of
// polynet.Model.Metadata, without the calibration's scaling, which is in the weights.
//
// Write returns an error that wraps polynet.ErrModel, and writes nothing, when m is not valid, and one that wraps
// features.ErrConfig when its features are too many for a graph.
func Write(w io.Writer, m *polynet.Model, input Input) error {
	p, err := export(m, input)
	if err != nil {
		return err
	}
	_, err = w.Write(encode(p))
	return err
}

func export(m *polynet.Model, input Input) (*modelProto, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	program, weights, err := m.Inference()
	if err != nil {
		return nil, err
	}
	metadata, err := withoutScaling(m).Metadata()
	if err != nil {
		return nil, err
	}
	b := builder{weights: weights.StateDict()}
	rows, shape := b.logMel, fmt.Sprintf("(batch, time, %d)", m.Features.Mels)
	if input == Samples {
		rows, shape = b.frontEnd, fmt.Sprintf("(batch, samples) of %d Hz", m.Features.Rate)
	}
	x, err := rows(m.Features)
	if err != nil {
		return nil, err
	}
	b.network(program, b.normalise(m.Norm, x))
	if err := b.probabilities(m); err != nil {
		return nil, err
	}
	dims := []dimension{{name: "batch"}, {size: int64(m.Net.Classes)}}
	b.graph.outputs = []valueProto{
		{name: Logits, doc: "One for each label.", dims: dims},
		{name: Probabilities, doc: probabilitiesDoc(m), dims: dims},
	}
	b.graph.name = "polyphon"
	p := &modelProto{producer: "polyphon", graph: b.graph, opsets: []opsetProto{{version: Opset}}}
	p.doc = fmt.Sprintf("polyphon: windows of %g s to %d labels. Input %s %s; outputs %s and %s (batch, %[2]d). "+
		"The metadata has the labels.", m.Window, len(m.Labels), input, shape, Logits, Probabilities)
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		p.metadata = append(p.metadata, entryProto{key, metadata[key]})
	}
	return p, nil
}
