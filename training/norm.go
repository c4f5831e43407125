package polynet

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
)

// NormEpsilon is what every norm adds to the variance before the square root, as PyTorch does. It is part of the model
// format.
const NormEpsilon = 1e-5

// normMomentum is the share of the newest batch in a norm's running statistics, as in PyTorch.
const normMomentum = 0.1

// batchNorm normalises each channel over all rows of the batch, then scales and shifts it (Ioffe and Szegedy, 2015);
// with factor, all of that is multiplied by one more learned value, the product's a.
type batchNorm struct {
	width        int
	weight, bias *Param // (width)
	factor       *Param // (1), optional
	mean         *Param // running mean, (width)
	variance     *Param // running variance, (width)
}

func newBatchNorm(name string, width int) *batchNorm {
	return &batchNorm{
		width:    width,
		weight:   newVector(name+".weight", width, Undecayed, 1),
		bias:     newVector(name+".bias", width, Undecayed, 0),
		mean:     newVector(name+".running_mean", width, Running, 0),
		variance: newVector(name+".running_var", width, Running, 1),
	}
}

// newVector returns a parameter of one value a channel.
func newVector(name string, width int, kind ParamKind, v float32) *Param {
	return &Param{Name: name, Shape: []int{width}, Kind: kind, initial: constant(v)}
}

func (n *batchNorm) Params() []*Param {
	params := []*Param{n.weight, n.bias, n.mean, n.variance}
	if n.factor != nil {
		params = append(params, n.factor)
	}
	return params
}

func (n *batchNorm) forward(p *Pass, x, skip Activation, relu bool) Activation {
	y := p.like(x)
	n.forwardInto(p, y, x, skip, relu)
	return y
}

// forwardInto is forward into memory of x's shape.
func (n *batchNorm) forwardInto(p *Pass, y, x, skip Activation, relu bool) {
	k := n.statistics(p, x.View, device.View{})
	p.dev.Affine(y.View, x.View, skip.View, k.Scale, device.Buffer{}, k.Shift, relu)
	p.save(record{x: x, y: y, mean: k.Mean, variance: k.Var})
}

// backward leaves dy as it is.
func (n *batchNorm) backward(p *Pass, dy Activation, r record) Activation {
	a, b, c := n.gradients(p, dy.View, r.x.View, device.View{}, r)
	p.dev.Affine(r.y.View, dy.View, r.x.View, a, b, c, false)
	return r.y
}

// statistics returns the norm over x, or over x∘y where y is given, with its scale and shift: by the batch's statistics
// in training, which also move the running ones, by the running ones otherwise.
func (n *batchNorm) statistics(p *Pass, x, y device.View) device.Norm {
	k := n.kernel()
	k.Scale, k.Shift = p.vector(n.width), p.vector(n.width)
	if !p.Train {
		k.Mean, k.Var = n.mean.Value, n.variance.Value
		p.dev.NormForward(k, NormEpsilon, 0, x.Count())
		return k
	}
	if x.Count() < 2 {
		panic(fmt.Sprintf("polynet: %s: statistics of a batch of one row, %v", n.weight.Name, x))
	}
	k.Mean, k.Var = p.vector(n.width), p.vector(n.width)
	k.RunMean, k.RunVar = n.mean.Value, n.variance.Value
	p.dev.Moments(k.Mean, k.Var, x, y)
	p.dev.NormForward(k, NormEpsilon, normMomentum, x.Count())
	return k
}

// gradients adds the parameters' gradients and returns the coefficients of dz = a∘dy + b∘z + c, where z is x, or x∘y
// where y is given, and r holds z's mean and variance.
func (n *batchNorm) gradients(p *Pass, dy, x, y device.View, r record) (a, b, c device.Buffer) {
	sum, dot := p.vector(n.width), p.vector(n.width)
	p.dev.GradSums(sum, dot, dy, x, y)
	k := n.kernel()
	k.Mean, k.Var = r.mean, r.variance
	a, b, c = p.vector(n.width), p.vector(n.width), p.vector(n.width)
	p.dev.NormBackward(k, sum, dot, a, b, c, NormEpsilon, dy.Count())
	return a, b, c
}

// kernel returns the norm's parameters in the device's terms.
func (n *batchNorm) kernel() device.Norm {
	k := device.Norm{
		Gamma: n.weight.Value, Beta: n.bias.Value,
		DGamma: n.weight.Grad, DBeta: n.bias.Grad,
	}
	if n.factor != nil {
		k.Alpha, k.DAlpha = n.factor.Value, n.factor.Grad
	}
	return k
}
