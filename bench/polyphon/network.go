package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/gpu"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// netArgs describes a run of a model over a batch of clips.
type netArgs struct {
	Model   string `json:"model"` // file; empty: the embedded model
	Rows    string `json:"rows"`  // file: log-mel energies (batch, frames, mels)
	Batch   int    `json:"batch"`
	Frames  int    `json:"frames"`
	Threads int    `json:"threads"`

	Precision gpu.Precision `json:"precision"` // of a GPU's products; empty: the processor computes
}

// gpus are open, one for each precision that was asked for: all cases share them.
var gpus = map[gpu.Precision]device.Trainer{}

// device opens what computes.
func (a netArgs) device() (device.Trainer, error) {
	if a.Precision == "" {
		return device.CPU(a.Threads)
	}
	if gpus[a.Precision] == nil {
		d, err := gpu.Open(0, a.Precision)
		if err != nil {
			return nil, err
		}
		gpus[a.Precision] = d
	}
	return gpus[a.Precision], nil
}

func (a netArgs) openModel() (m *polynet.Model, d device.Trainer, err error) {
	if m, err = models.Open(a.Model); err == nil {
		d, err = a.device()
	}
	return m, d, err
}

func (a netArgs) openPlan() (*inference.Plan, error) {
	m, d, err := a.openModel()
	if err != nil {
		return nil, err
	}
	return inference.Compile(m, d)
}

func (a netArgs) open() (m *polynet.Model, d device.Trainer, rows []float32, err error) {
	if m, d, err = a.openModel(); err != nil {
		return nil, nil, nil, err
	}
	if rows, err = serve.ReadFloats(a.Rows); err == nil && len(rows) != a.Batch*a.Frames*m.Net.Inputs {
		err = fmt.Errorf("%d values for %+v", len(rows), a)
	}
	return m, d, rows, err
}

// preparePlan runs the compiled model.
func preparePlan(a netArgs) (*serve.Case, error) {
	m, d, rows, err := a.open()
	if err != nil {
		return nil, err
	}
	plan, err := inference.Compile(m, d)
	if err != nil {
		return nil, err
	}
	clips := plan.Clips(a.Batch, a.Frames)
	var logits []float32
	return &serve.Case{
		Run:    func() { logits = clips.Run(rows, a.Batch) },
		Result: func() []float32 { return logits },
	}, nil
}

// prepareNetwork runs the network layer by layer, as in the evaluation of a training run: nothing is folded or fused but
// the block's Hadamard product with its sums.
func prepareNetwork(a netArgs) (*serve.Case, error) {
	m, d, rows, err := a.open()
	if err != nil {
		return nil, err
	}
	m.Norm.Apply(rows)
	n, err := network(m, d)
	if err != nil {
		return nil, err
	}
	pass := training.NewPass(n, nil)
	logits := make([]float32, a.Batch*m.Net.Classes)
	return &serve.Case{
		Run: func() {
			y := n.Forward(pass, pass.Input(rows, a.Batch, a.Frames))
			d.Download(logits, y.Data.Slice(0, len(logits)))
		},
		Result: func() []float32 { return logits },
	}, nil
}

// network returns the trainable network of m's weights.
func network(m *polynet.Model, d device.Trainer) (*training.Network, error) {
	n, err := training.NewNetwork(m.Net, d, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		return nil, err
	}
	return n, n.SetWeights(m.Weights)
}
