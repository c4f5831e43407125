package main

import (
	"errors"
	"io"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/export/onnx"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

type exportCmd struct {
	Model        string `arg:"" optional:"" help:"${modelHelp}" placeholder:"MODEL"`
	ONNX         string `name:"onnx" help:"${exportHelp}" required:"" type:"path" placeholder:"FILE"`
	WithFeatures bool   `help:"Put the log-mel front end into the graph too, whose input is then samples."`
}

func (c *exportCmd) Run(s program.Streams) error {
	if err := atomicfile.Check(c.ONNX); err != nil {
		return err
	}
	m, err := models.Open(c.Model)
	if err != nil {
		return modelError(err)
	}
	input := onnx.LogMel
	if c.WithFeatures {
		input = onnx.Samples
	}
	var size counter
	err = atomicfile.Write(c.ONNX, func(w io.Writer) error { return onnx.Write(io.MultiWriter(w, &size), m, input) })
	if errors.Is(err, polynet.ErrModel) || errors.Is(err, features.ErrConfig) {
		return modelError(err)
	}
	if err != nil {
		return err
	}
	safe.Fprintf(reportTo(s, c.ONNX), "%s: %s to %s and %s of %d labels, ONNX operators %d, %.1f MB\n",
		c.ONNX, input, onnx.Logits, onnx.Probabilities, len(m.Labels), onnx.Opset, float64(size)*1e-6)
	return nil
}

// counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
