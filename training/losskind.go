package training

import (
	"fmt"
	"math"

	"github.com/polyphon/polyphon/device"
)

// LossKind names what training minimises. The focal losses make a network less sure of what it has learnt already, so
// that its probabilities agree better with how often it is right (Mukhoti et al., "Calibrating Deep Neural Networks
// using Focal Loss", 2020).
type LossKind string

// The losses.
const (
	LossLS    LossKind = "ls"    // cross-entropy with label smoothing; see Targets
	LossCE    LossKind = "ce"    // cross-entropy
	LossBrier LossKind = "brier" // squared distance of the probabilities from the targets
	LossFocal LossKind = "focal" // (1−p)^γ·cross-entropy with a fixed gamma
	LossFLSD  LossKind = "flsd"  // FLSD-53: gamma is 5 where p < 0.2, else 3
	LossFLSc  LossKind = "flsc"  // FLSc-532: gamma is 5, from 2/7 of the epochs on 3, from 5/7 on 2
	LossDual  LossKind = "dual"  // (1−p+r)^γ·cross-entropy, r the next smaller probability (Tao et al., 2023)
)

// LossKinds lists the losses.
var LossKinds = []LossKind{LossLS, LossCE, LossBrier, LossFocal, LossFLSD, LossFLSc, LossDual}

// UsesGamma reports whether Config.Gamma has a meaning for the loss.
func (k LossKind) UsesGamma() bool { return k == LossFocal || k == LossDual }

// loss returns the loss of an epoch, from 1.
func (c Config) loss(epoch int) device.Loss {
	gamma := float32(c.Gamma)
	switch c.Loss {
	case LossBrier:
		return device.Loss{Kind: device.Brier}
	case LossFocal:
		return device.Loss{Kind: device.Focal, Gamma: gamma}
	case LossDual:
		return device.Loss{Kind: device.DualFocal, Gamma: gamma}
	case LossFLSD:
		return device.Loss{Kind: device.FLSD}
	case LossFLSc:
		gamma = 2
		switch done := 7 * (epoch - 1); { // of 7·Epochs; 100 and 250 of the authors' 350 epochs
		case done < 2*c.Epochs:
			gamma = 5
		case done < 5*c.Epochs:
			gamma = 3
		}
		return device.Loss{Kind: device.Focal, Gamma: gamma}
	}
	return device.Loss{}
}

// smoothing returns the label smoothing of the targets.
func (c Config) smoothing() float64 {
	if c.Loss == LossLS {
		return c.Smoothing
	}
	return 0
}

// FocalGamma returns the largest gamma at which focal loss pulls as hard as cross-entropy on clips whose true class has
// the probability p0, in (0, 1); on surer ones it pulls less. It solves
//
//	(1−p0)^γ − γ·p0·(1−p0)^(γ−1)·log p0 = 1
//
// in closed form by the Lambert W function (Mukhoti et al., 2020, proposition 1), and is 0 from 1/2 on. Other
// probabilities give an error that wraps ErrConfig.
func FocalGamma(p0 float64) (float64, error) {
	if !(p0 > 0 && p0 < 1) {
		return 0, fmt.Errorf("%w: gamma for a probability of %g, it must be between 0 and 1", ErrConfig, p0)
	}
	a := (1 - p0) / (p0 * math.Log(p0))
	logOther := math.Log1p(-p0)
	logB := (1-a)*logOther + math.Log(logOther/(p0*math.Log(p0))) // of b, which is positive; it overflows
	return max(a+lambertLower(logB)/logOther, 0), nil
}

// lambertLower returns W₋₁(−e^logX), for logX at most −1: the w at most −1 for which w·e^w = −e^logX.
func lambertLower(logX float64) float64 {
	// With v = −w, v − log v = −logX. Newton's method from above, where v − log v is convex.
	target := max(-logX, 1)
	v := target + math.Sqrt(2*(target-1)) + 1e-9
	for range 100 {
		step := (v - math.Log(v) - target) / (1 - 1/v)
		v -= step
		if math.Abs(step) <= 1e-15*v || v <= 1 {
			break
		}
	}
	return -max(v, 1)
}
