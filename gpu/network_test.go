//go:build cuda || hostcuda

package gpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// networkError is the maximum relative error of a network's results: the tolerance in docs/gpu.md.
var networkError = map[Precision]float64{Float32: 1e-5, TF32: 2e-3, BFloat16: 2e-2}

// Gradients may err by these factors more: by rounding, and where a value is on the other side of a ReLU.
const (
	gradientSlack = 2
	kinkSlack     = 30
)

func eachPrecision(t *testing.T, test func(t *testing.T, d device.Trainer, tolerance float64)) {
	for _, p := range precisions {
		t.Run(string(p), func(t *testing.T) { test(t, open(t, p), networkError[p]) })
	}
}

func normals(seed uint64, n int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(rng.NormFloat64())
	}
	return values
}

// testClip returns up to a second of a buzz with noise, whose pitch depends on the number.
func testClip(number, rate int) audio.Clip {
	samples := normals(uint64(number), rate-number*rate/10)
	for i := range samples {
		phase := float64(i) * float64(100+20*number) / float64(rate)
		samples[i] = 0.01*samples[i] + float32(0.3*(phase-math.Floor(phase)-0.5))
	}
	return audio.Clip{Rate: rate, Samples: samples}
}

// distance returns the Euclidean distance between got and want, relative to want's norm.
func distance(got, want []float32) float64 {
	apart, norm := 0.0, 0.0
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		apart += d * d
		norm += float64(w) * float64(w)
	}
	return math.Sqrt(apart / norm)
}

func TestEmbeddedModelGivesTheReferencesLogits(t *testing.T) {
	const batch, frames = 3, 98
	m, err := models.Open("")
	if err != nil {
		t.Fatal(err)
	}
	rows := normals(1, batch*frames*m.Net.Inputs)
	logits := func(d device.Trainer) []float32 {
		plan, err := inference.Compile(m, d)
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		s := plan.Clips(batch, frames)
		defer s.Close()
		return append(s.Run(rows, batch), s.Run(rows[:2*frames*m.Net.Inputs], 2)...)
	}
	want := logits(device.Ref())
	eachPrecision(t, func(t *testing.T, d device.Trainer, tolerance float64) {
		if off := distance(logits(d), want); !(off <= tolerance) {
			t.Errorf("logits are off by %.2g, more than %g", off, tolerance)
		}
	})
}

// Each kind of block is trained on the GPU as on the reference device: losses and a step's gradients agree, and the
// loss falls.
func TestTrainingFollowsTheReference(t *testing.T) {
	const batch, frames, steps = 6, 21, 6
	for _, kind := range polynet.BlockKinds() {
		c := polynet.Config{
			Inputs: 10, Classes: 3, Block: kind,
			Stem: polynet.Stem{Width: 12, Kernel: 5, Ahead: 2, Stride: 1},
			Stages: []polynet.Stage{
				{Width: 12, Blocks: 1, Kernel: 3, Ahead: 1, Stride: 1},
				{Width: 36, Blocks: 2, Kernel: 5, Ahead: 0, Stride: 2},
			},
		}
		if kind.Decomposition() {
			c.Degree = 3
		}
		rows := normals(2, batch*frames*c.Inputs)
		targets := make([]float32, batch*c.Classes)
		training.Targets(targets, []int{0, 1, 2, 0, 1, 2}, c.Classes, 0.1)
		// train returns the losses, and the first step's gradients.
		train := func(t *testing.T, d device.Trainer) (losses, gradients []float32) {
			n, err := training.NewNetwork(c, d, rand.New(rand.NewPCG(3, 1)))
			if err != nil {
				t.Fatal(err)
			}
			pass, optimizer := training.NewPass(n, rand.New(rand.NewPCG(4, 1))), training.NewAdamW(n, 0.9, 0.999, 1e-8, 1e-2)
			pass.Train = true
			defer pass.Close()
			for step := 1; step <= steps; step++ {
				n.ZeroGradient()
				n.Backward(pass, pass.LossGradient(n.Forward(pass, pass.Input(rows, batch, frames)), targets, device.Loss{}))
				n.ClipGradient(1)
				optimizer.Step(3e-3, step)
				losses = append(losses, float32(pass.Loss()))
				for _, p := range n.Params() {
					if step == 1 && !p.Grad.Empty() {
						g := make([]float32, p.Grad.Len())
						d.Download(g, p.Grad)
						gradients = append(gradients, g...)
					}
				}
			}
			return losses, gradients
		}
		losses, gradients := train(t, device.Ref())
		t.Run(string(kind), func(t *testing.T) {
			eachPrecision(t, func(t *testing.T, d device.Trainer, tolerance float64) {
				if tolerance *= gradientSlack; kind.Rectified() {
					tolerance *= kinkSlack
				}
				got, gradient := train(t, d)
				if off := distance(gradient, gradients); !(off <= tolerance) {
					t.Errorf("gradients are off by %.2g, more than %g", off, tolerance)
				}
				if off := distance(got, losses); !(off <= tolerance) || got[steps-1] >= got[0] {
					t.Errorf("losses %v, the reference has %v", got, losses)
				}
			})
		})
	}
}

// Freed memory is used again: a second, equal run allocates none from the driver.
func TestMemoryIsUsedAgain(t *testing.T) {
	d := open(t, Float32)
	m, err := models.Open("")
	if err != nil {
		t.Fatal(err)
	}
	rows := normals(4, features.Default().Mels*98)
	run := func() {
		plan, err := inference.Compile(m, d)
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		s := plan.Clips(1, 98)
		defer s.Close()
		s.Run(rows, 1)
	}
	run()
	before := len(d.g.heap.chunks)
	run()
	if after := len(d.g.heap.chunks); after != before {
		t.Errorf("%d chunks, %d before", after, before)
	}
	if n := len(d.g.heap.sizes); n != 0 {
		t.Errorf("%d blocks were not freed", n)
	}
}

// Goroutines with Clips each get the results that each would get alone.
func TestGoroutinesShareADevice(t *testing.T) {
	const goroutines, runs, frames = 4, 5, 20
	d := open(t, Float32)
	m, err := models.Open("")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := inference.Compile(m, d)
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	run := func(seed int) [][]float32 {
		s := plan.Clips(2, frames)
		defer s.Close()
		var logits [][]float32
		for i := range runs {
			rows := normals(uint64(100*seed+i), 2*frames*m.Net.Inputs)
			logits = append(logits, slices.Clone(s.Run(rows, 2)))
		}
		return logits
	}
	var want, got [goroutines][][]float32
	for g := range goroutines {
		want[g] = run(g)
	}
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() { got[g] = run(g) })
	}
	all.Wait()
	for g := range goroutines {
		for i := range runs {
			if !slices.Equal(got[g][i], want[g][i]) {
				t.Errorf("goroutine %d, run %d: %v, want %v", g, i, got[g][i][:3], want[g][i][:3])
			}
		}
	}
}
