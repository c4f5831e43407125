package polynet

import "math"

// levelGate tells the frames in which there is something to hear from silence. A frame's level is the power of the Hop samples
// around its middle, so that every sample counts in one frame.
type levelGate struct {
	least float64 // power of the softest frame that counts as sound
	hop   int     // samples
	hold  int     // frames that a sound keeps the gate open

	powers []float64 // of frames; those that have not been taken begin at taken
	taken  int
	sum    float64 // of squares, in the frame that is being heard
	count  int     // of its samples
	latest []int   // a ring: the latest frame with sound, by frame
}

// neverHeard stands for the latest frame with sound before there is one.
const neverHeard = math.MinInt / 2

// newLevelGate returns a gate for a level in decibels, which remembers so many frames.
func newLevelGate(level float64, hop, hold, frames int) *levelGate {
	g := &levelGate{least: math.Pow(10, level/10), hop: hop, hold: hold, latest: make([]int, frames)}
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
		g.latest[i] = neverHeard
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

// close ends the frame that is being heard, which counts as zero from here on.
func (g *levelGate) close() {
	g.powers = append(g.powers, g.sum/float64(g.hop))
	g.sum, g.count = 0, 0
}

// take takes n measured frames in, of which the first one is frame.
func (g *levelGate) take(frame, n int) {
	latest := neverHeard
	if frame > 0 {
		latest = g.latest[(frame-1)%len(g.latest)]
	}
	for i, power := range g.powers[g.taken:][:n] {
		if power >= g.least {
			latest = frame + i
		}
		g.latest[(frame+i)%len(g.latest)] = latest
	}
	g.taken += n
}

// open reports whether the frame or one of those that the gate holds before it has sound.
func (g *levelGate) open(frame int) bool { return frame-g.latest[frame%len(g.latest)] <= g.hold }
