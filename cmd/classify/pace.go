package main

import (
	"math"
	"time"
)

// pace compares the sound's clock with the wall's, to tell how far behind the sound the program is.
//
// Only where all that had arrived has been heard is it known when the newest sample came. From such a moment on a live sound
// brings a second of sound a second, so what has been heard less than that is the lag. A sound that comes faster, such as a
// file, shows none, and neither the drift of a sound card's clock nor a pause of the source adds up.
type pace struct {
	known  bool
	latest mark
	worst  float64 // lag in seconds
}

// mark is a moment at which so many seconds of sound had arrived.
type mark struct {
	at    time.Time
	heard float64
}

// caughtUp notes that all that had arrived has been heard.
func (p *pace) caughtUp(m mark) { p.known, p.latest = true, m }

// lag returns how many seconds behind the sound the program is at a moment at which it has heard so much.
func (p *pace) lag(now mark) float64 {
	if !p.known {
		return 0
	}
	lag := max(0, now.at.Sub(p.latest.at).Seconds()-(now.heard-p.latest.heard))
	p.worst = max(p.worst, lag)
	return lag
}

// speedometer measures how many frames a second a live sound brings. It gives its verdict once, after two spans of time that
// agree: a sound that comes in bursts has no rate.
type speedometer struct {
	marks []mark
	done  bool
}

// speedSpan is how long each of the two spans is.
const speedSpan = 5 * time.Second

// caughtUp notes that all that had arrived has been heard. It returns
// the rate of the sound relative to the declared one, once.
func (s *speedometer) caughtUp(m mark) (speed float64, ok bool) {
	if s.done || len(s.marks) > 0 && m.at.Sub(s.marks[len(s.marks)-1].at) < speedSpan {
		return 0, false
	}
	if s.marks = append(s.marks, m); len(s.marks) < 3 {
		return 0, false
	}
	s.done = true
	before, after := speedBetween(s.marks[0], s.marks[1]), speedBetween(s.marks[1], s.marks[2])
	return (before + after) / 2, math.Abs(before-after) < 0.03*after
}

// flooded notes that the sound came faster than it was read, as a file does.
func (s *speedometer) flooded() { s.done = true }

func speedBetween(a, b mark) float64 { return (b.heard - a.heard) / b.at.Sub(a.at).Seconds() }

// usualRates are sample rates of sound cards, in hertz.
var usualRates = []float64{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000}

// actualRate returns the rate at which a live sound declared to have one rate really comes, when that is clearly another
// one: a usual rate, or half, twice or four times as much, as with other channels or another size of sample.
func actualRate(declared, speed float64) (hertz float64, other bool) {
	if math.Abs(speed-1) < 0.1 {
		return 0, false
	}
	for _, factor := range []float64{1, 2, 0.5, 4, 0.25} {
		for _, rate := range usualRates {
			if math.Abs(declared*speed-rate*factor) < 0.03*rate*factor {
				return rate * factor, true
			}
		}
	}
	return 0, false
}
