package main

import (
	"math/rand/v2"
	"strings"

	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
	"gorgonia.org/tensor"
)

// modelArgs describes a network whose stages have two blocks of kernel 9, centred, and halve the rows from the second
// on.
type modelArgs struct {
	Path   string            `json:"path"` // file to write; empty: only facts of the embedded model
	Block  polynet.BlockKind `json:"block"`
	Widths []int             `json:"widths"`
	Frames int               `json:"frames"` // of a clip

	Narrow *polynet.Narrow `json:"narrow"` // of all weights, or none
}

// modelFacts are a prepared model's.
type modelFacts struct {
	Parameters int   `json:"parameters"`
	MACs       int64 `json:"macs"` // multiply-adds of a clip
	Weights    int64 `json:"weights"`
}

// prepareModel writes a model whose weights are random, and yet such that the network's numbers keep a sane size: the
// norms have the statistics of the batches that ran through.
func prepareModel(a modelArgs) *serve.Case {
	m := models.Base()
	if a.Path != "" {
		m.Net, m.Provenance = a.config(m.Net), polynet.Provenance{Command: "bench/run.py", Seed: seed}
		randomise(m, a.Frames)
		if a.Narrow != nil {
			narrow(m, a.Narrow)
		}
		if err := m.Save(a.Path); err != nil {
			serve.Fail("%w", err)
		}
	}
	p := m.Net.Program()
	weights, _ := p.WeightBits()
	return &serve.Case{Facts: modelFacts{Parameters: p.Parameters(), MACs: p.MACs(a.Frames), Weights: weights}}
}

func (a modelArgs) config(base polynet.Config) polynet.Config {
	c := polynet.Config{
		Inputs: base.Inputs, Classes: base.Classes, Block: a.Block,
		Stem: polynet.Stem{Width: a.Widths[0], Kernel: 5, Ahead: 2, Stride: 1},
	}
	for i, width := range a.Widths {
		c.Stages = append(c.Stages, polynet.Stage{Width: width, Blocks: 2, Kernel: 9, Ahead: 4, Stride: min(2, i+1)})
	}
	return c
}

const (
	seed          = 1
	productFactor = 0.2 // of the size that training gives
)

// randomise sets m's weights: fresh ones, products that count, and statistics that the norms gather over a few batches.
func randomise(m *polynet.Model, frames int) {
	d := serve.Must(device.CPU(0))
	rng := rand.New(rand.NewPCG(seed, 1))
	n := serve.Must(training.NewNetwork(m.Net, d, rng))
	for _, p := range n.Params() {
		if p.Len() == 1 { // a product's factor, which starts at 0
			d.Upload(p.Value, []float32{productFactor})
		}
	}
	const batches, batch = 60, 4
	pass := training.NewPass(n, rng)
	pass.Train = true
	rows := make([]float32, batch*frames*m.Net.Inputs)
	for range batches {
		for i := range rows {
			rows[i] = float32(rng.NormFloat64())
		}
		n.Forward(pass, pass.Input(rows, batch, frames))
	}
	m.Weights = n.Weights()
}

// inputRange is what narrow convolutions' inputs are expected to reach: norms keep most values far below it.
const inputRange = 8.0

// narrow rounds m's weights, without regard to what that does to the answers.
func narrow(m *polynet.Model, n *polynet.Narrow) {
	m.Net.Narrow = n
	rounded := polynet.Weights{}
	for _, w := range m.Net.Program().Weights {
		dense := m.Weights[w.Name]
		switch base, isWeight := strings.CutSuffix(w.Name, ".weight"); {
		case w.Precision != polynet.Float32 && isWeight:
			width := w.Shape[len(w.Shape)-1]
			levels, scales := w.Precision.Quantise(dense.Data().([]float32), width)
			rounded[w.Name] = tensor.New(tensor.WithShape(w.Shape...), tensor.WithBacking(levels))
			rounded[base+".weight_scale"] = tensor.New(tensor.WithShape(width), tensor.WithBacking(scales))
		case dense != nil:
			rounded[w.Name] = dense
		case strings.HasSuffix(w.Name, ".input_scale"):
			scale := []float32{inputRange / polynet.MaxLevel}
			rounded[w.Name] = tensor.New(tensor.WithShape(1), tensor.WithBacking(scale))
		}
	}
	m.Weights = rounded
}
