package polynet

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/polyphon/polyphon/device"
	"gonum.org/v1/gonum/mat"
)

// iterNorm centres its channels over the batch and whitens them in groups by an iterated inverse root of their covariance, then
// scales and shifts each one, times a factor: IterNorm (Huang et al., "Iterative normalization", 2019).
type iterNorm struct {
	width, group         int    // channels, and those of a group
	weight, bias, factor *Param // (width), (width), (1)
	mean                 *Param // running, (width)
	whitening            *Param // running: each group's matrix under the one before, (width, group)
}

// mostWhitened bounds the channels that are whitened together.
const mostWhitened = 64

// whitenedGroup returns how many of so many channels are whitened together: a divisor.
func whitenedGroup(width int) int {
	group := min(width, mostWhitened)
	for width%group != 0 {
		group--
	}
	return group
}

func newIterNorm(name string, width int, factor *Param) *iterNorm {
	group := whitenedGroup(width)
	return &iterNorm{
		width: width, group: group, factor: factor,
		weight: newVector(name+".weight", width, Undecayed, 1),
		bias:   newVector(name+".bias", width, Undecayed, 0),
		mean:   newVector(name+".running_mean", width, Running, 0),
		whitening: &Param{
			Name: name + ".running_whitening", Shape: []int{width, group}, Kind: Running, initial: identities(group),
		},
	}
}

func (n *iterNorm) Params() []*Param {
	return []*Param{n.weight, n.bias, n.mean, n.whitening, n.factor}
}

func (n *iterNorm) forward(p *Pass, x, skip Activation, relu bool) Activation {
	if !p.Train {
		return n.finish(p, n.whiten(p, n.centred(p, x, n.mean.Value), n.whitening.Value), skip, relu)
	}
	if x.Count() < 2 {
		panic(fmt.Sprintf("polynet: %s: statistics of a batch of one row, %v", n.weight.Name, x.View))
	}
	mean, variance := p.vector(n.width), p.vector(n.width)
	p.dev.Moments(mean, variance, x.View, device.View{})
	p.dev.EMAUpdate(n.mean.Value, mean, normMomentum)
	xc := n.centred(p, x, mean)
	squares := p.vector(n.width * n.group) // sums of products over the rows
	p.dev.Fill(device.Matrix(squares, n.width, n.group), 0)
	for g := 0; g < n.width; g += n.group {
		p.dev.MatMulTransA(n.matrix(squares, g), n.columns(xc, g), n.columns(xc, g))
	}
	whitening := p.vector(n.width * n.group)
	p.dev.Upload(whitening, n.each(p, squares, func(_ int, squares *mat.Dense) *mat.Dense {
		w, _ := newtonWhitening(covariance(squares, x.Count()))
		return w
	}))
	p.dev.EMAUpdate(n.whitening.Value, whitening, normMomentum)
	xn := n.whiten(p, xc, whitening)
	p.save(record{x: xc, y: xn, variance: squares})
	y := n.finish(p, xn, skip, relu)
	p.save(record{y: y})
	return y
}

// centred returns x − mean.
func (n *iterNorm) centred(p *Pass, x Activation, mean device.Buffer) Activation {
	y, c := p.plainLike(x), p.vector(n.width)
	n.negative(p, c, mean, 1)
	p.dev.Affine(y.View, x.View, device.View{}, device.Buffer{}, device.Buffer{}, c, false)
	return y
}

// negative sets c to −v/count.
func (n *iterNorm) negative(p *Pass, c, v device.Buffer, count int) {
	values := download(p.dev, v)
	for i := range values {
		values[i] /= -float32(count)
	}
	p.dev.Upload(c, values)
}

// whiten returns the rows of xc, each group of channels multiplied by its matrix.
func (n *iterNorm) whiten(p *Pass, xc Activation, whitening device.Buffer) Activation {
	y := p.plainLike(xc)
	for g := 0; g < n.width; g += n.group {
		w := p.matrix(n.group, n.group)
		p.dev.Transpose(w, device.Matrix(n.matrix(whitening, g), n.group, n.group), false)
		p.dev.MatMul(n.columns(y, g), n.columns(xc, g), p.pack(w.Data, n.group, n.group), device.Epilogue{})
	}
	return y
}

// finish scales and shifts the whitened rows.
func (n *iterNorm) finish(p *Pass, xn, skip Activation, relu bool) Activation {
	k, y := n.affine(p), p.like(xn)
	p.dev.Affine(y.View, xn.View, skip.View, k.Scale, device.Buffer{}, k.Shift, relu)
	return y
}

// affine returns the scale and shift, as those of a norm of values that have the variance 1 already.
func (n *iterNorm) affine(p *Pass) device.Norm {
	k := device.Norm{
		Gamma: n.weight.Value, Beta: n.bias.Value, Alpha: n.factor.Value,
		DGamma: n.weight.Grad, DBeta: n.bias.Grad, DAlpha: n.factor.Grad,
		Mean: p.vector(n.width), Var: p.vector(n.width), Scale: p.vector(n.width), Shift: p.vector(n.width),
	}
	p.dev.Fill(device.Matrix(k.Mean, 1, n.width), 0)
	p.dev.Fill(device.Matrix(k.Var, 1, n.width), 1)
	p.dev.NormForward(k, 0, 0, 1)
	return k
}

func (n *iterNorm) backward(p *Pass, dy Activation, r record) Activation {
	saved := p.restore()
	xc, xn, dx := saved.x, saved.y, r.y
	k, none := n.affine(p), device.Buffer{}
	sum, dot := p.vector(n.width), p.vector(n.width)
	p.dev.GradSums(sum, dot, dy.View, xn.View, device.View{})
	p.dev.NormBackward(k, sum, dot, p.vector(n.width), p.vector(n.width), p.vector(n.width), 0, dy.Count())
	dxn := p.plainLike(dy)
	p.dev.Affine(dxn.View, dy.View, device.View{}, k.Scale, none, none, false)
	outer := p.vector(n.width * n.group)
	p.dev.Fill(device.Matrix(outer, n.width, n.group), 0)
	for g := 0; g < n.width; g += n.group {
		p.dev.MatMulTransA(n.matrix(outer, g), n.columns(xc, g), n.columns(dxn, g))
	}
	gradients := n.matrices(p, outer)
	whitening, spread := p.vector(n.width*n.group), p.vector(n.width*n.group)
	spreads := make([]float32, 0, spread.Len())
	p.dev.Upload(whitening, n.each(p, saved.variance, func(i int, squares *mat.Dense) *mat.Dense {
		sigma := covariance(squares, dy.Count())
		w, powers := newtonWhitening(sigma)
		spreads = appendSingles(spreads, covarianceGradient(sigma, powers, gradients[i].T(), dy.Count()))
		return w
	}))
	p.dev.Upload(spread, spreads)
	for g := 0; g < n.width; g += n.group {
		// Through the product with the matrix, and through the matrix.
		p.dev.MatMul(n.columns(dx, g), n.columns(dxn, g), p.pack(n.matrix(whitening, g), n.group, n.group), device.Epilogue{})
		p.dev.MatMul(n.columns(dx, g), n.columns(xc, g), p.pack(n.matrix(spread, g), n.group, n.group), device.Epilogue{Accumulate: true})
	}
	p.dev.GradSums(sum, none, dx.View, device.View{}, device.View{})
	n.negative(p, dot, sum, dy.Count())
	p.dev.Affine(dx.View, dx.View, device.View{}, none, none, dot, false)
	return dx
}

// columns returns the channels of the group that begins at g.
func (n *iterNorm) columns(x Activation, g int) device.View {
	v := x.View
	v.Data, v.Cols = v.Data.Slice(g, v.Data.Len()), n.group
	return v
}

// matrix returns the group's matrix among all.
func (n *iterNorm) matrix(b device.Buffer, g int) device.Buffer {
	return b.Slice(g*n.group, (g+n.group)*n.group)
}

// matrices returns the groups' matrices in float64.
func (n *iterNorm) matrices(p *Pass, b device.Buffer) []*mat.Dense {
	var list []*mat.Dense
	values, size := download(p.dev, b), n.group*n.group
	for ; len(values) > 0; values = values[size:] {
		m := mat.NewDense(n.group, n.group, nil)
		for i, v := range values[:size] {
			m.Set(i/n.group, i%n.group, float64(v))
		}
		list = append(list, m)
	}
	return list
}

// each returns what f makes of the groups' matrices.
func (n *iterNorm) each(p *Pass, b device.Buffer, f func(i int, m *mat.Dense) *mat.Dense) []float32 {
	var all []float32
	for i, m := range n.matrices(p, b) {
		all = appendSingles(all, f(i, m))
	}
	return all
}

func appendSingles(list []float32, m *mat.Dense) []float32 {
	for _, v := range m.RawMatrix().Data {
		list = append(list, float32(v))
	}
	return list
}

// identities is an initialisation with identity matrices.
func identities(size int) func([]float32, *rand.Rand) {
	return func(dst []float32, _ *rand.Rand) {
		for i := range dst {
			dst[i] = 0
			if i/size%size == i%size {
				dst[i] = 1
			}
		}
	}
}

// covariance returns that of centred values, of which squares are the sums of products over so many rows.
func covariance(squares *mat.Dense, rows int) *mat.Dense {
	sigma := new(mat.Dense)
	sigma.Scale(1/float64(rows), squares)
	return plusDiagonal(sigma, NormEpsilon)
}

func plusDiagonal(m *mat.Dense, v float64) *mat.Dense {
	for i := range m.RawMatrix().Rows {
		m.Set(i, i, m.At(i, i)+v)
	}
	return m
}

// newtonSteps is how often the inverse root is improved.
const newtonSteps = 5

// newtonWhitening returns nearly the inverse root of sigma: by Newton's iteration P ← 1.5·P − 0.5·P³·S from the identity on, S being
// sigma over its trace, and P over the root of the trace in the end. The P are returned, too.
func newtonWhitening(sigma *mat.Dense) (w *mat.Dense, powers []*mat.Dense) {
	size, trace := sigma.RawMatrix().Rows, mat.Trace(sigma)
	s := new(mat.Dense)
	s.Scale(1/trace, sigma)
	p := plusDiagonal(mat.NewDense(size, size, nil), 1)
	powers = append(powers, p)
	for range newtonSteps {
		cube, next := new(mat.Dense), new(mat.Dense)
		cube.Mul(p, p)
		cube.Mul(cube, p)
		next.Mul(cube, s)
		next.Apply(func(i, j int, v float64) float64 { return 1.5*p.At(i, j) - 0.5*v }, next)
		p = next
		powers = append(powers, p)
	}
	w = new(mat.Dense)
	w.Scale(1/math.Sqrt(trace), p)
	return w, powers
}

// covarianceGradient returns what the centred rows are multiplied with for the gradient that reaches them through the covariance:
// its gradient and that one's transpose over the number of rows. dw is the gradient with respect to newtonWhitening's result.
func covarianceGradient(sigma *mat.Dense, powers []*mat.Dense, dw mat.Matrix, rows int) *mat.Dense {
	rate := 1 / mat.Trace(sigma)
	s, g, ds := new(mat.Dense), new(mat.Dense), new(mat.Dense)
	s.Scale(rate, sigma)
	g.Scale(math.Sqrt(rate), dw)
	ds.Scale(0, sigma)
	var term mat.Dense
	for k := newtonSteps - 1; k >= 0; k-- {
		p := powers[k]
		square, cube, ps, squareS := new(mat.Dense), new(mat.Dense), new(mat.Dense), new(mat.Dense)
		square.Mul(p, p)
		cube.Mul(square, p)
		ps.Mul(p, s)
		squareS.Mul(p, ps)
		term.Mul(cube.T(), g)
		ds.Apply(func(i, j int, v float64) float64 { return v - 0.5*term.At(i, j) }, ds)
		var a, b, c mat.Dense // the gradients with respect to the three factors P
		a.Mul(g, squareS.T())
		b.Mul(p.T(), g)
		b.Mul(&b, ps.T())
		c.Mul(square.T(), g)
		c.Mul(&c, s.T())
		next := new(mat.Dense)
		next.Apply(func(i, j int, v float64) float64 { return 1.5*v - 0.5*(a.At(i, j)+b.At(i, j)+c.At(i, j)) }, g)
		g = next
	}
	// The trace counts in S and in the result.
	last, drate := powers[newtonSteps], 0.0
	for i := range sigma.RawMatrix().Rows {
		for j := range sigma.RawMatrix().Cols {
			drate += ds.At(i, j)*sigma.At(i, j) + dw.At(i, j)*last.At(i, j)*0.5/math.Sqrt(rate)
		}
	}
	ds.Scale(rate, ds)
	plusDiagonal(ds, -rate*rate*drate)
	both := new(mat.Dense)
	both.Add(ds, ds.T())
	both.Scale(1/float64(rows), both)
	return both
}
