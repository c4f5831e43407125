package main

import (
	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/training"
)

// stepArgs describes training steps on one batch, whose clip i has label i modulo the number of classes.
type stepArgs struct {
	netArgs
	Rate  float64 `json:"rate"`
	Steps int     `json:"steps"` // before those that are timed, whose losses are reported
}

// The recipe's constants, which the peer has too.
const (
	momentum  = 0.9
	decay     = 5e-4
	smoothing = 0.1
	clip      = 2.0
)

// prepareStep trains: forward, loss, backward, gradient clipping and the optimiser's update. Rows are normalised
// features.
func prepareStep(a stepArgs) *serve.Case {
	m, d, rows := a.openWithRows()
	n := network(m, d)
	labels, targets := make([]int, a.Batch), make([]float32, a.Batch*m.Net.Classes)
	for i := range labels {
		labels[i] = i % m.Net.Classes
	}
	pass, optimizer := training.NewPass(n, nil), training.NewSGD(n, momentum, decay)
	pass.Train = true
	number := 0
	step := func() float64 {
		training.Targets(targets, labels, m.Net.Classes, smoothing)
		n.ZeroGradient()
		gradient := pass.LossGradient(n.Forward(pass, pass.Input(rows, a.Batch, a.Frames)), targets, device.Loss{})
		n.Backward(pass, gradient)
		n.ClipGradient(clip)
		number++
		optimizer.Step(a.Rate, number)
		return pass.Loss()
	}
	losses := make([]float64, a.Steps)
	for i := range losses {
		losses[i] = step()
	}
	if last := a.Steps - 1; last > 0 && !(losses[last] < losses[0]) {
		serve.Fail("losses %v do not fall", losses)
	}
	return &serve.Case{Run: func() { step() }, Facts: map[string]any{"losses": losses}}
}
