package polynet_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// small returns a network of few blocks, whose degree is small enough for differences in float64.
func small(kind polynet.BlockKind, blocks, degree int) polynet.Config {
	return polynet.Config{
		Inputs: 3, Classes: 2, Block: kind, Degree: degree, Stem: polynet.Stem{Width: 4, Kernel: 2, Ahead: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: 5, Blocks: blocks, Kernel: 3, Ahead: 1, Stride: 2}},
	}
}

func TestDegree(t *testing.T) {
	stages := func(kind polynet.BlockKind, degree int, blocks ...int) polynet.Config {
		c := small(kind, blocks[0], degree)
		for _, n := range blocks[1:] {
			c.Stages = append(c.Stages, polynet.Stage{Width: 5, Blocks: n, Kernel: 3, Stride: 1})
		}
		return c
	}
	for _, c := range []struct {
		net  polynet.Config
		says string
	}{
		{stages(polynet.Linear, 0, 3, 3), "polynomial of degree 1"},
		{stages(polynet.Pi, 0, 3, 5), "polynomial of degree 256"},
		{stages(polynet.Pi1x1, 0, 8, 8), "polynomial of degree 65536"},
		{stages(polynet.CCP, 2, 4), "polynomial of degree 16"},
		{stages(polynet.NCP, 3, 2, 1), "polynomial of degree 27"},
		{stages(polynet.NCPSkip, 16, 2), "polynomial of degree 256"},
		{stages(polynet.CCP, 16, 9, 9), "polynomial of degree 2^72"},
		{stages(polynet.CCP, 3, 30), "polynomial of degree above 2^47"}, // 3^30 = 2^47.5…
		{stages(polynet.Star, 0, 1), "polynomial of degree 2"},
		{stages(polynet.Star, 0, 3, 5), "polynomial of degree 256"},
		{stages(polynet.Mu, 0, 3, 2), "polynomial of degree 1024"},
		{stages(polynet.ReLU, 0, 2), "not a polynomial: ReLU"},
		{stages(polynet.PiReLU, 0, 2), "not a polynomial: ReLU"},
		{stages(polynet.Pi1x1ReLU, 0, 2), "not a polynomial: ReLU"},
		{stages(polynet.PiTanh, 0, 2), "not a polynomial: tanh"},
	} {
		p := c.net.Program()
		if got := p.DescribeDegree(); got != c.says {
			t.Errorf("%s, degree %d, %d stages: %q, want %q", c.net.Block, c.net.Degree, len(c.net.Stages), got, c.says)
		}
		// Folded, the norms of products are scales and offsets.
		m := nettest.RandomModel(c.net, nettest.Rand(1))
		if p, _ := p.FoldNorms(m.Weights); p.DescribeDegree() != c.says {
			t.Errorf("%s, degree %d, folded: %q, want %q", c.net.Block, c.net.Degree, p.DescribeDegree(), c.says)
		}
	}
}

// alongLine returns the first logit of the network, in float64, at so many evenly spaced points of a random line
// through normalised features.
func alongLine(m *polynet.Model, rng *rand.Rand, points int) []float64 {
	const frames = 6
	from := nettest.Normals(rng, frames*m.Net.Inputs)
	direction := nettest.Normals(rng, frames*m.Net.Inputs)
	n := nettest.Plain{Program: m.Net.Program(), Weights: m.Weights}
	values := make([]float64, points)
	for i := range values {
		at := 20 * (2*float64(i)/float64(points-1) - 1) // far, where the highest power counts most
		x := make(nettest.Rows, frames)
		for k := range from {
			x[k/m.Net.Inputs] = append(x[k/m.Net.Inputs], float64(from[k])+at*float64(direction[k]))
		}
		values[i] = n.Run(x)[0][0]
	}
	return values
}

// lastDifference returns the size of the values' last difference, relative to what rounding may make of the values.
func lastDifference(values []float64) float64 {
	order, largest := len(values)-1, 0.0
	sum := new(big.Float).SetPrec(200)
	for i, v := range values {
		largest = max(largest, math.Abs(v))
		term := new(big.Float).SetPrec(200).SetInt(new(big.Int).Binomial(int64(order), int64(i)))
		term.Mul(term, big.NewFloat(v))
		if i%2 == 1 {
			term.Neg(term)
		}
		sum.Add(sum, term)
	}
	size, _ := sum.Float64()
	return math.Abs(size) / (largest * math.Pow(2, float64(order)) * 0x1p-52)
}

// TestNetworksArePolynomials takes differences of the logits along random lines: those of an order above the degree
// vanish but for rounding, those of the degree do not. Networks that are said to be no polynomials have no degree in
// reach.
func TestNetworksArePolynomials(t *testing.T) {
	const rounding = 100 // of sums in the network, in units of the last place
	nets := []polynet.Config{
		small(polynet.Linear, 3, 0), small(polynet.Pi, 1, 0), small(polynet.Pi, 3, 0),
		small(polynet.Pi1x1, 2, 0), small(polynet.Pi1x1, 4, 0), small(polynet.Star, 1, 0), small(polynet.Star, 4, 0),
		small(polynet.Mu, 1, 0), small(polynet.Mu, 2, 0),
	}
	for _, kind := range []polynet.BlockKind{polynet.CCP, polynet.NCP, polynet.NCPSkip} {
		nets = append(nets, small(kind, 1, 2), small(kind, 1, 5), small(kind, 1, 16), small(kind, 2, 3))
	}
	for _, c := range nets {
		degree := int(c.Program().Degree().Int64())
		name := fmt.Sprintf("%s of %d blocks, degree %d", c.Block, c.Stages[0].Blocks, degree)
		for seed := range uint64(5) {
			m, rng := nettest.RandomModel(c, nettest.Rand(seed)), nettest.Rand(seed+100)
			nettest.SetStatistics(m)
			if got := lastDifference(alongLine(m, rng, degree+2)); got > rounding {
				t.Errorf("%s: the difference of order %d is %.3g roundings", name, degree+1, got)
			}
			if got := lastDifference(alongLine(m, rng, degree+1)); got < 10*rounding {
				t.Errorf("%s: the difference of order %d is %.3g roundings", name, degree, got)
			}
		}
	}
	for _, kind := range []polynet.BlockKind{polynet.ReLU, polynet.PiReLU, polynet.Pi1x1ReLU, polynet.PiTanh} {
		m := nettest.RandomModel(small(kind, 2, 0), nettest.Rand(1))
		nettest.SetStatistics(m)
		for _, order := range []int{5, 17} {
			if got := lastDifference(alongLine(m, nettest.Rand(2), order+1)); got < 10*rounding {
				t.Errorf("%s: the difference of order %d is %.3g roundings", kind, order, got)
			}
		}
	}
}
