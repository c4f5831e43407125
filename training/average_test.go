package training

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// TestAverage compares the weights of an average with their means, and averages models that do not go together.
func TestAverage(t *testing.T) {
	config := polynet.Config{
		Inputs: 8, Classes: 3, Block: polynet.Pi, Stem: polynet.Stem{Width: 4, Kernel: 3, Ahead: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: 5, Blocks: 1, Kernel: 3, Stride: 2}},
	}
	a := nettest.RandomModel(config, rand.New(rand.NewPCG(1, 1)))
	b := nettest.RandomModel(config, rand.New(rand.NewPCG(1, 2)))
	b.Labels, b.Features, b.Window, b.Norm = a.Labels, a.Features, a.Window, a.Norm
	a.Detection = &detect.Config{Threshold: 0.5, Release: 0.5}
	mean, err := Average([]*polynet.Model{a, b, b})
	if err != nil {
		t.Fatal(err)
	}
	if mean.Detection != nil || mean.Calibration != nil || a.Detection == nil {
		t.Error("an operating point or a calibration was kept")
	}
	for name := range a.Weights {
		x, y, got := a.Weights[name].Data().([]float32), b.Weights[name].Data().([]float32), mean.Weights[name].Data().([]float32)
		for i := range x {
			if want := (float64(x[i]) + 2*float64(y[i])) / 3; math.Abs(float64(got[i])-want) > 1e-6*(1+math.Abs(want)) {
				t.Fatalf("%s[%d] is %v, want %v", name, i, got[i], want)
			}
		}
	}
	plain := config
	plain.Block = polynet.ReLU
	config.Block = polynet.PiReLU
	c, d := nettest.RandomModel(plain, rand.New(rand.NewPCG(1, 3))), nettest.RandomModel(config, rand.New(rand.NewPCG(1, 4)))
	d.Labels, d.Features, d.Window, d.Norm = c.Labels, c.Features, c.Window, c.Norm
	mixed, err := Average([]*polynet.Model{c, d})
	if err != nil || mixed.Net.Block != polynet.PiReLU {
		t.Fatalf("a relu network and a pi-relu one: %v", err)
	}
	for name, part := range map[string]float32{"stages.0.0.product.scale": 0.5, "stages.0.0.product.norm.running_var": 1} {
		want, got := d.Weights[name].Data().([]float32)[0]*part, mixed.Weights[name].Data().([]float32)[0]
		if math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	config.Block = polynet.Pi
	other := config
	other.Stages = []polynet.Stage{{Width: 6, Blocks: 1, Kernel: 3, Stride: 2}}
	wide := nettest.RandomModel(other, rand.New(rand.NewPCG(1, 1)))
	named, longer := *b, *b
	named.Labels, longer.Window = []string{"x", "y", "z"}, 2*b.Window
	for name, list := range map[string][]*polynet.Model{
		"none": nil, "another network": {a, wide}, "other labels": {a, &named}, "another window": {a, &longer},
	} {
		if _, err := Average(list); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
