package compress

import (
	"math"

	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// estimate returns what measure does, from the weights alone: norms say the mean and the variance of what they give,
// and the cosines of a convolution's filters stand for its correlations, as if its input were white noise. Terms of a
// sum and factors of a product count as independent, and what is rectified as normally distributed.
func (c *channels) estimate(m *polynet.Model) map[polynet.Tensor]*moments {
	tensors := make([]*moments, len(c.of))
	tensors[polynet.Input] = newMoments(c.p.Inputs)
	for i := range c.p.Inputs {
		tensors[polynet.Input].cov.SetSym(i, i, 1)
	}
	for i := range c.p.Steps {
		s := &c.p.Steps[i]
		x := tensors[s.X]
		y := x // of the steps that change little
		switch s.Op {
		case polynet.OpConv:
			y = convolved(m.Weights, s, x)
			f := y
			if s.HasProduct() {
				y = normed(m.Weights, s.ProductNorm, times(f, tensors[s.Skip], 0)).plus(f)
			}
			if s.Skip != polynet.NoTensor {
				y = y.plus(tensors[s.Skip])
			}
			if s.Add != polynet.NoTensor {
				y = y.plus(tensors[s.Add])
			}
			if s.ReLU {
				y = y.rectified()
			}
		case polynet.OpDepthwise:
			y = normed(m.Weights, s.Norm, &moments{x.mean, hadamard(x.cov, filterCosines(m.Weights, s))})
		case polynet.OpProduct:
			shift := 0.0
			if s.Plus {
				shift = 1
			}
			y = times(x, tensors[s.Y], shift)
		}
		tensors[polynet.Output(i)] = y
	}
	all := map[polynet.Tensor]*moments{}
	for _, g := range c.groups {
		for _, t := range g.read {
			all[t] = tensors[t]
		}
	}
	return all
}

// convolved returns the moments of a convolution's norm, or of the convolution where it has none.
func convolved(w polynet.Weights, s *polynet.Step, x *moments) *moments {
	if s.Norm.Name != "" {
		return normed(w, s.Norm, &moments{make([]float64, s.Width), filterCosines(w, s)})
	}
	weight := mat.NewDense(s.In, s.Width, toFloat64(values(w, s.Weight)[:s.In*s.Width]))
	y := newMoments(s.Width)
	mat.NewVecDense(s.Width, y.mean).MulVec(weight.T(), mat.NewVecDense(s.In, x.mean))
	var half, full mat.Dense
	half.Mul(x.cov, weight)
	full.Mul(weight.T(), &half)
	for i := range s.Width {
		for j := range i + 1 {
			y.cov.SetSym(i, j, full.At(i, j))
		}
	}
	return y
}

// normed returns the moments of a batch norm of x, of which only the correlations count.
func normed(w polynet.Weights, n polynet.Norm, x *moments) *moments {
	weight, bias, factor := values(w, n.Name+".weight"), values(w, n.Name+".bias"), 1.0
	if n.Factor != "" {
		factor = float64(values(w, n.Factor)[0])
	}
	y := newMoments(len(weight))
	for i := range weight {
		y.mean[i] = factor * float64(bias[i])
		for j := range i + 1 {
			if scale := math.Sqrt(x.cov.At(i, i) * x.cov.At(j, j)); scale > 0 {
				y.cov.SetSym(i, j, factor*factor*float64(weight[i])*float64(weight[j])*x.cov.At(i, j)/scale)
			}
		}
	}
	return y
}

// filterCosines returns the cosines of the angles between a convolution's filters.
func filterCosines(w polynet.Weights, s *polynet.Step) *mat.SymDense {
	weight := mat.NewDense(s.Kernel*s.In, s.Width, toFloat64(values(w, s.Weight)))
	var cosines mat.SymDense
	cosines.SymOuterK(1, weight.T())
	lengths := make([]float64, s.Width)
	for i := range lengths {
		lengths[i] = math.Sqrt(cosines.At(i, i))
	}
	for i := range lengths {
		for j := range i + 1 {
			if scale := lengths[i] * lengths[j]; scale > 0 {
				cosines.SetSym(i, j, cosines.At(i, j)/scale)
			}
		}
	}
	return &cosines
}

// plus returns the moments of the sum of independent values.
func (m *moments) plus(o *moments) *moments {
	y := newMoments(len(m.mean))
	for i := range y.mean {
		y.mean[i] = m.mean[i] + o.mean[i]
	}
	y.cov.AddSym(m.cov, o.cov)
	return y
}

// times returns the moments of a∘(b + shift) where a and b are independent.
func times(a, b *moments, shift float64) *moments {
	y := newMoments(len(a.mean))
	for i := range y.mean {
		bi := b.mean[i] + shift
		y.mean[i] = a.mean[i] * bi
		for j := range i + 1 {
			ca, cb := a.cov.At(i, j), b.cov.At(i, j)
			y.cov.SetSym(i, j, ca*cb+ca*bi*(b.mean[j]+shift)+cb*a.mean[i]*a.mean[j])
		}
	}
	return y
}

// rectified returns the moments of max(y, 0), with y's correlations.
func (m *moments) rectified() *moments {
	y := newMoments(len(m.mean))
	scale := make([]float64, len(m.mean)) // of a deviation
	for i, mean := range m.mean {
		sigma := math.Sqrt(m.cov.At(i, i))
		if sigma == 0 {
			y.mean[i] = max(mean, 0)
			continue
		}
		p, q := distuv.UnitNormal.CDF(mean/sigma), distuv.UnitNormal.Prob(mean/sigma)
		y.mean[i] = mean*p + sigma*q
		variance := (mean*mean+sigma*sigma)*p + mean*sigma*q - y.mean[i]*y.mean[i]
		scale[i] = math.Sqrt(max(0, variance)) / sigma
	}
	for i := range scale {
		for j := range i + 1 {
			y.cov.SetSym(i, j, scale[i]*scale[j]*m.cov.At(i, j))
		}
	}
	return y
}

// hadamard returns a∘b.
func hadamard(a, b *mat.SymDense) *mat.SymDense {
	n := a.SymmetricDim()
	y := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			y.SetSym(i, j, a.At(i, j)*b.At(i, j))
		}
	}
	return y
}

// values returns a weight's values.
func values(w polynet.Weights, name string) []float32 { return w[name].Data().([]float32) }

func toFloat64(values []float32) []float64 {
	list := make([]float64, len(values))
	for i, v := range values {
		list[i] = float64(v)
	}
	return list
}
