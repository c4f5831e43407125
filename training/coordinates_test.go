package training

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// narrowModel returns a random model with narrow weights.
func narrowModel(kind polynet.BlockKind, n polynet.Narrow) *polynet.Model {
	c := nettest.Tiny(kind)
	c.Narrow = &n
	m := nettest.RandomModel(c, nettest.Rand(4))
	nettest.SetStatistics(m)
	return m
}

func newCoordinates(t *testing.T, m *polynet.Model, d device.Trainer) *Coordinates {
	t.Helper()
	c, err := NewCoordinates(m, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// searchBatch returns clips and their target probabilities.
func searchBatch(clips, frames int) (rows, targets []float32) {
	rng := nettest.Rand(8)
	rows, targets = nettest.Normals(rng, clips*frames*6), make([]float32, clips*4)
	for i := range clips {
		targets[4*i+rng.IntN(4)] = 0.75
		targets[4*i+rng.IntN(4)] += 0.25
	}
	return rows, targets
}

// change returns a random change of a step's level.
func change(c *Coordinates, step int, most int8, rng *rand.Rand) Change {
	at := rng.IntN(len(c.Levels(step)))
	if level := c.Levels(step)[at]; level < most {
		return Change{step, at, level + 1}
	}
	return Change{step, at, -most}
}

// TestCoordinatesComputeWhatANetworkDoes compares the losses of changes, tried alone and accepted one after another,
// with those of models with the same levels.
func TestCoordinatesComputeWhatANetworkDoes(t *testing.T) {
	const clips, frames = 5, 19
	rows, targets := searchBatch(clips, frames)
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range []polynet.BlockKind{polynet.Pi, polynet.PiReLU, polynet.NCPSkip, polynet.Star, polynet.Mu} {
			for _, n := range []polynet.Narrow{
				{Weights: polynet.Ternary, Stem: true, Head: true}, {Weights: polynet.Int8},
			} {
				m := narrowModel(kind, n)
				c := newCoordinates(t, m, d)
				fresh := func() float64 {
					other := *m
					other.Weights = c.Weights()
					return newCoordinates(t, &other, d).Begin(rows, targets, clips)
				}
				most, rng := int8(1), nettest.Rand(9)
				if n.Weights == polynet.Int8 {
					most = polynet.MaxLevel
				}
				near := func(what string, got, want float64) {
					t.Helper()
					if !(math.Abs(got-want) <= 2e-3*math.Abs(want)) { // a value next to the middle of two levels may differ
						t.Errorf("%s, %+v, %s: loss %g, want %g", kind, n, what, got, want)
					}
				}
				near("at first", c.Begin(rows, targets, clips), fresh())
				for _, step := range c.Steps() {
					before := c.Loss()
					changes := []Change{change(c, step, most, rng)}
					for range 3 {
						if x := change(c, step, most, rng); x.At != changes[0].At {
							changes = append(changes, x)
						}
					}
					c.Try(changes)
					if c.Loss() != before {
						t.Fatalf("a trial changed what is kept")
					}
					one := changes[:1]
					loss := c.Try(one)
					if again := c.Try(one); again != loss {
						t.Errorf("%s: tried twice, a change has the losses %g and %g", kind, loss, again)
					}
					c.Accept(loss)
					near("accepted", c.Loss(), fresh())
					if c.Levels(step)[one[0].At] != one[0].Level {
						t.Errorf("%s: an accepted level is not kept", kind)
					}
				}
			}
		}
	})
}

// TestGainsAreGradients compares them with differences of the loss, for steps after which nothing is rounded.
func TestGainsAreGradients(t *testing.T) {
	const clips, frames = 5, 19
	rows, targets := searchBatch(clips, frames)
	for _, kind := range []polynet.BlockKind{polynet.Pi, polynet.Star} {
		for _, weights := range []polynet.Precision{polynet.Ternary, polynet.Int8} {
			m := narrowModel(kind, polynet.Narrow{Weights: weights, Head: true})
			c := newCoordinates(t, m, device.Ref())
			c.Begin(rows, targets, clips)
			size := 1.0 / 128 // of the differences, in levels
			if weights == polynet.Int8 {
				size = 1
			}
			for _, step := range c.Steps()[len(c.Steps())-2:] { // the last convolution, and the head
				gains, w := c.Gains(step), c.narrowings[step]
				rng := nettest.Rand(3)
				for range 10 {
					at := rng.IntN(len(gains))
					scale := c.scales[step][at%len(c.scales[step])]
					value := w.fixed.Host()[at]
					moved := func(x float64) float64 {
						w.fixed.Host()[at] = value + float32(x)*scale
						return -c.Begin(rows, targets, clips)
					}
					want := derivative(moved, size)
					w.fixed.Host()[at] = value
					if got := float64(gains[at]); math.Abs(got-want) > 5e-3*math.Abs(want)+1e-5 {
						t.Errorf("%s, %s, step %d: a level's gain is %g, want %g", kind, weights, step, got, want)
					}
				}
			}
		}
	}
}

func TestCoordinatesNeedNarrowWeights(t *testing.T) {
	m := nettest.RandomModel(nettest.Tiny(polynet.Pi), nettest.Rand(1))
	if _, err := NewCoordinates(m, device.Ref()); !errors.Is(err, ErrConfig) {
		t.Errorf("float32 weights: %v", err)
	}
}
