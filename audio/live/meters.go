package live

import (
	"math"
	"time"
)

// Mark is a moment, and how many seconds of sound had been processed by then.
type Mark struct {
	At      time.Time
	Seconds float64
}

// LagMeter measures by how many seconds the processing of live sound is later than its arrival.
//
// When all that has arrived is processed, it is known when the newest sample came. From then on, live sound brings one
// second of sound per second; what has been processed less than that is the lag. Sound that comes faster, such as a
// file, has no lag, and neither the drift of a sound card's clock nor a pause adds up, nor what a source brings late.
// The zero LagMeter is ready.
type LagMeter struct {
	Worst  float64 // the largest lag so far, in seconds
	latest Mark
}

// CaughtUp notes that all that had arrived at m.At has been processed.
func (l *LagMeter) CaughtUp(m Mark) { l.latest = m }

// Resumed notes that the source had paused when m.Seconds had been processed, and went on at m.At. What it brings at
// once then is late because of the source.
func (l *LagMeter) Resumed(m Mark) {
	if !l.latest.At.IsZero() {
		l.latest = m
	}
}

// Lag returns the lag at a moment, in seconds; 0 before the first CaughtUp.
func (l *LagMeter) Lag(now Mark) float64 {
	if l.latest.At.IsZero() {
		return 0
	}
	lag := max(0, now.At.Sub(l.latest.At).Seconds()-(now.Seconds-l.latest.Seconds))
	l.Worst = max(l.Worst, lag)
	return lag
}

// rateMeter measures how many seconds of sound, at the declared rate, a live source brings per second. It measures
// once, over two periods that have to agree: sound that comes in bursts has no rate.
type rateMeter struct {
	marks []Mark
	done  bool // or the source is not live
}

const ratePeriod = 5 * time.Second // of each period

// caughtUp notes that all that had arrived at m.At has been processed. It returns the ratio to the declared rate once.
func (r *rateMeter) caughtUp(m Mark) (ratio float64, ok bool) {
	if r.done || len(r.marks) > 0 && m.At.Sub(r.marks[len(r.marks)-1].At) < ratePeriod {
		return 0, false
	}
	if r.marks = append(r.marks, m); len(r.marks) < 3 {
		return 0, false
	}
	r.done = true
	between := func(a, b Mark) float64 { return (b.Seconds - a.Seconds) / b.At.Sub(a.At).Seconds() }
	before, after := between(r.marks[0], r.marks[1]), between(r.marks[1], r.marks[2])
	return (before + after) / 2, math.Abs(before-after) < 0.03*after
}

// usualRates are sample rates of sound cards, in hertz.
var usualRates = []float64{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000}

// otherRate returns the rate at which sound of a declared rate arrives where that is clearly another one: a usual rate,
// or half, twice or four times as much, as with another number of channels or size of samples; else 0.
func otherRate(declared, ratio float64) float64 {
	for _, factor := range []float64{1, 2, 0.5, 4, 0.25} {
		for _, rate := range usualRates {
			rate *= factor
			if math.Abs(ratio-1) >= 0.1 && math.Abs(declared*ratio-rate) < 0.03*rate {
				return rate
			}
		}
	}
	return 0
}
