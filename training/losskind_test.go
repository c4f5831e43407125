package training

import (
	"errors"
	"math"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// TestFocalGamma compares with bisection of the definition, and with values that the authors' rule gives.
func TestFocalGamma(t *testing.T) {
	pull := func(p, gamma float64) float64 {
		return math.Pow(1-p, gamma) - gamma*p*math.Pow(1-p, gamma-1)*math.Log(p)
	}
	for _, c := range []struct{ p0, want float64 }{
		{0.1, 14.92}, {0.15, 8.03}, {0.2, 4.85}, {0.25, 3.07}, {0.3, 1.96}, {0.4, 0.68}, {0.5, 0}, {0.9, 0}, {0.999, 0},
	} {
		got, err := FocalGamma(c.p0)
		if err != nil || math.Abs(got-c.want) > 0.005 {
			t.Errorf("p0 = %g: %g, error %v, want %g", c.p0, got, err, c.want)
		}
		if c.want == 0 {
			continue
		}
		low, high := 0.01, 1000.0
		for range 200 {
			if mid := (low + high) / 2; pull(c.p0, mid) > 1 {
				low = mid
			} else {
				high = mid
			}
		}
		if math.Abs(got-low) > 1e-9*low {
			t.Errorf("p0 = %g: %g, bisection finds %g", c.p0, got, low)
		}
	}
	if got, err := FocalGamma(1e-6); err != nil || math.Abs(pull(1e-6, got)-1) > 1e-6 {
		t.Errorf("p0 = 1e-6: %g, error %v", got, err)
	}
	for _, p0 := range []float64{0, 1, -1, 2, math.NaN(), math.Inf(1)} {
		if _, err := FocalGamma(p0); !errors.Is(err, ErrConfig) {
			t.Errorf("p0 = %g: error %v", p0, err)
		}
	}
}

func TestLossOfEpochs(t *testing.T) {
	for _, c := range []struct {
		kind   LossKind
		epochs int
		want   map[int]device.Loss // by epoch
	}{
		{LossLS, 10, map[int]device.Loss{1: {}, 10: {}}},
		{LossCE, 10, map[int]device.Loss{1: {}}},
		{LossBrier, 10, map[int]device.Loss{1: {Kind: device.Brier}}},
		{LossFocal, 10, map[int]device.Loss{1: {Kind: device.Focal, Gamma: 1.5}, 10: {Kind: device.Focal, Gamma: 1.5}}},
		{LossDual, 10, map[int]device.Loss{1: {Kind: device.DualFocal, Gamma: 1.5}}},
		{LossFLSD, 10, map[int]device.Loss{1: {Kind: device.FLSD}}},
		{LossFLSc, 350, map[int]device.Loss{ // the authors' epochs
			100: {Kind: device.Focal, Gamma: 5}, 101: {Kind: device.Focal, Gamma: 3},
			250: {Kind: device.Focal, Gamma: 3}, 251: {Kind: device.Focal, Gamma: 2}, 350: {Kind: device.Focal, Gamma: 2},
		}},
		{LossFLSc, 3, map[int]device.Loss{
			1: {Kind: device.Focal, Gamma: 5}, 2: {Kind: device.Focal, Gamma: 3}, 3: {Kind: device.Focal, Gamma: 3},
		}},
	} {
		cfg := Config{Loss: c.kind, Epochs: c.epochs, Gamma: 1.5, Smoothing: 0.1}
		for epoch, want := range c.want {
			if got := cfg.loss(epoch); got != want {
				t.Errorf("%s, epoch %d of %d: %+v, want %+v", c.kind, epoch, c.epochs, got, want)
			}
		}
		if smooth := cfg.smoothing() > 0; smooth != (c.kind == LossLS) {
			t.Errorf("%s smooths labels: %v", c.kind, smooth)
		}
	}
}
