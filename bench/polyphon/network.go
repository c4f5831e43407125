package main

import (
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

// gpus are open, one for each requested precision: all cases share them.
var gpus = map[gpu.Precision]device.Trainer{}

// open opens the model and the device.
func (a netArgs) open() (*polynet.Model, device.Trainer) {
	m := serve.Must(models.Open(a.Model))
	if a.Precision == "" {
		return m, serve.Must(device.CPU(a.Threads))
	}
	if gpus[a.Precision] == nil {
		gpus[a.Precision] = serve.Must(gpu.Open(0, a.Precision))
	}
	return m, gpus[a.Precision]
}

func (a netArgs) openWithRows() (m *polynet.Model, d device.Trainer, rows []float32) {
	m, d = a.open()
	if rows = read(a.Rows); len(rows) != a.Batch*a.Frames*m.Net.Inputs {
		serve.Fail("%d values for %+v", len(rows), a)
	}
	return m, d, rows
}

// preparePlan runs the compiled model.
func preparePlan(a netArgs) *serve.Case {
	m, d, rows := a.openWithRows()
	plan := serve.Must(inference.Compile(m, d))
	clips := plan.Clips(a.Batch, a.Frames)
	var logits []float32
	return &serve.Case{
		Run:    func() { logits = clips.Run(rows, a.Batch) },
		Result: func() []float32 { return logits },
	}
}

// prepareNetwork runs the network layer by layer, as in the evaluation of a training run: nothing is folded or fused
// but the block's Hadamard product with its sums.
func prepareNetwork(a netArgs) *serve.Case {
	m, d, rows := a.openWithRows()
	m.Norm.Apply(rows)
	n := network(m, d)
	pass := training.NewPass(n, nil)
	logits := make([]float32, a.Batch*m.Net.Classes)
	return &serve.Case{
		Run: func() {
			y := n.Forward(pass, pass.Input(rows, a.Batch, a.Frames))
			d.Download(logits, y.Data.Slice(0, len(logits)))
		},
		Result: func() []float32 { return logits },
	}
}

// network returns the trainable network of m's weights.
func network(m *polynet.Model, d device.Trainer) *training.Network {
	n := serve.Must(training.NewNetwork(m.Net, d, rand.New(rand.NewPCG(1, 1))))
	return serve.Must(n, n.SetWeights(m.Weights))
}
