package live

import (
	"math"
	"testing"
	"time"
)

// at returns a mark so many seconds after a certain moment.
func at(wall, seconds float64) Mark {
	return Mark{time.Unix(1e9, 0).Add(time.Duration(wall * float64(time.Second))), seconds}
}

func TestLag(t *testing.T) {
	var l LagMeter
	check := func(what string, now Mark, want float64) {
		t.Helper()
		if got := l.Lag(now); math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: a lag of %g s, want %g", what, got, want)
		}
	}
	check("before anything is known", at(5, 1), 0)
	l.CaughtUp(at(10, 5))
	check("at once", at(10.02, 5), 0.02)
	check("a full pipe, processed at half the speed", at(14, 7), 2)
	check("and faster than it comes", at(15, 9.5), 0.5)
	l.CaughtUp(at(100, 12)) // the source paused
	check("after a pause", at(100.01, 12), 0.01)
	check("a file", at(101, 500), 0)
	l.CaughtUp(at(200, 600))
	l.Resumed(at(210, 600)) // ten seconds come at once, late because of the source
	check("a late burst", at(210.5, 605), 0)
	check("on a machine that is slow", at(212, 600.5), 1.5)
	for day := range 400 { // a sound card whose clock is slow
		wall := float64(day) * 86400
		l.CaughtUp(at(wall, wall*0.9999))
		check("with a slow clock", at(wall+0.05, wall*0.9999), 0.05)
	}
	if l.Worst != 2 {
		t.Errorf("the worst lag is %g", l.Worst)
	}
}

// measure gives r chunks of sound that arrive each interval seconds.
func measure(r *rateMeter, interval, seconds float64, sound func(wall float64) float64) (ratio float64, ok bool) {
	for wall := 0.0; wall < seconds; wall += interval {
		if ratio, ok := r.caughtUp(at(wall, sound(wall))); ok {
			return ratio, ok
		}
	}
	return 0, false
}

func TestRateMeter(t *testing.T) {
	var live, short, bursts, flooded rateMeter
	ratio, ok := measure(&live, 0.125, 20, func(w float64) float64 { return 3 * w })
	if !ok || math.Abs(ratio-3) > 0.01 {
		t.Errorf("ratio %g, %v", ratio, ok)
	}
	if _, ok := measure(&live, 0.125, 20, func(w float64) float64 { return 3 * w }); ok {
		t.Error("the result comes twice")
	}
	if _, ok := measure(&short, 0.125, 9, func(w float64) float64 { return 3 * w }); ok {
		t.Error("a result after 9 s")
	}
	if _, ok := measure(&bursts, 0.125, 20, func(w float64) float64 { return w * w }); ok {
		t.Error("a result for sound without a rate")
	}
	flooded.done = true
	if _, ok := measure(&flooded, 0.125, 20, func(w float64) float64 { return 3 * w }); ok {
		t.Error("a result for a file")
	}
}

func TestOtherRate(t *testing.T) {
	for _, c := range []struct {
		declared, ratio, want float64 // 0: as declared, or who knows
	}{
		{16000, 1, 0}, {16000, 1.05, 0}, {16000, 0.95, 0},
		{16000, 3, 48000}, {16000, 2.756, 44100}, {16000, 0.5, 8000}, {16000, 0.25, 4000}, {48000, 0.333, 16000},
		{16000, 6, 96000},
		{16000, 2.45, 0}, {16000, 57, 0}, {16000, 0.01, 0},
	} {
		if got := otherRate(c.declared, c.ratio); math.Abs(got-c.want) > 1 {
			t.Errorf("%g Hz at a ratio of %g: %g, want %g", c.declared, c.ratio, got, c.want)
		}
	}
}
