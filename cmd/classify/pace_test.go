package main

import (
	"math"
	"testing"
	"time"
)

// at returns a mark so many seconds after a certain moment.
func at(wall, heard float64) mark {
	return mark{time.Unix(1e9, 0).Add(time.Duration(wall * float64(time.Second))), heard}
}

func TestLag(t *testing.T) {
	var p pace
	check := func(what string, now mark, want float64) {
		t.Helper()
		if got := p.lag(now); math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: %g s behind, want %g", what, got, want)
		}
	}
	check("before anything is known", at(5, 1), 0)
	p.caughtUp(at(10, 5))
	check("at once", at(10.02, 5), 0.02)
	check("a full pipe, heard at half the speed", at(14, 7), 2)
	check("and faster than it comes", at(15, 9.5), 0.5)
	p.caughtUp(at(100, 12)) // the source paused
	check("after a pause", at(100.01, 12), 0.01)
	check("a file", at(101, 500), 0)
	for day := range 400 { // a sound card whose clock is slow
		wall := float64(day) * 86400
		p.caughtUp(at(wall, wall*0.9999))
		check("with a slow clock", at(wall+0.05, wall*0.9999), 0.05)
	}
	if p.worst != 2 {
		t.Errorf("the worst lag is %g", p.worst)
	}
}

// measure feeds a speedometer with chunks that arrive each interval seconds.
func measure(s *speedometer, interval, seconds float64, heard func(wall float64) float64) (speed float64, ok bool) {
	for wall := 0.0; wall < seconds; wall += interval {
		if speed, ok := s.caughtUp(at(wall, heard(wall))); ok {
			return speed, ok
		}
	}
	return 0, false
}

func TestSpeedometer(t *testing.T) {
	var live, short, bursts speedometer
	if speed, ok := measure(&live, 0.125, 20, func(w float64) float64 { return 3 * w }); !ok || math.Abs(speed-3) > 0.01 {
		t.Errorf("speed %g, %v", speed, ok)
	}
	if _, ok := measure(&live, 0.125, 20, func(w float64) float64 { return 3 * w }); ok {
		t.Error("the verdict comes twice")
	}
	if _, ok := measure(&short, 0.125, 9, func(w float64) float64 { return 3 * w }); ok {
		t.Error("a verdict after 9 s")
	}
	if _, ok := measure(&bursts, 0.125, 20, func(w float64) float64 { return w * w }); ok {
		t.Error("a verdict about a sound without a rate")
	}
	flooded := speedometer{}
	flooded.flooded()
	if _, ok := measure(&flooded, 0.125, 20, func(w float64) float64 { return 3 * w }); ok {
		t.Error("a verdict about a file")
	}
}

func TestActualRate(t *testing.T) {
	for _, c := range []struct {
		declared, speed, want float64 // 0: as declared, or who knows
	}{
		{16000, 1, 0}, {16000, 1.05, 0}, {16000, 0.95, 0},
		{16000, 3, 48000}, {16000, 2.756, 44100}, {16000, 0.5, 8000}, {16000, 0.25, 4000}, {48000, 0.333, 16000}, {16000, 6, 96000},
		{16000, 2.45, 0}, {16000, 57, 0}, {16000, 0.01, 0},
	} {
		got, other := actualRate(c.declared, c.speed)
		if other != (c.want != 0) || math.Abs(got-c.want) > 1 {
			t.Errorf("%g Hz at %g times the speed: %g, %v", c.declared, c.speed, got, other)
		}
	}
}
