// Package nettest is what tests of networks share: small configurations, models of random weights, and Plain, which
// computes a network straight from its equations.
package nettest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// Rand returns the generator of a seed.
func Rand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// Normals returns n draws from the standard normal distribution.
func Normals(rng *rand.Rand, n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(rng.NormFloat64())
	}
	return values
}

// Near fails the test unless got is want up to tolerance, relative to want's largest value, and to the rounding of sums
// of a few dozen values near 1, which may cancel.
func Near(t testing.TB, name string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	largest, worst, at := 0.0, 0.0, 0
	for i, w := range want {
		largest = max(largest, math.Abs(float64(w)))
		if e := math.Abs(float64(got[i] - w)); !(e <= worst) {
			worst, at = e, i
		}
	}
	if !(worst <= tolerance*largest+6e-6) {
		t.Errorf("%s: value %d is %g, want %g (largest %g)", name, at, got[at], want[at], largest)
	}
}

// Degree returns a Config.Degree for the kind: 3 where it can be chosen, else 0.
func Degree(kind polynet.BlockKind) int {
	if kind.Decomposition() {
		return 3
	}
	return 0
}

// Tiny returns a small network with strides, a lookahead, even and odd kernels.
func Tiny(kind polynet.BlockKind) polynet.Config {
	return polynet.Config{
		Inputs: 6, Classes: 4, Block: kind, Degree: Degree(kind),
		Stem: polynet.Stem{Width: 8, Kernel: 5, Ahead: 2, Stride: 2},
		Stages: []polynet.Stage{
			{Width: 8, Blocks: 1, Kernel: 3, Ahead: 1, Stride: 1},
			{Width: 10, Blocks: 2, Kernel: 4, Ahead: 0, Stride: 2},
		},
	}
}

// Configs returns two networks in which every form of convolution and skip occurs, the second with inner widths.
func Configs(kind polynet.BlockKind) []polynet.Config {
	list := []polynet.Config{
		{
			Inputs: 7, Classes: 3, Block: kind, Degree: Degree(kind),
			Stem: polynet.Stem{Width: 5, Kernel: 4, Ahead: 1, Stride: 1},
			Stages: []polynet.Stage{
				{Width: 5, Blocks: 2, Kernel: 3, Ahead: 1, Stride: 1},
				{Width: 8, Blocks: 2, Kernel: 5, Ahead: 0, Stride: 2},
				{Width: 8, Blocks: 1, Kernel: 2, Ahead: 1, Stride: 3},
			},
		},
		{
			Inputs: 16, Classes: 4, Block: kind, Degree: Degree(kind),
			Stem: polynet.Stem{Width: 16, Kernel: 1, Ahead: 0, Stride: 2},
			Stages: []polynet.Stage{
				{Width: 16, Blocks: 1, Kernel: 9, Ahead: 8, Stride: 1}, {Width: 17, Blocks: 1, Kernel: 1, Stride: 1},
			},
		},
	}
	if kind == polynet.Star {
		list[1].Expansion = 3
	}
	list[1].Inner = inner(kind, len(list[1].Stages))
	return list
}

// inner returns inner widths of so many blocks, each another one.
func inner(kind polynet.BlockKind, blocks int) (widths [][]int) {
	each := 1
	switch kind {
	case polynet.NCP, polynet.NCPSkip:
		each = Degree(kind)
	case polynet.Mu:
		each = 4
	}
	for i := range blocks {
		widths = append(widths, nil)
		for k := range each {
			widths[i] = append(widths[i], 5+4*i+3*k)
		}
	}
	return widths
}

// RandomModel returns a valid model of network c with weights that make every term matter: norms that scale and shift,
// and product factors that are not 0.
func RandomModel(c polynet.Config, rng *rand.Rand) *polynet.Model {
	f := features.Default()
	f.Mels = c.Inputs
	m := &polynet.Model{
		Features: f, Window: 0.2, Net: c, Temperature: 1.5, Weights: polynet.Weights{},
		Provenance: polynet.Provenance{Command: "test", Seed: 7, Metrics: map[string]float64{"valid_accuracy": 12.5}},
	}
	for i := range c.Classes {
		m.Labels = append(m.Labels, fmt.Sprintf("label %d", i))
	}
	for range c.Inputs {
		m.Norm.Mean = append(m.Norm.Mean, -6+rng.Float32())
		m.Norm.Std = append(m.Norm.Std, 2+rng.Float32())
	}
	var fanIn, largest float64
	for _, w := range c.Program().Weights {
		fan := float64(w.Len()) / float64(w.Shape[len(w.Shape)-1])
		if w.Precision != polynet.Float32 {
			levels, most := make([]int8, w.Len()), 1
			if w.Precision == polynet.Int8 {
				most = polynet.MaxLevel
			}
			for i := range levels {
				levels[i] = int8(rng.IntN(2*most+1) - most)
			}
			fanIn, largest = fan, float64(most)
			m.Weights[w.Name] = tensor.New(tensor.WithShape(w.Shape...), tensor.WithBacking(levels))
			continue
		}
		values := make([]float32, w.Len())
		for i := range values {
			values[i] = 0.5 + rng.Float32() // of a norm: positive
			switch {
			case len(w.Shape) > 1:
				values[i] = float32(rng.NormFloat64() / math.Sqrt(fan))
			case strings.HasSuffix(w.Name, ".weight_scale"): // of the weight before it
				values[i] *= float32(math.Sqrt(3/fanIn) / largest)
			case strings.HasSuffix(w.Name, ".input_scale"):
				values[i] *= 4.0 / polynet.MaxLevel
			}
		}
		m.Weights[w.Name] = tensor.New(tensor.WithShape(w.Shape...), tensor.WithBacking(values))
	}
	if c.Block.Decomposition() || c.Block == polynet.Star || c.Block == polynet.Mu {
		SetStatistics(m)
	}
	return m
}

// SetStatistics sets the running statistics of m's norms to those of random rows. Without it, polynomials of high
// degrees grow beyond all bounds.
func SetStatistics(m *polynet.Model) {
	rows := Float64(Normals(Rand(2), 320*m.Net.Inputs), m.Net.Inputs)
	Plain{Program: m.Net.Program(), Weights: m.Weights, SetStatistics: true}.Run(rows)
}
