package polynet

import "math"

// Schedule gives the learning rate of each step: a linear warm-up to Peak, then half a cosine to 0 (Loshchilov and Hutter,
// 2017, without restarts), or, where there are Drops, a staircase (He et al., 2016).
type Schedule struct {
	Peak   float64
	Warmup int   // steps
	Total  int   // steps, the warm-up's included
	Drops  []int // the steps behind which the rate is a tenth of what it was
}

// Rate returns the learning rate of step number step, counted from 1. The warm-up's last step has the Peak; steps
// beyond Total have 0.
func (s Schedule) Rate(step int) float64 {
	switch {
	case step <= s.Warmup:
		return s.Peak * float64(step) / float64(s.Warmup)
	case step > s.Total:
		return 0
	case len(s.Drops) > 0:
		rate := s.Peak
		for _, drop := range s.Drops {
			if step > drop {
				rate /= 10
			}
		}
		return rate
	}
	done := float64(step-1-s.Warmup) / float64(s.Total-s.Warmup)
	return s.Peak / 2 * (1 + math.Cos(math.Pi*done))
}
