package inference

import (
	"math"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"pgregory.net/rapid"
)

// Sound and silence, on either side of a gate of -40 dB.
const (
	gateLevel = -40
	audible   = 0.3
	murmur    = 0.001
)

// bursts returns samples of sound with silence between, both of random lengths.
func bursts(t *rapid.T) []float32 {
	rng := nettest.Rand(rapid.Uint64().Draw(t, "bursts"))
	longest := rapid.SampledFrom([]int{500, 5000, 60000}).Draw(t, "longest silence")
	var samples []float32
	for i := range rapid.IntRange(1, 8).Draw(t, "parts") {
		amplitude, n := float32(murmur), 1+rng.IntN(longest)
		if i%2 == 0 {
			amplitude, n = audible, rng.IntN(4000)
		}
		for range n {
			samples = append(samples, amplitude*(2*rng.Float32()-1))
		}
	}
	return samples
}

// TestGateChangesNoAnswer checks that a gated stream gives the numbers of one pass wherever it runs the network, also
// right after a silence through which the network has not run, and that decisions are gated only where there is
// silence, however the sound is cut into pieces.
func TestGateChangesNoAnswer(t *testing.T) {
	devices := []device.Device{device.Ref(), oneThread(t)}
	rapid.Check(t, func(t *rapid.T) {
		m, o, d := drawStream(t, devices)
		o.Gate = gateLevel
		stream := newStream(t, newPlan(t, m, d), o)
		samples, chunks := bursts(t), drawChunks(t)
		got := decisionsAbout(t, stream, samples, chunks)
		if len(samples) == 0 {
			return
		}
		s := stream.Group.streams[0]
		newOnePass(t, m, samples).check(t, got, s.first, s.hop)
		gated, rate, hop := 0, float64(m.Features.Rate), m.Features.Hop
		for _, d := range got {
			begin, end := int(d.Start*rate+0.5), int(d.End*rate+0.5)
			end = max(end, (end/s.rowSamples()*s.row+s.ahead)*hop) // where the last row's lookahead ends
			if d.Gated && audibleFrame(samples, hop, device.CeilDiv(begin, hop), min(end/hop, s.frames()-1)) {
				t.Fatalf("the decision about %g to %g s was gated", d.Start, d.End)
			}
			if d.Gated {
				gated++
			}
		}
		stats, silent := stream.Stats(), !audibleFrame(samples, hop, 0, s.frames()-1)
		if stats.Frames != s.frames() || silent && (gated < len(got) || stats.Gated < stats.Frames) {
			t.Fatalf("%+v with %d of %d decisions gated", stats, gated, len(got))
		}
		stream.Reset()
		again := decisionsAbout(t, stream, samples, func() int { return 3000 })
		if !slices.EqualFunc(got, again, func(a, b Decision) bool {
			return a.Gated == b.Gated && a.Used == b.Used && a.End == b.End
		}) {
			t.Fatalf("decisions %v, in other pieces %v", got, again)
		}
	})
}

// audibleFrame reports whether one of the frames first to last, of hop samples around their middles, is at the gate's
// level.
func audibleFrame(samples []float32, hop, first, last int) bool {
	for frame := first; frame <= last; frame++ {
		sum := 0.0
		for i := frame*hop - (hop+1)/2; i < frame*hop+hop/2; i++ {
			if i >= 0 && i < len(samples) {
				sum += float64(samples[i]) * float64(samples[i])
			}
		}
		if 10*math.Log10(sum/float64(hop)) >= gateLevel {
			return true
		}
	}
	return false
}

// TestGateMeasuresFrames checks the powers of frames of several lengths, the samples coming in pieces.
func TestGateMeasuresFrames(t *testing.T) {
	samples := nettest.Normals(nettest.Rand(1), 100)
	for _, hop := range []int{1, 2, 3, 10} {
		g := newLevelGate(gateLevel, hop, 1, 1)
		for i := 0; i < len(samples); i += 4 {
			g.push(samples[i : i+4])
		}
		g.endFrame()
		for frame := range 1 + len(samples)/hop {
			sum := 0.0
			for i := frame*hop - (hop+1)/2; i < frame*hop+hop/2; i++ {
				if i >= 0 && i < len(samples) {
					sum += float64(samples[i]) * float64(samples[i])
				}
			}
			if got := g.powers[frame]; math.Abs(got-sum/float64(hop)) > 1e-12 {
				t.Errorf("hop %d: frame %d has power %g, want %g", hop, frame, got, sum/float64(hop))
			}
		}
	}
}

// TestGateSavesWork checks that the network does not run through a long silence, what gated decisions are, and that the
// gate opens for sound at its level and holds.
func TestGateSavesWork(t *testing.T) {
	m := configModel(polynet.Linear, 1)
	m.Labels[1] = polynet.SilenceLabel
	s := newStream(t, newPlan(t, m, device.Ref()), StreamOptions{Gate: gateLevel})
	samples := append(noise(nettest.Rand(1), 16000), make([]float32, 160000)...)
	samples = append(samples, noise(nettest.Rand(2), 1600)...)
	gated := 0
	for _, d := range decisionsAbout(t, s, samples, func() int { return 777 }) {
		if d.Gated {
			gated++
			nearP(t, "silence", d.P, []float64{0, 1, 0}, 0)
		}
	}
	stats := s.Stats()
	in := s.Group.streams[0]
	past := in.hold() + in.back + in.row + in.step // that may be computed again, and hold
	if stats.Gated > 1000 || stats.Gated < 1000-2*past || gated < (1000-2*past)/in.row {
		t.Errorf("%+v, %d decisions gated, of 1000 silent frames", stats, gated)
	}

	level := math.Sqrt(math.Pow(10, gateLevel/10.0))
	for scale, open := range map[float64]bool{0.99: false, 1.01: true} {
		s.Reset()
		square := make([]float32, 16000)
		for i := range square {
			square[i] = float32(scale * level * float64(1-2*(i/20%2)))
		}
		for _, d := range decisionsAbout(t, s, square, func() int { return 500 })[1:] {
			if d.Gated == open {
				t.Errorf("%g of the gate's level: %+v", scale, d)
			}
		}
	}

	m.Labels[1] = "other"
	s = newStream(t, newPlan(t, m, device.Ref()), StreamOptions{Gate: gateLevel})
	for _, d := range decisionsAbout(t, s, make([]float32, 16000), func() int { return 500 }) {
		if !d.Gated || d.P != nil {
			t.Errorf("decision %+v about silence without a label for it", d)
		}
	}
}
