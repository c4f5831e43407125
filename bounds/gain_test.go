package bounds

import (
	"math"
	"testing"

	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// sounding returns a model of network c, as it runs, and a clip of log-mel rows some of which are near the floor.
func sounding(t *testing.T, c polynet.Config, frames int) (*polynet.Model, *Net, Sound) {
	t.Helper()
	rng := nettest.Rand(11)
	m := nettest.RandomModel(c, rng)
	m.Norm.Limit = 2
	p, w, err := m.Inference()
	if err != nil {
		t.Fatal(err)
	}
	n, err := Compile(p, w, frames)
	if err != nil {
		t.Fatal(err)
	}
	rows := nettest.Normals(rng, frames*c.Inputs)
	floor := math.Exp(-9)
	for i := range rows {
		rows[i] = float32(math.Log(math.Exp(float64(-6+3*rows[i])) + floor))
	}
	return m, n, Sound{Rows: rows, Floor: floor, Norm: m.Norm}
}

// changed returns the clip's features at a gain and with noise of each value, as they are computed from energies.
func (s Sound) changed(gain float64, noise func() float64) []float32 {
	rows := make([]float32, len(s.Rows))
	for i, v := range s.Rows {
		energy := math.Exp(float64(v)) - s.Floor
		rows[i] = float32(math.Log(energy*math.Pow(10, gain/10)+s.Floor) + noise()*math.Ln10/10)
	}
	s.Norm.Apply(rows)
	return rows
}

// TestSoundRegions compares features that are computed from amplified energies with noise with the region.
func TestSoundRegions(t *testing.T) {
	rng := nettest.Rand(5)
	_, _, s := sounding(t, nettest.Tiny(polynet.Pi), 7)
	for _, limit := range []float32{0, 0.5, 2} {
		s.Norm.Limit = limit
		for _, c := range []struct{ from, to, noise float64 }{{-6, 6, 0.5}, {3, 3, 0}, {-20, 40, 0.1}, {0, 0.5, 0}} {
			r := s.Region(c.from, c.to, c.noise)
			for range 200 {
				g := 2*rng.Float64() - 1
				x := s.changed(c.from+(c.to-c.from)*(g+1)/2, func() float64 { return c.noise * (2*rng.Float64() - 1) })
				for i, v := range x {
					if d := math.Abs(float64(v)-r.Center[i]-g*r.Slope[i]) - r.Radius[i]; d > 1e-5 {
						t.Fatalf("limit %g, %v: value %d is %g outside", limit, c, i, d)
					}
				}
			}
		}
	}
}

// TestProofsHold draws 10,000 points a network of regions in which the answer is proved to stay the same, and checks
// that proofs are found where the region is small, and none where the answer changes.
func TestProofsHold(t *testing.T) {
	methods := []Method{{}, {Depth: Full}}
	for _, kind := range []polynet.BlockKind{polynet.ReLU, polynet.Pi, polynet.Pi1x1ReLU, polynet.Star} {
		c := nettest.Tiny(kind)
		m, n, s := sounding(t, c, 9)
		p, w, err := m.Inference()
		if err != nil {
			t.Fatal(err)
		}
		answer := func(rows []float32) int {
			logits := nettest.Plain{Program: p, Weights: w}.Run(nettest.Float64(rows, c.Inputs))[0]
			best := 0
			for i, v := range logits {
				if v > logits[best] {
					best = i
				}
			}
			return best
		}
		label := answer(s.changed(0, func() float64 { return 0 }))
		proved, rng := 0, nettest.Rand(3)
		for _, size := range []struct{ gain, noise float64 }{{0.1, 0.001}, {1, 0.02}, {3, 0.1}, {10, 1}} {
			proof, err := n.Prove(t.Context(), s, label, size.gain, size.noise, methods, 20)
			if err != nil {
				t.Fatal(err)
			}
			if proof.Pieces > 20*len(methods) || proof.Proved && proof.Pieces == 0 {
				t.Errorf("%s: %+v", kind, proof)
			}
			if !proof.Proved {
				continue
			}
			proved++
			for range 2500 {
				x := s.changed(size.gain*(2*rng.Float64()-1), func() float64 { return size.noise * (2*rng.Float64() - 1) })
				if got := answer(x); got != label {
					t.Fatalf("%s: the answer within %v is proved to be %d, and is %d", kind, size, label, got)
				}
			}
		}
		if proved == 0 {
			t.Errorf("%s: nothing is proved", kind)
		}
		if proof, err := n.Prove(t.Context(), s, label, 0, 200, methods, 20); err != nil || proof.Proved {
			t.Errorf("%s: proved with noise of 200 dB: %v", kind, err)
		}
		if proof, err := n.Prove(t.Context(), s, (label+1)%c.Classes, 0, 0, methods, 20); err != nil || proof.Proved {
			t.Errorf("%s: another label is proved: %v", kind, err)
		}
	}
}

// TestSilence checks that gain changes nothing without energy.
func TestSilence(t *testing.T) {
	norm := features.Norm{Mean: []float32{0, 1}, Std: []float32{1, 2}}
	s := Sound{Rows: []float32{-9, -9}, Floor: math.Exp(-9), Norm: norm}
	for i, v := range s.Region(-30, 30, 0).Slope {
		if math.Abs(v) > 1e-3 {
			t.Errorf("value %d moves by %g", i, v)
		}
	}
	low, high := s.Box(0, 1)
	if d := float64(high[1]-low[1]) - 2*math.Ln10/20; math.Abs(d) > 1e-5 {
		t.Errorf("a decibel each way is %g off", d)
	}
}

// TestHalve asks about as many pieces as there are, and about no more than one where that is not worth it.
func TestHalve(t *testing.T) {
	asked := 0
	sure := func(from, to float64) (bool, error) {
		asked++
		return to-from < 0.3, nil
	}
	for _, c := range []struct {
		worth       bool
		left, asked int
		want        bool
	}{{false, 20, 1, false}, {true, 20, 15, true}, {true, 5, 5, false}, {true, 0, 0, false}} {
		asked = 0
		left := c.left
		ok, err := halve(-1, 1, &left, sure, func() (bool, error) { return c.worth, nil })
		if err != nil || ok != c.want || asked != c.asked || left != c.left-asked {
			t.Errorf("%+v: %v, %d pieces asked about, %d left", c, ok, asked, left)
		}
	}
}
