package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/export/onnx"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

type exportCmd struct {
	Model        string `arg:"" optional:"" help:"Model file, or an embedded model: base, the default, or small." placeholder:"FILE"`
	ONNX         string `name:"onnx" help:"ONNX file to write; docs/onnx.md describes it." required:"" type:"path" placeholder:"FILE"`
	WithFeatures bool   `help:"Put the log-mel front end into the graph too, whose input is then samples."`
}

func (c *exportCmd) Run(s streams) error {
	m, err := models.Open(c.Model)
	if err != nil {
		return program.WithStatus(program.StatusModel, err)
	}
	var opts []onnx.Option
	input := onnx.LogMel
	if c.WithFeatures {
		opts, input = append(opts, onnx.WithFeatures()), onnx.Samples
	}
	err = atomicfile.Write(c.ONNX, 0o644, func(w io.Writer) error { return onnx.Write(w, m, opts...) })
	if errors.Is(err, polynet.ErrModel) || errors.Is(err, features.ErrConfig) {
		return program.WithStatus(program.StatusModel, err)
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(c.ONNX)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %s to %s of %d labels, ONNX operators %d, %.1f MB\n",
		c.ONNX, input, strings.Join([]string{onnx.Logits, onnx.Probabilities}, " and "), len(m.Labels), onnx.Opset, float64(info.Size())*1e-6)
	return nil
}
