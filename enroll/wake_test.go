package enroll

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/detect"
)

// peaked returns sound of so many hours with a peak every four seconds, and the logits of its windows: each peak is as
// far above -1 as height says.
func peaked(hours float64, height func() float64) (*Sound, []float64) {
	s := &Sound{Seconds: 3600 * hours}
	var t track
	var logits []float64
	for i := range int(s.Seconds) {
		logit := -10.0
		if i%4 == 2 {
			logit = -1 + height()
		}
		t.ends, logits = append(t.ends, float64(i+1)), append(logits, logit)
	}
	s.tracks = []track{t}
	return s, logits
}

// TestLowestIsAboutOtherSound: in half an hour and in ten, the threshold is one at which so many events an hour are to
// be expected where peaks get rarer exponentially.
func TestLowestIsAboutOtherSound(t *testing.T) {
	point := detect.Default(1)
	point.Smoothing = 0
	for _, c := range []struct{ hours, perHour float64 }{{0.5, 1}, {0.5, 2}, {2, 5}, {10, 0.5}, {10, 3}} {
		sum := 0.0
		const seeds = 10
		for seed := range uint64(seeds) {
			s, logits := peaked(c.hours, rand.New(rand.NewPCG(seed, 1)).ExpFloat64)
			at, few, err := s.lowest(point, "word", logits, c.perHour)
			if err != nil || few {
				t.Fatalf("%+v: few %v, %v", c, few, err)
			}
			p := thresholds()[at]
			logit := math.Log(p / (1 - p))
			sum += math.Log(900*math.Exp(-(logit+1))/c.perHour) / seeds // peaks an hour above it, and those wanted
		}
		if math.Abs(sum) > 0.6 {
			t.Errorf("%+v: %.2f times as many events are expected", c, math.Exp(sum))
		}
	}
}

// TestLowestOfFewEvents: where there is little to count, the threshold is the lowest that the sound itself keeps to.
func TestLowestOfFewEvents(t *testing.T) {
	point := detect.Default(1)
	point.Smoothing = 0
	high := 0
	nine := func() float64 { // of 900, above a threshold of 1/2
		if high++; high <= 9 {
			return 1 + float64(high)/2
		}
		return 0
	}
	for _, c := range []struct {
		what    string
		height  func() float64
		perHour float64
		logit   float64 // of the threshold
	}{
		{"no events", func() float64 { return -5 }, 1, -2},
		{"none wanted of nine", nine, 0, 4.75},
		{"two wanted of nine", nine, 2, 3.75},
	} {
		high = 0
		s, logits := peaked(1, c.height)
		for i := range logits { // what is below -1 is no event at any threshold
			if logits[i] == -1 {
				logits[i] = -10
			}
		}
		at, few, err := s.lowest(point, "word", logits, c.perHour)
		if err != nil || !few || math.Abs(thresholds()[at]-sigmoid(c.logit)) > 1e-9 {
			t.Errorf("%s: threshold %g, want %g, few %v, %v", c.what, thresholds()[at], sigmoid(c.logit), few, err)
		}
	}
}

// TestBetween: only where few events say what the sound allows, the threshold is half-way to what clips need.
func TestBetween(t *testing.T) {
	for _, c := range []struct {
		low          int
		few          bool
		peaks        []int
		want, missed int
	}{
		{10, false, []int{30, 20, 8, 25, 40}, 10, 1},
		{10, true, []int{30, 20, 8, 25, 40}, 15, 1},
		{10, true, []int{5, 6, 7}, 10, 3},
		{10, true, []int{20}, 15, 0},
	} {
		w, _ := between(c.low, c.few, c.peaks)
		if w.at != c.want || w.Missed != c.missed || w.Clips != len(c.peaks) {
			t.Errorf("%+v: %+v", c, w)
		}
	}
}
