package training

import (
	"fmt"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// The goldens are PyTorch's, in float64: see testdata/goldens.py, whose geometry these tests repeat.

func TestBlocksAgreeWithPyTorch(t *testing.T) {
	g := readGolden(t, "blocks.npz")
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range polynet.BlockKinds() {
			for _, stride := range []int{1, 2} {
				name := fmt.Sprintf("%s-%d", kind, stride)
				t.Run(name, func(t *testing.T) {
					checkBlock(t, d, kind, nil, stride, g.under(name+"/"))
				})
			}
		}
	})
}

// TestStraightThroughAgreesWithPyTorch compares blocks with narrow weights, whose gradients are straight through.
func TestStraightThroughAgreesWithPyTorch(t *testing.T) {
	for _, weights := range []polynet.Precision{polynet.Int8, polynet.Ternary} {
		g := readGolden(t, weights.String()+".npz")
		onDevices(t, func(t *testing.T, d device.Trainer) {
			for _, kind := range []polynet.BlockKind{polynet.Pi, polynet.NCPSkip, polynet.Star} {
				for _, stride := range []int{1, 2} {
					name := fmt.Sprintf("%s-%d", kind, stride)
					t.Run(fmt.Sprintf("%s-%s", weights, name), func(t *testing.T) {
						checkBlock(t, d, kind, &polynet.Narrow{Weights: weights}, stride, g.under(name+"/"))
					})
				}
			}
		})
	}
}

func checkBlock(
	t *testing.T, d device.Trainer, kind polynet.BlockKind, narrow *polynet.Narrow, stride int, g golden,
) {
	const batch, frames, width = 3, 11, 6
	in := map[int]int{1: 6, 2: 5}[stride]
	n := newNetwork(blockOf(polynet.Config{
		Inputs: 1, Classes: 1, Block: kind, Degree: nettest.Degree(kind), Narrow: narrow,
		Stem:   polynet.Stem{Width: in, Kernel: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: width, Blocks: 1, Kernel: 5, Ahead: 1, Stride: stride}},
	}), d, true)
	name := func(q *Param) string { return "b" + strings.TrimPrefix(q.Name, "stages.0.0") } // of the golden file
	for _, q := range n.params {
		if !strings.HasSuffix(q.Name, "_scale") { // which a run finds
			d.Upload(q.Value, g.values(t, "weights/"+name(q)))
		}
	}
	p := newPass(d, 3, nil)
	p.Train = true
	y := n.forward(p, p.Input(g.values(t, "x"), batch, frames))
	nettest.Near(t, "y", rowsOf(d, y.View), g.values(t, "y"), 1e-5)
	dy := p.memory.plainLike(y)
	d.Upload(dy.Data, g.values(t, "dy"))
	nettest.Near(t, "dx", rowsOf(d, n.backward(p, dy, true).View), g.values(t, "dx"), 1e-5)
	for _, q := range n.params {
		if strings.HasSuffix(q.Name, "_scale") {
			continue
		}
		if q.Kind == polynet.Running {
			nettest.Near(t, q.Name, download(d, q.Value), g.values(t, "running/"+name(q)), 1e-5)
		} else {
			nettest.Near(t, q.Name+"'s gradient", download(d, q.Grad), g.values(t, "gradients/"+name(q)), 1e-5)
		}
	}
}

func TestTrainingAgreesWithPyTorch(t *testing.T) {
	g := readGolden(t, "curves.npz")
	onDevices(t, func(t *testing.T, d device.Trainer) {
		t.Run("sgd", func(t *testing.T) {
			n := newTestNetwork(t, nettest.Tiny(polynet.Pi), d, 1)
			checkCurve(t, n, NewSGD(n, 0.9, 0.01), 0.05, g, g.under("sgd/"))
		})
		for _, kind := range []polynet.BlockKind{polynet.Star, polynet.Mu} {
			t.Run(string(kind), func(t *testing.T) {
				n := newTestNetwork(t, nettest.Tiny(kind), d, 1)
				checkCurve(t, n, NewSGD(n, 0.9, 0.01), 0.05, g, g.under(string(kind)+"/"))
			})
		}
		t.Run("adamw", func(t *testing.T) {
			n := newTestNetwork(t, nettest.Tiny(polynet.ReLU), d, 1)
			checkCurve(t, n, NewAdamW(n, 0.9, 0.999, 1e-8, 0.1), 0.01, g, g.under("adamw/"))
		})
	})
}

// checkCurve compares ten steps of training.
func checkCurve(t *testing.T, n *Network, o *Optimizer, rate float64, data, g golden) {
	const batch, frames, steps = 6, 21, 10
	if err := n.SetWeights(polynet.Weights(g.under("before/"))); err != nil {
		t.Fatal(err)
	}
	p := NewPass(n, nil)
	p.Train = true
	rateOf := schedule{peak: rate, warmup: 3, total: steps}.rate
	var losses, rates []float32
	for step := range steps {
		rows := data.values(t, "x")[step*batch*frames*6:][:batch*frames*6]
		labels := classes(data.values(t, "labels")[step*batch:][:batch])
		loss := trainStep(n, p, o, rateOf(step+1), step+1, rows, labels, frames)
		losses, rates = append(losses, float32(loss)), append(rates, float32(rateOf(step+1)))
	}
	nettest.Near(t, "rates", rates, g.values(t, "rates"), 1e-6)
	nettest.Near(t, "losses", losses, g.values(t, "losses"), 1e-4)
	after := g.under("after/")
	weights := n.Weights()
	for _, name := range sorted(after) {
		nettest.Near(t, name, weights[name].Data().([]float32), after.values(t, name), 1e-4)
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
func trainStep(
	n *Network, p *Pass, o *Optimizer, rate float64, step int, rows []float32, labels []int, frames int,
) float64 {
	classes := n.program.Steps[len(n.program.Steps)-1].Width
	targets := make([]float32, len(labels)*classes)
	Targets(targets, labels, classes, 0.1)
	gradient := p.LossGradient(n.Forward(p, p.Input(rows, len(labels), frames)), targets, device.Loss{})
	n.ZeroGradient()
	n.Backward(p, gradient)
	o.Step(rate, step)
	return p.Loss()
}
