package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// netArgs describes a run of a model over a batch of clips.
type netArgs struct {
	Model   string `json:"model"` // file; empty: the embedded model
	Rows    string `json:"rows"`  // file: log-mel energies (batch, frames, mels)
	Batch   int    `json:"batch"`
	Frames  int    `json:"frames"`
	Threads int    `json:"threads"`
}

func (a netArgs) open() (m *polynet.Model, d device.Device, rows []float32, err error) {
	if m, err = models.Open(a.Model); err != nil {
		return nil, nil, nil, err
	}
	if d, err = device.CPU(a.Threads); err != nil {
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
	plan, err := m.Compile(d)
	if err != nil {
		return nil, err
	}
	session := plan.Session(a.Batch, a.Frames)
	var logits []float32
	return &serve.Case{
		Run:    func() { logits = session.Run(rows, a.Batch) },
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
	pass := polynet.NewPass(n, nil)
	var logits device.View
	return &serve.Case{
		Run:    func() { logits = n.Forward(pass, pass.Input(rows, a.Batch, a.Frames)) },
		Result: func() []float32 { return logits.Data.Host()[:a.Batch*m.Net.Classes] },
	}, nil
}

// network returns the trainable network of m's weights.
func network(m *polynet.Model, d device.Device) (*polynet.Network, error) {
	n, err := polynet.NewNetwork(m.Net, d, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		return nil, err
	}
	return n, n.SetWeights(m.Weights)
}
