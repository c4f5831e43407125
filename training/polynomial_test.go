package training

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// tensors are the coefficients of polynomials: of each output c, T[m][c] has dims^m values, those of the products
// z_i1·…·z_im for all i1 … im, the last one fastest. T[0][c] is the constant.
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

// TestDecompositionsAreTheirTensors compares blocks without the additions of their norms with the polynomials of
// high-order tensors that the papers' factors stand for, evaluated term by term.
func TestDecompositionsAreTheirTensors(t *testing.T) {
	const kernel, in, width, degree, frames = 2, 2, 3, 4, 5
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range []polynet.BlockKind{polynet.CCP, polynet.NCP, polynet.NCPSkip} {
			n, rng := newNetwork(blockProgram(kind, degree, in, width, kernel, 0, 1), d, false), nettest.Rand(3)
			weights := map[string][]float32{}
			for _, p := range n.params {
				values, name := nettest.Normals(rng, p.Value.Len()), strings.TrimPrefix(p.Name, "stages.0.0.")
				if len(p.Shape) == 1 {
					neutral(name, values)
				}
				weights[name] = values
				d.Upload(p.Value, values)
			}
			want := expand(kind, degree, width, weights)
			x := nettest.Normals(rng, frames*in)
			p := newPass(d, kernel, nil)
			y := rowsOf(d, n.forward(p, p.Input(x, 1, frames)).View)
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

// neutral sets what belongs to a norm so that it changes nothing, and factors to 1, but leaves what the papers have: β,
// ncp's B·b, and B₁·b₁, which ccp has in U₁.
func neutral(name string, values []float32) {
	nested := strings.HasPrefix(name, "nest") && strings.HasSuffix(name, ".bias")
	if nested || name == "out.norm.bias" || name == "norm1.weight" {
		return
	}
	set := float32(0)
	switch {
	case strings.HasSuffix(name, ".running_var"):
		set = 1 - polynet.NormEpsilon
	case strings.HasSuffix(name, ".weight"), strings.HasPrefix(name, "scale"):
		set = 1
	}
	for i := range values {
		values[i] = set
	}
}

// expand builds the tensors of a block from its factors.
func expand(kind polynet.BlockKind, degree, width int, weights map[string][]float32) tensors {
	factor := func(name string, n int) matrix { return matrix{weights[fmt.Sprintf(name+".weight", n)], width} }
	x := factor("conv%d", 1).times(constants(weights["norm1.weight"]))
	for n := 2; n <= degree; n++ {
		if kind == polynet.CCP {
			x = factor("conv%d", n).times(x).plus(x)
			continue
		}
		nested := factor("nest%d.conv", n).mix(x).plus(constants(weights[fmt.Sprintf("nest%d.norm.bias", n)]))
		next := factor("conv%d", n).times(nested)
		if kind == polynet.NCPSkip {
			next = next.plus(factor("skip%d.conv", n).mix(x))
		}
		x = next
	}
	return matrix{weights["out.conv.weight"], width}.mix(x).plus(constants(weights["out.norm.bias"]))
}
