package polynet

import (
	"fmt"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// The goldens are PyTorch's, in float64: see testdata/goldens.py, whose geometry these tests repeat.

func TestBlocksAgreeWithPyTorch(t *testing.T) {
	g := readGolden(t, "blocks.npz")
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range BlockKinds() {
			for _, stride := range []int{1, 2} {
				name := fmt.Sprintf("%s-%d", kind, stride)
				t.Run(name, func(t *testing.T) {
					checkBlock(t, d, kind, stride, g.under(name+"/"))
				})
			}
		}
	})
}

func checkBlock(t *testing.T, d device.Trainer, kind BlockKind, stride int, g golden) {
	const batch, frames, width = 3, 11, 6
	in := map[int]int{1: 6, 2: 5}[stride]
	b := blockGraph(kind, blockSpec{in: in, width: width, kernel: 5, ahead: 1, stride: stride})
	bind(d, b, seeded(1))
	for _, q := range b.Params() {
		d.Upload(q.Value, g.values(t, "weights/"+q.Name))
	}
	p := newPass(d, 3, nil)
	p.Train = true
	y := b.Forward(p, p.Input(g.values(t, "x"), batch, frames))
	near(t, "y", rowsOf(d, y.View), g.values(t, "y"), 1e-5)
	dy := p.like(y)
	fill(p, dy, g.values(t, "dy"))
	near(t, "dx", rowsOf(d, b.Backward(p, dy).View), g.values(t, "dx"), 1e-5)
	for _, q := range b.Params() {
		if q.Kind == Running {
			near(t, q.Name, download(d, q.Value), g.values(t, "running/"+q.Name), 1e-5)
		} else {
			near(t, q.Name+"'s gradient", download(d, q.Grad), g.values(t, "gradients/"+q.Name), 1e-5)
		}
	}
}

func TestTrainingAgreesWithPyTorch(t *testing.T) {
	g := readGolden(t, "curves.npz")
	onDevices(t, func(t *testing.T, d device.Trainer) {
		t.Run("sgd", func(t *testing.T) {
			n := newTestNetwork(t, tiny(Pi), d, 1)
			checkCurve(t, n, NewSGD(n, 0.9, 0.01), 0.05, g, g.under("sgd/"))
		})
		t.Run("adamw", func(t *testing.T) {
			n := newTestNetwork(t, tiny(ReLU), d, 1)
			checkCurve(t, n, NewAdamW(n, 0.9, 0.999, 1e-8, 0.1), 0.01, g, g.under("adamw/"))
		})
	})
}

// checkCurve compares ten steps of training.
func checkCurve(t *testing.T, n *Network, o Optimizer, rate float64, data, g golden) {
	const batch, frames, steps = 6, 21, 10
	if err := n.SetWeights(g.under("before/")); err != nil {
		t.Fatal(err)
	}
	p := NewPass(n, nil)
	p.Train = true
	schedule := Schedule{Peak: rate, Warmup: 3, Total: steps}
	var losses, rates []float32
	for step := range steps {
		loss := trainStep(n, p, o, schedule.Rate(step+1), step+1,
			data.values(t, "x")[step*batch*frames*6:][:batch*frames*6], classes(data.values(t, "labels")[step*batch:][:batch]), frames)
		losses, rates = append(losses, float32(loss)), append(rates, float32(schedule.Rate(step+1)))
	}
	near(t, "rates", rates, g.values(t, "rates"), 1e-6)
	near(t, "losses", losses, g.values(t, "losses"), 1e-4)
	after := g.under("after/")
	weights := n.Weights()
	for _, name := range sorted(after) {
		near(t, name, weights[name].Data().([]float32), after.values(t, name), 1e-4)
	}
}

func classes(labels []float32) []int {
	list := make([]int, len(labels))
	for i, l := range labels {
		list[i] = int(l)
	}
	return list
}

// trainStep makes one step with label smoothing and returns its loss.
func trainStep(n *Network, p *Pass, o Optimizer, rate float64, step int, rows []float32, labels []int, frames int) float64 {
	targets := make([]float32, len(labels)*n.config.Classes)
	Targets(targets, labels, n.config.Classes, 0.1)
	gradient := p.CrossEntropy(n.Forward(p, p.Input(rows, len(labels), frames)), targets)
	n.ZeroGradient()
	n.Backward(p, gradient)
	o.Step(rate, step)
	return p.Loss()
}
