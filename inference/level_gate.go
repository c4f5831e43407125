package inference

import "math"

// levelGate finds the frames that are not silence. A frame's level is the power of the Hop samples around its middle, so
// that every sample counts in one frame.
type levelGate struct {
	minimum float64 // power of the softest frame that counts as sound
	hop     int     // samples
	hold    int     // frames for which sound keeps the gate open

	powers []float64 // of frames; those that have not been taken begin at taken
	taken  int
	sum    float64 // of squares, of the frame that is not complete
	count  int     // of its samples
	latest []int   // a ring: the latest frame with sound, by frame
}

// never is the latest frame with sound before there is one.
const never = math.MinInt / 2

// newLevelGate returns a gate for a level in decibels, which remembers so many frames.
func newLevelGate(level float64, hop, hold, frames int) *levelGate {
	g := &levelGate{minimum: math.Pow(10, level/10), hop: hop, hold: hold, latest: make([]int, frames)}
	g.reset()
	return g
}

func (g *levelGate) reset() {
	g.powers, g.taken = g.powers[:0], 0
	g.sum, g.count = 0, (g.hop+1)/2 // frame 0 lies around the first sample
	if g.count == g.hop {
		g.close()
	}
	for i := range g.latest {
		g.latest[i] = never
	}
}

// push measures samples.
func (g *levelGate) push(samples []float32) {
	g.powers = g.powers[:copy(g.powers, g.powers[g.taken:])]
	g.taken = 0
	for len(samples) > 0 {
		n := min(g.hop-g.count, len(samples))
		for _, v := range samples[:n] {
			g.sum += float64(v) * float64(v)
		}
		samples = samples[n:]
		if g.count += n; g.count == g.hop {
			g.close()
		}
	}
}

// close ends the incomplete frame, the rest of which counts as zero.
func (g *levelGate) close() {
	g.powers = append(g.powers, g.sum/float64(g.hop))
	g.sum, g.count = 0, 0
}

// take takes n measured frames, the first of which is frame.
func (g *levelGate) take(frame, n int) {
	latest := never
	if frame > 0 {
		latest = g.latest[(frame-1)%len(g.latest)]
	}
	for i, power := range g.powers[g.taken:][:n] {
		if power >= g.minimum {
			latest = frame + i
		}
		g.latest[(frame+i)%len(g.latest)] = latest
	}
	g.taken += n
}

// open reports whether the frame or one of those that the gate holds before it has sound.
func (g *levelGate) open(frame int) bool { return frame-g.latest[frame%len(g.latest)] <= g.hold }
