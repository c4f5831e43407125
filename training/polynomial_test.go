package polynet

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// small returns a network of few blocks, whose degree is small enough for differences in float64.
func small(kind BlockKind, blocks, degree int) Config {
	return Config{
		Inputs: 3, Classes: 2, Block: kind, Degree: degree, Stem: Stem{Width: 4, Kernel: 2, Ahead: 1, Stride: 1},
		Stages: []Stage{{Width: 5, Blocks: blocks, Kernel: 3, Ahead: 1, Stride: 2}},
	}
}

func TestDegree(t *testing.T) {
	stages := func(kind BlockKind, degree int, blocks ...int) Config {
		c := small(kind, blocks[0], degree)
		for _, n := range blocks[1:] {
			c.Stages = append(c.Stages, Stage{Width: 5, Blocks: n, Kernel: 3, Stride: 1})
		}
		return c
	}
	for _, c := range []struct {
		net  Config
		says string
	}{
		{stages(Linear, 0, 3, 3), "polynomial of degree 1"},
		{stages(Pi, 0, 3, 5), "polynomial of degree 256"},
		{stages(Pi1x1, 0, 8, 8), "polynomial of degree 65536"},
		{stages(CCP, 2, 4), "polynomial of degree 16"},
		{stages(NCP, 3, 2, 1), "polynomial of degree 27"},
		{stages(NCPSkip, 16, 2), "polynomial of degree 256"},
		{stages(CCP, 16, 9, 9), "polynomial of degree 2^72"},
		{stages(CCP, 3, 30), "polynomial of degree above 2^47"}, // 3^30 = 2^47.5…
		{stages(RPoly, 0, 2), "polynomial of degree 4"},
		// P of the three blocks: 2; 4+2; 2·6 + (2+6); of the outputs: 2, 6, 20.
		{stages(DPoly, 0, 3), "polynomial of degree 20"},
		{stages(ReLU, 0, 2), "not a polynomial: ReLU"},
		{stages(PiReLU, 0, 2), "not a polynomial: ReLU"},
		{stages(Pi1x1ReLU, 0, 2), "not a polynomial: ReLU"},
		{stages(PiTanh, 0, 2), "not a polynomial: tanh"},
		{stages(RPoly, 0, 2, 2), "not a polynomial: instance norm, max-pooling"},
		{stages(DPoly, 0, 2, 2), "not a polynomial: instance norm, max-pooling"},
	} {
		if got := c.net.DescribeDegree(); got != c.says {
			t.Errorf("%s, degree %d, %d stages: %q, want %q", c.net.Block, c.net.Degree, len(c.net.Stages), got, c.says)
		}
	}
}

// alongALine returns a logit of the network, in float64, at so many points of a random line through normalised features, one
// step apart in all from −1 to 1.
func alongALine(n plainNet, rng *rand.Rand, points int) []float64 {
	const frames = 6
	draw := func(size float64) plainRows {
		x := make(plainRows, frames)
		for t := range x {
			for range n.m.Net.Inputs {
				x[t] = append(x[t], size*rng.NormFloat64())
			}
		}
		return x
	}
	from, direction := draw(1), draw(20) // far, where the highest power counts most
	values := make([]float64, points)
	for i := range values {
		at := 2*float64(i)/float64(points-1) - 1
		x := combine(from, direction, func(_ int, a, b float64) float64 { return a + at*b })
		logits := n.head(n.body(x))
		values[i] = logits.mean(0, len(logits)-1)[0]
	}
	return values
}

// difference returns the size of the values' last difference, relative to what rounding may make of the values.
func difference(values []float64) float64 {
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

// TestNetworksArePolynomials takes differences of the logits along random lines: those of an order above the degree vanish but
// for rounding, those of the degree do not. Networks that are said to be no polynomials have no degree in reach.
func TestNetworksArePolynomials(t *testing.T) {
	const rounding = 100 // of sums in the network, in units of the last place
	nets := []Config{
		small(Linear, 3, 0), small(Pi, 1, 0), small(Pi, 3, 0), small(Pi1x1, 2, 0), small(Pi1x1, 4, 0), small(RPoly, 2, 0), small(DPoly, 2, 0),
	}
	for _, kind := range []BlockKind{CCP, NCP, NCPSkip} {
		nets = append(nets, small(kind, 1, 2), small(kind, 1, 5), small(kind, 1, 16), small(kind, 2, 3))
	}
	for _, c := range nets {
		degree := int(c.PolynomialDegree().Int64())
		name := fmt.Sprintf("%s of %d blocks, degree %d", c.Block, c.Stages[0].Blocks, degree)
		for seed := range uint64(5) {
			m := randomModel(c, seeded(seed))
			m.settle()
			n, rng := plainNet{m}, seeded(seed+100)
			if got := difference(alongALine(n, rng, degree+2)); got > rounding {
				t.Errorf("%s: the difference of order %d is %.3g roundings", name, degree+1, got)
			}
			if got := difference(alongALine(n, rng, degree+1)); got < 10*rounding {
				t.Errorf("%s: the difference of order %d is %.3g roundings", name, degree, got)
			}
		}
	}
	for _, c := range []Config{small(ReLU, 2, 0), small(PiReLU, 2, 0), small(Pi1x1ReLU, 2, 0), small(PiTanh, 2, 0), tiny(RPoly), tiny(DPoly)} {
		m := randomModel(c, seeded(1))
		m.settle()
		for _, order := range []int{5, 17} {
			if got := difference(alongALine(plainNet{m}, seeded(2), order+1)); got < 10*rounding {
				t.Errorf("%s: the difference of order %d is %.3g roundings", c.Block, order, got)
			}
		}
	}
}

// tensors are the coefficients of polynomials: of each output c, T[m][c] has dims^m values, those of the products z_i1·…·z_im
// for all i1 … im, the last one fastest. T[0][c] is the constant.
type tensors [][][]float64

// evaluate sums up all terms for output c.
func (p tensors) evaluate(c int, z []float64) float64 {
	sum := 0.0
	for m, t := range p {
		for i, coefficient := range t[c] {
			term := coefficient
			for range m {
				term *= z[i%len(z)]
				i /= len(z)
			}
			sum += term
		}
	}
	return sum
}

// matrix is a factor: (rows, outputs).
type matrix struct {
	values  []float32
	outputs int
}

func (w matrix) at(i, c int) float64 { return float64(w.values[i*w.outputs+c]) }

// mix returns wᵀ·p.
func (w matrix) mix(p tensors) tensors {
	q := make(tensors, len(p))
	for m := range p {
		for c := range w.outputs {
			q[m] = append(q[m], make([]float64, len(p[m][0])))
			for k, t := range p[m] {
				for i, v := range t {
					q[m][c][i] += w.at(k, c) * v
				}
			}
		}
	}
	return q
}

// times returns (wᵀ·z)∘p.
func (w matrix) times(p tensors) tensors {
	dims := len(w.values) / w.outputs
	q := tensors{make([][]float64, w.outputs)}
	for c := range q[0] {
		q[0][c] = []float64{0}
	}
	for m := range p {
		q = append(q, nil)
		for c, t := range p[m] {
			product := make([]float64, 0, dims*len(t))
			for i := range dims {
				for _, v := range t {
					product = append(product, w.at(i, c)*v)
				}
			}
			q[m+1] = append(q[m+1], product)
		}
	}
	return q
}

// plus adds up polynomials.
func (p tensors) plus(q tensors) tensors {
	if len(p) < len(q) {
		p, q = q, p
	}
	for m := range q {
		for c, t := range q[m] {
			for i, v := range t {
				p[m][c][i] += v
			}
		}
	}
	return p
}

// constants returns polynomials of degree 0.
func constants(values []float32) tensors {
	p := tensors{nil}
	for _, v := range values {
		p[0] = append(p[0], []float64{float64(v)})
	}
	return p
}

// TestDecompositionsAreTheirTensors compares blocks without the additions of their norms with the polynomials of high-order tensors
// that the papers' factors stand for, evaluated term by term.
func TestDecompositionsAreTheirTensors(t *testing.T) {
	const kernel, in, width, degree, frames = 2, 2, 3, 4, 5
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range []BlockKind{CCP, NCP, NCPSkip} {
			b := &builder{kind: kind, degree: degree}
			b.begin("b")
			b.block(blockSpec{in: in, width: width, kernel: kernel, stride: 1}, input)
			g, rng := newGraph(&b.program), seeded(3)
			bind(d, g, rng)
			weights := map[string][]float32{}
			for _, p := range g.Params() {
				values := normals(rng, p.Size())
				if len(p.Shape) == 1 {
					neutral(p.Name, values)
				}
				weights[p.Name] = values
				d.Upload(p.Value, values)
			}
			want := expand(kind, degree, width, weights)
			x := normals(rng, frames*in)
			p := newPass(d, kernel, nil)
			y := rowsOf(d, g.Forward(p, p.Input(x, 1, frames)).View)
			for r := 1; r < frames; r++ {
				z := make([]float64, kernel*in)
				for i := range z {
					z[i] = float64(x[(r-1)*in+i])
				}
				for c := range width {
					want := want.evaluate(c, z)
					if got := float64(y[r*width+c]); math.Abs(got-want) > 1e-4*(1+math.Abs(want)) {
						t.Errorf("%s: output %d of row %d is %g, the tensors give %g", kind, c, r, got, want)
					}
				}
			}
		}
	})
}

// neutral sets what belongs to a norm so that it changes nothing, and factors to 1, but leaves what the papers have: β, ncp's B·b, and
// B₁·b₁, which ccp has in U₁.
func neutral(name string, values []float32) {
	nested := strings.HasPrefix(name, "b.nest") && strings.HasSuffix(name, ".bias")
	if nested || name == "b.out.norm.bias" || name == "b.norm1.weight" {
		return
	}
	set := float32(0)
	switch {
	case strings.HasSuffix(name, ".running_var"):
		set = 1 - NormEpsilon
	case strings.HasSuffix(name, ".weight"), strings.HasPrefix(name, "b.scale"):
		set = 1
	}
	for i := range values {
		values[i] = set
	}
}

// expand builds the tensors of a block from its factors.
func expand(kind BlockKind, degree, width int, weights map[string][]float32) tensors {
	factor := func(name string, n int) matrix { return matrix{weights[fmt.Sprintf("b."+name+".weight", n)], width} }
	x := factor("conv%d", 1).times(constants(weights["b.norm1.weight"]))
	for n := 2; n <= degree; n++ {
		if kind == CCP {
			x = factor("conv%d", n).times(x).plus(x)
			continue
		}
		nested := factor("nest%d.conv", n).mix(x).plus(constants(weights[fmt.Sprintf("b.nest%d.norm.bias", n)]))
		next := factor("conv%d", n).times(nested)
		if kind == NCPSkip {
			next = next.plus(factor("skip%d.conv", n).mix(x))
		}
		x = next
	}
	return matrix{weights["b.out.conv.weight"], width}.mix(x).plus(constants(weights["b.out.norm.bias"]))
}
