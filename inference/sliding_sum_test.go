package inference

import (
	"math"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/internal/race"
)

// TestSlidingSumDoesNotDrift checks the sum of a window that has moved over ten million rows against a fresh one, for
// windows whose lengths change.
func TestSlidingSumDoesNotDrift(t *testing.T) {
	const most = 13
	rows := 10_000_000
	if testing.Short() || race.Enabled() {
		rows = 100_000
	}
	rng := nettest.Rand(1)
	s := newSlidingSum(most, 2)
	var ring [most][2]float32
	var got [2]float64
	for i := range rows {
		row := [2]float32{rng.Float32() * 1e4, rng.Float32()}
		ring[i%most] = row
		length := min(i+1, 1+i/3%most)
		s.drop(max(s.first, i+1-max(length, s.next-s.first-1))) // some windows grow, others shrink by several rows
		if s.next-s.first == most {
			s.drop(s.first + 1)
		}
		s.push(row[:])
		if i > 1000 && i < rows-1000 {
			continue
		}
		s.mean(got[:])
		for c := range got {
			want := 0.0
			for r := s.first; r < s.next; r++ {
				want += float64(ring[r%most][c])
			}
			want /= float64(s.next - s.first)
			if math.Abs(got[c]-want) > 1e-14*want {
				t.Fatalf("row %d: mean %g of %d rows, want %g", i, got[c], s.next-s.first, want)
			}
		}
	}
}
