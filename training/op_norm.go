package training

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// normMomentum is the share of the newest batch in a norm's running statistics, as in PyTorch.
const normMomentum = 0.1

// batchNorm is the weights of a polynet.Norm. In training it normalises by the mean and variance of each channel over
// all rows of the batch.
type batchNorm struct {
	weight, bias, mean, variance *Param // (width); mean and variance are running ones
	factor                       *Param // (1), optional
}

// newBatchNorm returns nil for no norm.
func newBatchNorm(n polynet.Norm, params map[string]*Param) *batchNorm {
	if n.Name == "" {
		return nil
	}
	return &batchNorm{
		weight: params[n.Name+".weight"], bias: params[n.Name+".bias"],
		mean: params[n.Name+".running_mean"], variance: params[n.Name+".running_var"], factor: params[n.Factor],
	}
}

// forward returns the norm of x, plus skip where given, and of that max(·, 0) with relu.
func (n *batchNorm) forward(p *Pass, x, skip Activation, relu bool) Activation {
	y := p.activation(x.Groups, x.Rows, x.Cols)
	k := n.statistics(p, x.View, device.View{})
	p.dev.Affine(y.View, x.View, skip.View, k.Scale, device.Buffer{}, k.Shift, relu)
	p.save(saved{x: x, y: y, mean: k.Mean, variance: k.Var})
	return y
}

// backward returns the gradient of forward's x, given that of the norm alone, which it leaves as it is. The result is
// in the memory of forward's output, which has the padding that a convolution's gradient needs.
func (n *batchNorm) backward(p *Pass, dy Activation, r saved) Activation {
	a, b, c := n.gradients(p, dy.View, r.x.View, device.View{}, r)
	p.dev.Affine(r.y.View, dy.View, r.x.View, a, b, c, false)
	return r.y
}

// statistics returns the norm over x, or over x∘y where y is given, with its scale and shift: by the batch's statistics
// in training, which also move the running ones, by the running ones otherwise.
func (n *batchNorm) statistics(p *Pass, x, y device.View) device.Norm {
	k := n.kernel()
	k.Scale, k.Shift = p.memory.alloc(x.Cols), p.memory.alloc(x.Cols)
	if !p.Train || p.frozen {
		k.Mean, k.Var = n.mean.Value, n.variance.Value
		p.dev.NormForward(k, polynet.NormEpsilon, 0, x.Count())
		return k
	}
	if x.Count() < 2 {
		panic(fmt.Sprintf("training: %s: statistics of a batch of one row, %v", n.weight.Name, x))
	}
	k.Mean, k.Var = p.memory.alloc(x.Cols), p.memory.alloc(x.Cols)
	k.RunMean, k.RunVar = n.mean.Value, n.variance.Value
	p.dev.Moments(k.Mean, k.Var, x, y)
	p.dev.NormForward(k, polynet.NormEpsilon, normMomentum, x.Count())
	return k
}

// gradients adds the parameters' gradients and returns the coefficients of dz = a∘dy + b∘z + c, where z is x, or x∘y
// where y is given, and r holds z's mean and variance. Of running statistics, which are constants, a is the scale and b
// and c are 0, and the parameters get no gradients.
func (n *batchNorm) gradients(p *Pass, dy, x, y device.View, r saved) (a, b, c device.Buffer) {
	if p.frozen {
		zero := p.matrix(1, x.Cols)
		p.dev.Fill(zero, 0)
		return n.statistics(p, x, y).Scale, zero.Data, zero.Data
	}
	sum, dot := p.memory.alloc(x.Cols), p.memory.alloc(x.Cols)
	p.dev.GradSums(sum, dot, dy, x, y)
	k := n.kernel()
	k.Mean, k.Var = r.mean, r.variance
	a, b, c = p.memory.alloc(x.Cols), p.memory.alloc(x.Cols), p.memory.alloc(x.Cols)
	p.dev.NormBackward(k, sum, dot, a, b, c, polynet.NormEpsilon, dy.Count())
	return a, b, c
}

// kernel returns the norm's parameters as the device's kernels take them.
func (n *batchNorm) kernel() device.Norm {
	k := device.Norm{Gamma: n.weight.Value, Beta: n.bias.Value, DGamma: n.weight.Grad, DBeta: n.bias.Grad}
	if n.factor != nil {
		k.Alpha, k.DAlpha = n.factor.Value, n.factor.Grad
	}
	return k
}
