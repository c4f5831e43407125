package audio

import (
	"fmt"
	"math"
)

const (
	maxDelay    = 0.02 // seconds by which a channel that is a copy of the other is later at most
	coarseRate  = 8000 // hertz, of the first search for the delay
	copyLike    = 0.95 // correlation of channels that are copies
	withoutMove = 0.9  // correlation without a delay from which mixing does no harm
)

// settleChannels finds out what the two channels of the beginning have to do with each other.
func (s *screen) settleChannels() {
	held := s.held[:s.learnt]
	if silenced(held) {
		s.pickLouder(held, 0)
		return
	}
	first, second := -1, -1 // the loudest pieces
	for i, e := range s.energies {
		switch {
		case first < 0 || e > s.energies[first]:
			first, second = i, first
		case second < 0 || e > s.energies[second]:
			second = i
		}
	}
	var delays [2]int
	for k, i := range []int{first, second} {
		if i < 0 {
			delays[k] = delays[0]
			continue
		}
		from := i * 2 * pieceFrames
		delays[k] = delayOf(held[from:min(from+2*pieceFrames, len(held))], s.format.Rate)
	}
	if agree(delays[0], delays[1]) {
		s.pickDelayed(held, delays[0], 0)
	}
}

// agree reports whether two delays in frames are the same one, other than none.
func agree(a, b int) bool { return a != 0 && b != 0 && a-b <= 1 && b-a <= 1 }

// pickLouder has only the louder channel count from a frame on.
func (s *screen) pickLouder(frames []float32, at int64) {
	var energies [2]float64
	for i, v := range frames {
		energies[i%2] += float64(v) * float64(v)
	}
	if s.pick = 0; energies[1] > energies[0] {
		s.pick = 1
	}
	s.report("the channels cancel each other%s, as when one is inverted: only channel %d is used",
		s.since(at), s.pick+1)
}

// pickDelayed has only the channel count that is not delayed.
func (s *screen) pickDelayed(frames []float32, delay int, at int64) {
	s.pick = 0
	later := 2
	if delay < 0 {
		s.pick, later, delay = 1, 1, -delay
	}
	s.report("channel %d is the same %.1f ms later%s: only channel %d is used", later,
		1000*float64(delay)/float64(s.format.Rate), s.since(at), s.pick+1)
}

// since says from when on something holds, "" for the beginning.
func (s *screen) since(frame int64) string {
	if frame == 0 {
		return ""
	}
	return fmt.Sprintf(" from %.1f s on", s.seconds(frame))
}

// silenced reports whether the sum of two channels is much softer than if they had nothing to do with each other.
func silenced(frames []float32) bool {
	var each, sums float64
	for i := 0; i+1 < len(frames); i += 2 {
		a, b := float64(frames[i]), float64(frames[i+1])
		each += a*a + b*b
		sums += (a + b) * (a + b)
	}
	return each > 0 && sums < 0.05*each
}

// delayOf returns by how many frames the second of two channels is a later copy of the first, negative for an earlier
// one; 0 where it is none, or so little later that mixing does no harm.
func delayOf(frames []float32, rate int) int {
	n := len(frames) / 2
	step := max(1, rate/coarseRate)
	reach := int(maxDelay*float64(rate)) / step
	if n/step <= 4*reach {
		reach = n / step / 4
	}
	if reach < 1 || correlation(frames, 0) > withoutMove {
		return 0
	}
	// Differences of the sums of a few frames: without the low frequencies, the correlation has narrow peaks.
	coarse := make([]float32, 0, 2*(n/step))
	for i := step; (i+1)*step <= n; i++ {
		var now, before [2]float32
		for k := range step {
			for c := range 2 {
				now[c] += frames[2*(i*step+k)+c]
				before[c] += frames[2*((i-1)*step+k)+c]
			}
		}
		coarse = append(coarse, now[0]-before[0], now[1]-before[1])
	}
	best, most := 0, 0.0
	for lag := -reach; lag <= reach; lag++ {
		if r := math.Abs(correlation(coarse, lag)); r > most {
			best, most = lag, r
		}
	}
	if most < 0.5 {
		return 0
	}
	middle := best * step
	best, most = 0, 0
	for lag := middle - step; lag <= middle+step; lag++ {
		if r := math.Abs(correlation(frames, lag)); r > most {
			best, most = lag, r
		}
	}
	if most < copyLike {
		return 0
	}
	return best
}

// correlation returns the normalised correlation of the first of two channels with the second one lag frames later.
func correlation(frames []float32, lag int) float64 {
	n := len(frames) / 2
	from, to := max(0, -lag), min(n, n-lag)
	var ab, aa, bb float64
	for i := from; i < to; i++ {
		a, b := float64(frames[2*i]), float64(frames[2*(i+lag)+1])
		ab += a * b
		aa += a * a
		bb += b * b
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
