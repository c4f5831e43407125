package bounds

import (
	"context"
	"math"

	"github.com/polyphon/polyphon/features"
)

// nepersPerDB is a decibel as a difference of natural logarithms of energies.
const nepersPerDB = math.Ln10 / 10

// Sound is a clip whose gain and features vary: the samples are multiplied by up to some decibels, then each log-mel
// value changes by itself by up to some decibels of energy, then the values are normalised and clamped.
type Sound struct {
	Rows  []float32 // log-mel rows of the clip as it is, before normalisation, (frames, mels)
	Floor float64   // features.Config.Floor: what gain does not change
	Norm  features.Norm
}

// Region returns the region of all clips with a gain between from and to, in decibels, and features that differ by at
// most noise decibels. Its direction is the gain: g = −1 is from and 1 is to.
//
// A log-mel value is ln(e^k·E + Floor) of its energy E and the gain k: convex in k, and at most (to−from)²/8 times its
// largest second derivative below the chord.
func (s Sound) Region(from, to, noise float64) Region {
	n, mels := len(s.Rows), len(s.Norm.Mean)
	r := Region{make([]float64, n), make([]float64, n), make([]float64, n)}
	k0, k1, noise := from*nepersPerDB, to*nepersPerDB, noise*nepersPerDB
	limit := float64(s.Norm.Limit)
	if limit == 0 {
		limit = math.Inf(1)
	}
	for i, row := range s.Rows {
		energy := max(math.Exp(float64(row))-s.Floor, 0)
		h0, p0 := s.amplified(energy, k0)
		h1, p1 := s.amplified(energy, k1)
		bend := max(p0*(1-p0), p1*(1-p1))
		if p0 <= 0.5 && p1 >= 0.5 {
			bend = 0.25
		}
		mean, std := float64(s.Norm.Mean[i%mels]), float64(s.Norm.Std[i%mels])
		l := line{
			c: ((h0+h1)/2 - mean) / std, s: (h1 - h0) / 2 / std,
			lo: (-(k1-k0)*(k1-k0)/8*bend - noise) / std, hi: noise / std,
		}
		if low, high := l.span(); low < -limit || high > limit {
			low, high = max(-limit, min(low, limit)), max(-limit, min(high, limit))
			l = line{c: (low + high) / 2, lo: (low - high) / 2, hi: (high - low) / 2}
		}
		r.Center[i], r.Slope[i], r.Radius[i] = l.c+(l.lo+l.hi)/2, l.s, (l.hi-l.lo)/2
	}
	return r
}

// amplified returns the log-mel value of an energy at a gain k, and its derivative.
func (s Sound) amplified(energy, k float64) (value, derivative float64) {
	if energy == 0 && s.Floor == 0 {
		return math.Log(math.SmallestNonzeroFloat32), 0
	}
	e := energy * math.Exp(k)
	return math.Log(e + s.Floor), e / (e + s.Floor)
}

// Box returns the smallest and largest values that the features have at one gain, in decibels, with so much noise, as a
// network gets them: (frames, mels) each.
func (s Sound) Box(gain, noise float64) (low, high []float32) {
	r := s.Region(gain, gain, noise)
	for i, c := range r.Center {
		low, high = append(low, float32(c-r.Radius[i])), append(high, float32(c+r.Radius[i]))
	}
	return low, high
}

// Proof is what Prove found.
type Proof struct {
	Proved bool
	Pieces int    // of the range of gains that were looked at
	Method Method // that proved them, or the last one tried
}

// Prove tries to show that the answer for s is label at every gain within ±gain decibels and with all noise of the
// features of up to noise decibels. It begins with the first of the methods that proves it at gain 0, and halves the
// range of gains where a whole one is not proved, up to so many pieces; where these do not suffice, or one of the ends
// by itself is not proved, so that no piece with it can be, it goes on to the next method. It is no disproof where
// Proved is false.
func (n *Net) Prove(
	ctx context.Context, s Sound, label int, gain, noise float64, methods []Method, pieces int,
) (proof Proof, err error) {
	points := []float64{0, -gain, gain} // that are not proved yet
	for _, proof.Method = range methods {
		sure := func(from, to float64) (bool, error) {
			b, err := n.Compute(ctx, s.Region(from, to, noise), proof.Method)
			return err == nil && b.Sure(label), err
		}
		known := func(count int) (bool, error) { // whether all points but the last so many are proved
			for len(points) > count {
				if ok, err := sure(points[0], points[0]); !ok || err != nil {
					return false, err
				}
				points = points[1:]
			}
			return true, nil
		}
		if ok, err := known(2); err != nil {
			return proof, err
		} else if !ok {
			continue
		}
		left := pieces
		proof.Proved, err = halve(-gain, gain, &left, sure, func() (bool, error) { return known(0) })
		if proof.Pieces += pieces - left; proof.Proved || err != nil {
			return proof, err
		}
	}
	return proof, nil
}

// halve reports whether sure holds of ranges that make up the one from … to. left is how many may be looked at. Where
// the whole is not sure and worth says false, no more are.
func halve(
	from, to float64, left *int, sure func(from, to float64) (bool, error), worth func() (bool, error),
) (bool, error) {
	if *left == 0 {
		return false, nil
	}
	*left--
	if ok, err := sure(from, to); ok || err != nil {
		return ok, err
	}
	if ok, err := worth(); !ok || err != nil {
		return false, err
	}
	middle := (from + to) / 2
	ok, err := halve(from, middle, left, sure, worth)
	if !ok || err != nil {
		return false, err
	}
	return halve(middle, to, left, sure, worth)
}
