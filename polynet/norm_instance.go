package polynet

import "github.com/polyphon/polyphon/device"

// splitNorm normalises the first channels over each clip (instance norm, Ulyanov et al., 2016) and the others over the batch: IBN
// (Pan et al., 2018).
type splitNorm struct {
	width, split int
	weight, bias *Param // of the first channels, (split)
	batch        *batchNorm
}

func newSplitNorm(name string, width, split int) *splitNorm {
	return &splitNorm{
		width: width, split: split,
		weight: newVector(name+".instance.weight", split, Undecayed, 1),
		bias:   newVector(name+".instance.bias", split, Undecayed, 0),
		batch:  newBatchNorm(name+".batch", width-split),
	}
}

func (n *splitNorm) Params() []*Param { return append([]*Param{n.weight, n.bias}, n.batch.Params()...) }

func (n *splitNorm) forward(p *Pass, x, skip Activation, relu bool) Activation {
	y := p.like(x)
	mean, variance := p.vector(x.Groups*n.split), p.vector(x.Groups*n.split)
	k := device.Norm{
		Gamma: n.weight.Value, Beta: n.bias.Value, Scale: p.vector(n.split), Shift: p.vector(n.split),
	}
	for g := range x.Groups {
		k.Mean, k.Var = mean.Slice(g*n.split, (g+1)*n.split), variance.Slice(g*n.split, (g+1)*n.split)
		normaliseClip(p.dev, k, n.part(y, g), n.part(x, g), n.part(skip, g), relu)
	}
	p.save(record{mean: mean, variance: variance})
	n.batch.forwardInto(p, n.rest(y), n.rest(x), n.rest(skip), relu)
	p.save(record{x: x, y: y})
	return y
}

// normaliseClip computes y = norm(x) (+ skip) by x's own statistics, which it leaves in k.
func normaliseClip(d device.Trainer, k device.Norm, y, x, skip device.View, relu bool) {
	d.Moments(k.Mean, k.Var, x, device.View{})
	d.NormForward(k, NormEpsilon, 0, x.Count())
	d.Affine(y, x, skip, k.Scale, device.Buffer{}, k.Shift, relu)
}

func (n *splitNorm) backward(p *Pass, dy Activation, r record) Activation {
	n.batch.backward(p, n.rest(dy), p.restore())
	moments := p.restore()
	k := device.Norm{Gamma: n.weight.Value, Beta: n.bias.Value, DGamma: n.weight.Grad, DBeta: n.bias.Grad}
	sum, dot := p.vector(n.split), p.vector(n.split)
	a, b, c := p.vector(n.split), p.vector(n.split), p.vector(n.split)
	for g := range dy.Groups {
		dy, x := n.part(dy, g), n.part(r.x, g)
		k.Mean, k.Var = moments.mean.Slice(g*n.split, (g+1)*n.split), moments.variance.Slice(g*n.split, (g+1)*n.split)
		p.dev.GradSums(sum, dot, dy, x, device.View{})
		p.dev.NormBackward(k, sum, dot, a, b, c, NormEpsilon, dy.Count())
		p.dev.Affine(n.part(r.y, g), dy, x, a, b, c, false)
	}
	return r.y
}

// part returns clip g's first channels, or nothing of nothing.
func (n *splitNorm) part(x Activation, g int) device.View {
	if x.Empty() {
		return device.View{}
	}
	return clipColumns(x.View, g, n.split)
}

// clipColumns returns the first columns of clip g.
func clipColumns(v device.View, g, columns int) device.View {
	v.Data, v.Groups, v.Cols = v.Data.Slice(g*v.GroupStride, v.Data.Len()), 1, columns
	return v
}

// rest returns the channels that are not split off.
func (n *splitNorm) rest(x Activation) Activation {
	if x.Empty() {
		return x
	}
	v := x.View
	v.Data, v.Cols = v.Data.Slice(n.split, v.Data.Len()), v.Cols-n.split
	return Activation{View: v}
}
