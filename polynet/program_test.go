package polynet_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// TestWeightsKeepTheirOrder holds the order that checkpoints and seeds depend on.
func TestWeightsKeepTheirOrder(t *testing.T) {
	for kind, want := range map[polynet.BlockKind][]string{
		polynet.Pi: {"conv1", "norm1", "conv2", "norm2", "skip.conv", "skip.norm", "product.norm", "product.scale"},
		polynet.Pi1x1: {
			"conv1", "norm1", "conv2", "norm2", "skip.conv", "skip.norm", "product.conv", "product.norm", "product.scale",
		},
		polynet.CCP: {"conv1", "norm1", "conv2", "norm2", "scale2", "conv3", "norm3", "scale3", "out.conv", "out.norm"},
		polynet.Star: {
			"front.conv", "front.norm", "depthwise.conv", "depthwise.norm", "a.conv", "a.norm", "b.conv", "b.norm",
			"out.conv", "out.norm",
		},
		polynet.Mu: {
			"front.conv", "front.norm", "depthwise.conv", "depthwise.norm",
			"time.a.conv", "time.a.norm", "time.low", "time.b.conv", "time.b.norm",
			"time.out.conv", "time.out.norm", "mix.a.conv", "mix.a.norm", "mix.low",
			"mix.b.conv", "mix.b.norm", "mix.out.conv", "mix.out.norm",
		},
		polynet.NCPSkip: {
			"conv1", "norm1", "conv2", "norm2", "nest2.conv", "nest2.norm", "skip2.conv", "skip2.norm",
			"conv3", "norm3", "nest3.conv", "nest3.norm", "skip3.conv", "skip3.norm", "out.conv", "out.norm",
		},
	} {
		var layers []string
		for _, w := range nettest.Tiny(kind).Program().Weights {
			if name, ok := strings.CutPrefix(w.Name, "stages.1.0."); ok {
				if i := strings.LastIndex(name, "."); i >= 0 && !strings.HasSuffix(name, "scale") {
					name = name[:i]
				}
				layers = append(layers, name)
			}
		}
		if layers = slices.Compact(layers); !slices.Equal(layers, want) {
			t.Errorf("%s: %v, want %v", kind, layers, want)
		}
	}
}

// TestProgramsAreWellFormed checks what Program and Step promise, for programs as built and as rewritten.
func TestProgramsAreWellFormed(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		c := nettest.Tiny(kind)
		c.Dropout = 0.1
		m := nettest.RandomModel(c, nettest.Rand(1))
		built := c.Program()
		rewritten, weights, err := m.Inference()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*polynet.Program{built, rewritten} {
			names := map[string]bool{}
			for i := range p.Steps {
				s := &p.Steps[i]
				if s.Name == "" || names[s.Name] || s.Width < 1 || s.X == polynet.NoTensor {
					t.Errorf("%s: step %d is %+v", kind, i, s)
				}
				names[s.Name] = true
				for _, x := range s.Operands() {
					if x >= polynet.Output(i) {
						t.Errorf("%s: %s reads a later tensor", kind, s.Name)
					}
				}
			}
			for x, last := range p.LastUses()[polynet.Input:] {
				if last <= x-1 {
					t.Errorf("%s: nothing reads tensor %d", kind, x+1)
				}
			}
			for _, w := range p.Weights {
				if want := len(w.Shape) > 1; p == built && (w.Kind == polynet.Decayed) != want {
					t.Errorf("%s: %s is decayed: %t, want %t", kind, w.Name, !want, want)
				}
			}
		}
		if err := rewritten.Check(weights); err != nil {
			t.Errorf("%s: the folded weights: %v", kind, err)
		}
	}
}

// TestRewrittenProgramsComputeTheSame compares in float64: dropping the steps of training changes nothing, and folding
// norms no more than float32 rounds the folded weights.
func TestRewrittenProgramsComputeTheSame(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		for _, c := range nettest.Configs(kind) {
			c.Dropout = 0.2
			m := nettest.RandomModel(c, nettest.Rand(3))
			nettest.SetStatistics(m)
			rows := nettest.Float64(nettest.Normals(nettest.Rand(4), 29*c.Inputs), c.Inputs)
			run := func(p *polynet.Program, w polynet.Weights) []float64 {
				return nettest.Plain{Program: p, Weights: w}.Run(rows)[0]
			}
			p := c.Program()
			want := run(p, m.Weights)
			dropped := p.DropTrainingSteps()
			if len(dropped.Steps) != len(p.Steps)-1 || !slices.Equal(run(dropped, m.Weights), want) {
				t.Errorf("%s: without steps of training the network computes something else", kind)
			}
			folded, weights := p.FoldNorms(m.Weights)
			fused, fusedWeights := folded.FuseProducts(weights)
			if err := fused.Check(fusedWeights); err != nil {
				t.Errorf("%s: the fused weights: %v", kind, err)
			}
			for p, weights := range map[*polynet.Program]polynet.Weights{
				folded: weights, folded.DropTrainingSteps(): weights, fused: fusedWeights,
			} {
				for i, v := range run(p, weights) {
					if e := math.Abs(v - want[i]); e > 1e-5*(1+math.Abs(want[i])) {
						t.Errorf("%s: folded, logit %d is %g, want %g", kind, i, v, want[i])
					}
				}
			}
			products := func(s polynet.Step) bool { return s.Op == polynet.OpProduct }
			star := kind == polynet.Star || kind == polynet.Mu
			if left := slices.ContainsFunc(fused.Steps, products); star && (left || fused.Degree().Cmp(p.Degree()) != 0) {
				t.Errorf("%s: products are left: %t; the fused program is a %s", kind, left, fused.DescribeDegree())
			}
		}
	}
}

// TestResidualsOfStarStartSmall holds the initial scales of the last norms, which halve every three blocks, whatever
// the stages.
func TestResidualsOfStarStartSmall(t *testing.T) {
	c := nettest.Tiny(polynet.Star)
	c.Stages[0].Blocks, c.Stages[1].Blocks = 2, 6
	var scales []float32
	for _, w := range c.Program().Weights {
		if strings.HasSuffix(w.Name, ".out.norm.weight") {
			scales = append(scales, w.Init)
		} else if strings.HasSuffix(w.Name, ".norm.weight") && w.Init != 1 {
			t.Errorf("%s starts at %g", w.Name, w.Init)
		}
	}
	if want := []float32{0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125}; !slices.Equal(scales, want) {
		t.Errorf("the scales start at %v, want %v", scales, want)
	}
}

func TestCostsOfStar(t *testing.T) {
	c := polynet.Config{
		Inputs: 40, Classes: 10, Block: polynet.Star, Stem: polynet.Stem{Width: 16, Kernel: 5, Ahead: 2, Stride: 1},
		Stages: []polynet.Stage{
			{Width: 16, Blocks: 1, Kernel: 9, Ahead: 4, Stride: 1}, {Width: 24, Blocks: 1, Kernel: 9, Ahead: 0, Stride: 2},
		},
	}
	const (
		stem   = 5 * 40 * 16
		first  = 9*16 + 3*4*16*16
		second = 3*16*24 + 9*24 + 3*4*24*24
		norms  = 2 * (16 + 16 + 2*64 + 16 + 24 + 24 + 2*96 + 24)
	)
	p := c.Program()
	if got, want := p.Parameters(), stem+first+second+norms+24*10+10; got != want {
		t.Errorf("%d parameters, want %d", got, want)
	}
	c.Expansion = 2
	const less = 3*2*(16*16+24*24) + 2*(2*2*16+2*2*24)
	if got, want := p.Parameters()-c.Program().Parameters(), less; got != want {
		t.Errorf("with an expansion of 2, %d parameters less, want %d", got, want)
	}
	if got, want := p.MACs(101), int64(101*(stem+first)+51*second+240); got != want {
		t.Errorf("%d multiply-adds, want %d", got, want)
	}
	if r, want := p.Reach(), (polynet.Geometry{Before: 2 + 4 + 2 + 16, After: 2 + 4, Stride: 2}); r != want {
		t.Errorf("it reaches %+v, want %+v", r, want)
	}
}

func TestCosts(t *testing.T) {
	c := polynet.Config{
		Inputs: 40, Classes: 10, Block: polynet.Pi1x1, Stem: polynet.Stem{Width: 16, Kernel: 5, Ahead: 2, Stride: 1},
		Stages: []polynet.Stage{{Width: 16, Blocks: 1, Kernel: 9, Stride: 1}, {Width: 24, Blocks: 1, Kernel: 9, Stride: 2}},
	}
	macs, parameters := int64(0), 0
	for _, part := range []struct {
		parameters int
		macs       int64
	}{
		{5*40*16 + 32, 101 * 5 * 40 * 16},                                                        // stem
		{2*9*16*16 + 16*16 + 3*32 + 1, 101 * 19 * 16 * 16},                                       // stage 0
		{9*16*24 + 9*24*24 + 16*24 + 24*24 + 4*48 + 1, 51 * (9*16*24 + 9*24*24 + 16*24 + 24*24)}, // stage 1
		{250, 240}, // head
	} {
		macs, parameters = macs+part.macs, parameters+part.parameters
	}
	p := c.Program()
	if p.MACs(101) != macs || p.Parameters() != parameters {
		t.Errorf("%d multiply-adds and %d parameters, want %d and %d", p.MACs(101), p.Parameters(), macs, parameters)
	}
}

func TestImpossibleConfigs(t *testing.T) {
	for says, change := range map[string]func(*polynet.Config){
		`stage 1: lookahead 4 of a kernel of 4`:  func(c *polynet.Config) { c.Stages[1].Ahead = 4 },
		`stem: stride 0`:                         func(c *polynet.Config) { c.Stem.Stride = 0 },
		`dropout 1`:                              func(c *polynet.Config) { c.Dropout = 1 },
		`unknown block kind "attention"`:         func(c *polynet.Config) { c.Block = "attention" },
		`blocks of the kind "rpoly" are retired`: func(c *polynet.Config) { c.Block = "rpoly" },
		`blocks of the kind "dpoly" are retired`: func(c *polynet.Config) { c.Block = "dpoly" },
		`ccp blocks of degree 1`:                 func(c *polynet.Config) { c.Block, c.Degree = polynet.CCP, 1 },
		`an expansion of 2 for pi blocks`:        func(c *polynet.Config) { c.Expansion = 2 },
		`star blocks of expansion 17`:            func(c *polynet.Config) { c.Block, c.Expansion = polynet.Star, 17 },
		`star blocks of expansion -1`:            func(c *polynet.Config) { c.Block, c.Expansion = polynet.Star, -1 },
		`a degree of 3 for pi blocks`:            func(c *polynet.Config) { c.Degree = 3 },
	} {
		c := nettest.Tiny(polynet.Pi)
		change(&c)
		if err := c.Validate(); !errors.Is(err, polynet.ErrConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want ErrConfig that says %q", err, says)
		}
	}
}

func TestSoftmax(t *testing.T) {
	p := []float64{1000, 1000 + 2*math.Ln2}
	if !polynet.Softmax(p, 2) || math.Abs(p[0]-1.0/3) > 1e-12 || math.Abs(p[1]-2.0/3) > 1e-12 {
		t.Errorf("probabilities %v, want 1/3 and 2/3", p)
	}
	for _, p := range [][]float64{{math.Inf(1), 0}, {math.NaN(), 0}, {math.Inf(-1), math.Inf(-1)}} {
		if polynet.Softmax(p, 1) {
			t.Errorf("%v are said to be finite", p)
		}
	}
}
