package inference

import (
	"fmt"
	"math"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// narrowModel returns a random model of the kind with narrow weights.
func narrowModel(kind polynet.BlockKind, n polynet.Narrow) *polynet.Model {
	c := nettest.Configs(kind)[0]
	c.Narrow = &n
	m := nettest.RandomModel(c, nettest.Rand(1))
	nettest.SetStatistics(m)
	return m
}

// TestNarrowNetworksComputeTheEquations compares clips with the plain equations. A value next to the middle of two
// levels may go to the other one.
func TestNarrowNetworksComputeTheEquations(t *testing.T) {
	const frames, flips = 40, 0.03
	for _, n := range []polynet.Narrow{
		{Weights: polynet.Ternary, Stem: true, Head: true}, {Weights: polynet.Int8}, {Weights: polynet.Int8, Stem: true},
	} {
		for _, kind := range polynet.BlockKinds() {
			m := narrowModel(kind, n)
			rows := nettest.Normals(nettest.Rand(5), frames*m.Net.Inputs)
			for i := range rows {
				rows[i] = 2.5*rows[i] - 5
			}
			var want []float32
			for _, v := range nettest.Logits(m, rows) {
				want = append(want, float32(v))
			}
			onDevices(t, func(t *testing.T, d device.Device) {
				p := newPlan(t, m, d)
				clips := p.Clips(1, frames)
				nettest.Near(t, fmt.Sprintf("%s, %+v", kind, n), clips.Run(rows, 1), want, flips)
				clips.Close()
				p.Close()
			})
		}
	}
}

// TestNarrowStreamsAreOnePass compares a stream's decisions with the plain equations on the whole sound.
func TestNarrowStreamsAreOnePass(t *testing.T) {
	for _, n := range []polynet.Narrow{{Weights: polynet.Ternary, Head: true}, {Weights: polynet.Int8, Stem: true}} {
		for _, kind := range []polynet.BlockKind{polynet.Pi, polynet.Star} {
			m := narrowModel(kind, n)
			samples := noise(nettest.Rand(6), 9000)
			one := newOnePass(t, m, samples)
			p := newPlan(t, m, oneThread(t))
			s := newStream(t, p, StreamOptions{})
			for at := 0; at < len(samples); at += 700 {
				s.Push(samples[at:min(at+700, len(samples))])
			}
			s.Flush()
			decisions := 0
			for {
				d, ok, err := s.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				decisions++
				for i, v := range one.p(int(math.Round(d.End * float64(m.Features.Rate)))) {
					if math.Abs(v-d.P[i]) > 0.02 {
						t.Errorf("%s, %+v: at %g s, class %d has the probability %g, want %g",
							kind, n, d.End, i, d.P[i], v)
					}
				}
			}
			if decisions < 3 {
				t.Errorf("%s, %+v: %d decisions", kind, n, decisions)
			}
			s.Close()
			p.Close()
		}
	}
}
