package polynet

import (
	"fmt"
	"math"
)

// plainNet computes a network straight from the equations, in float64, without padding rows, folding or in-place work.
type plainNet struct{ m *Model }

type plainRows [][]float64

func (n plainNet) weight(name string) []float32 { return n.m.Weights[name].Data().([]float32) }

func (n plainNet) has(name string) bool { return n.m.Weights[name] != nil }

// conv computes y[t][o] = Σ over k, i of w[k][i][o]·x[t·stride − (kernel−1−ahead) + k][i].
func (n plainNet) conv(name string, x plainRows, ahead, stride int) plainRows {
	w := n.m.Weights[name+".weight"]
	kernel, in, out := w.Shape()[0], w.Shape()[1], w.Shape()[2]
	values := n.weight(name + ".weight")
	var y plainRows
	for t := 0; t < len(x); t += stride {
		row := make([]float64, out)
		for k := range kernel {
			at := t - (kernel - 1 - ahead) + k
			if at < 0 || at >= len(x) {
				continue
			}
			for i := range in {
				for o := range out {
					row[o] += float64(values[(k*in+i)*out+o]) * x[at][i]
				}
			}
		}
		y = append(y, row)
	}
	return y
}

func (n plainNet) norm(name string, x plainRows) plainRows {
	if n.has(name + ".instance.weight") {
		return n.splitNorm(name, x)
	}
	return combine(x, nil, func(c int, v, _ float64) float64 {
		deviation := math.Sqrt(float64(n.weight(name + ".running_var")[c]) + 1e-5)
		v = (v - float64(n.weight(name + ".running_mean")[c])) / deviation
		return v*float64(n.weight(name + ".weight")[c]) + float64(n.weight(name + ".bias")[c])
	})
}

// combine applies f to each channel and element of x, and y where given.
func combine(x, y plainRows, f func(c int, x, y float64) float64) plainRows {
	out := make(plainRows, len(x))
	for t := range x {
		out[t] = make([]float64, len(x[t]))
		for c := range x[t] {
			other := 0.0
			if y != nil {
				other = y[t][c]
			}
			out[t][c] = f(c, x[t][c], other)
		}
	}
	return out
}

func relu(x plainRows) plainRows {
	return combine(x, nil, func(_ int, v, _ float64) float64 { return max(v, 0) })
}

// splitNorm is IBN.
func (n plainNet) splitNorm(name string, x plainRows) plainRows {
	weight, bias := n.weight(name+".instance.weight"), n.weight(name+".instance.bias")
	split := len(weight)
	rest := make(plainRows, len(x))
	for t, row := range x {
		rest[t] = row[split:]
	}
	rest = n.norm(name+".batch", rest)
	mean := x.mean(0, len(x)-1)
	variance := combine(x, nil, func(c int, v, _ float64) float64 { return (v - mean[c]) * (v - mean[c]) }).mean(0, len(x)-1)
	return combine(x, nil, func(c int, v, _ float64) float64 { return v }).each(func(t, c int, v float64) float64 {
		if c >= split {
			return rest[t][c-split]
		}
		return (v-mean[c])/math.Sqrt(variance[c]+1e-5)*float64(weight[c]) + float64(bias[c])
	})
}

// whitened is IterNorm.
func (n plainNet) whitened(name string, x plainRows) plainRows {
	mean, whitening := n.weight(name+".running_mean"), n.weight(name+".running_whitening")
	weight, bias := n.weight(name+".weight"), n.weight(name+".bias")
	group := len(whitening) / len(mean)
	y := combine(x, nil, func(c int, v, _ float64) float64 { return v })
	return y.each(func(t, c int, _ float64) float64 {
		sum := 0.0
		for j := range group {
			from := c/group*group + j
			sum += float64(whitening[c*group+j]) * (x[t][from] - float64(mean[from]))
		}
		return sum*float64(weight[c]) + float64(bias[c])
	})
}

// each applies f to each element, in place.
func (x plainRows) each(f func(t, c int, v float64) float64) plainRows {
	for t, row := range x {
		for c, v := range row {
			row[c] = f(t, c, v)
		}
	}
	return x
}

func plus(x, y plainRows) plainRows {
	return combine(x, y, func(_ int, x, y float64) float64 { return x + y })
}

func times(x, y plainRows) plainRows {
	return combine(x, y, func(_ int, x, y float64) float64 { return x * y })
}

// scaled returns the rows times the learned scalar of the name.
func (n plainNet) scaled(name string, x plainRows) plainRows {
	a := float64(n.weight(name)[0])
	return combine(x, nil, func(_ int, v, _ float64) float64 { return a * v })
}

// rectified is max(x, 0) where the kind has it.
func (n plainNet) rectified(x plainRows) plainRows {
	if k := n.m.Net.Block; k == ReLU || k == PiReLU || k == Pi1x1ReLU {
		return relu(x)
	}
	return x
}

// maxOfThree returns the largest of each row and its neighbours.
func maxOfThree(x plainRows) plainRows {
	return combine(x, nil, func(_ int, v, _ float64) float64 { return v }).each(func(t, c int, v float64) float64 {
		for r := max(0, t-1); r <= min(len(x)-1, t+1); r++ {
			v = max(v, x[r][c])
		}
		return v
	})
}

// plainBlock is a block.
type plainBlock struct {
	plainNet
	name          string
	ahead, stride int
}

// layer is a convolution and its norm; suffix is "conv1", "skip.conv", ...
func (b plainBlock) layer(conv, norm string, x plainRows, ahead, stride int) plainRows {
	return b.norm(b.name+"."+norm, b.conv(b.name+"."+conv, x, ahead, stride))
}

// one is a layer of a conv1x1 with names that begin alike.
func (b plainBlock) one(name string, x plainRows) plainRows {
	return b.layer(name+".conv", name+".norm", x, 0, 1)
}

// factor is U∗z or A∗z of order i.
func (b plainBlock) factor(i int, z plainRows) plainRows {
	return b.layer(fmt.Sprintf("conv%d", i), fmt.Sprintf("norm%d", i), z, b.ahead, b.stride)
}

// block returns the block's output; maps are dpoly's second-order maps.
func (b plainBlock) block(x plainRows, maps []plainRows) (plainRows, []plainRows) {
	switch b.m.Net.Block {
	case CCP:
		return b.coupled(x), nil
	case NCP, NCPSkip:
		return b.nested(x), nil
	}
	s := x
	if b.has(b.name + ".skip.conv.weight") {
		s = b.layer("skip.conv", "skip.norm", x, 0, b.stride)
	}
	hidden := b.rectified(b.layer("conv1", "norm1", x, b.ahead, b.stride))
	f := b.layer("conv2", "norm2", hidden, b.ahead, 1)
	sum, z := plus(f, s), times(f, s)
	switch b.m.Net.Block {
	case Linear, ReLU:
		return b.rectified(sum), nil
	case Pi, PiReLU:
		z = b.norm(b.name+".product.norm", z)
	case Pi1x1, Pi1x1ReLU, RPoly:
		z = b.one("product", z)
	case PiTanh:
		z = b.one("product", combine(z, nil, func(_ int, v, _ float64) float64 { return math.Tanh(v) }))
	case DPoly:
		z, maps = b.dense(z, maps)
		z = b.one("product", z)
	}
	return b.rectified(plus(sum, b.scaled(b.name+".product.scale", z))), maps
}

func (b plainBlock) dense(z plainRows, maps []plainRows) (plainRows, []plainRows) {
	if b.has(b.name + ".dense.skip.conv.weight") {
		for i := range maps {
			maps[i] = b.layer("dense.skip.conv", "dense.skip.norm", maps[i], 0, b.stride)
		}
	}
	if len(maps) > 0 {
		h := maps[0]
		for _, m := range maps[1:] {
			h = times(h, m)
		}
		h = b.scaled(b.name+".dense.scale", b.whitened(b.name+".dense.norm", b.conv(b.name+".dense.conv", h, 0, 1)))
		z = plus(times(z, h), z)
	}
	return z, append(maps, z)
}

func (b plainBlock) coupled(z plainRows) plainRows {
	x := b.factor(1, z)
	for i := 2; i <= b.m.Net.Degree; i++ {
		u := b.scaled(fmt.Sprintf("%s.scale%d", b.name, i), b.factor(i, z))
		x = plus(times(u, x), x)
	}
	return b.one("out", x)
}

func (b plainBlock) nested(z plainRows) plainRows {
	x := b.factor(1, z)
	for i := 2; i <= b.m.Net.Degree; i++ {
		product := times(b.factor(i, z), b.one(fmt.Sprintf("nest%d", i), x))
		if b.m.Net.Block == NCPSkip {
			product = plus(product, b.one(fmt.Sprintf("skip%d", i), x))
		}
		x = product
	}
	return b.one("out", x)
}

// logits returns the logits of one clip of unnormalised rows: the mean of its rows' logits.
func (n plainNet) logits(rows []float32) []float64 {
	x := n.rowLogits(rows)
	return x.mean(0, len(x)-1)
}

// mean returns the mean of rows first up to last, that one included.
func (x plainRows) mean(first, last int) []float64 {
	mean := make([]float64, len(x[first]))
	for _, row := range x[first : last+1] {
		for i, v := range row {
			mean[i] += v / float64(last+1-first)
		}
	}
	return mean
}

// rowLogits returns what the head makes of each row of the last stage.
func (n plainNet) rowLogits(rows []float32) plainRows {
	c := n.m.Net
	var x plainRows
	for t := 0; t < len(rows); t += c.Inputs {
		row := make([]float64, c.Inputs)
		for i := range row {
			row[i] = (float64(rows[t+i]) - float64(n.m.Norm.Mean[i])) / float64(n.m.Norm.Std[i])
			if limit := float64(n.m.Norm.Limit); limit > 0 {
				row[i] = max(-limit, min(row[i], limit))
			}
		}
		x = append(x, row)
	}
	return n.head(n.body(x))
}

// body returns the last stage's rows for normalised features.
func (n plainNet) body(x plainRows) plainRows {
	c := n.m.Net
	x = n.rectified(n.norm("stem.norm", n.conv("stem.conv", x, c.Stem.Ahead, c.Stem.Stride)))
	var maps []plainRows // dpoly's
	for i, s := range c.Stages {
		for j := range s.Blocks {
			b := plainBlock{plainNet: n, name: fmt.Sprintf("stages.%d.%d", i, j), ahead: s.Ahead, stride: 1}
			if j == 0 {
				b.stride = s.Stride
			}
			x, maps = b.block(x, maps)
		}
		if c.Block.regularised() && i < len(c.Stages)-1 {
			x = maxOfThree(x)
		}
	}
	return x
}

// head returns the logits of each row.
func (n plainNet) head(x plainRows) plainRows {
	c := n.m.Net
	logits := make(plainRows, len(x))
	for t, row := range x {
		logits[t] = make([]float64, c.Classes)
		for o := range logits[t] {
			logits[t][o] = float64(n.weight("head.bias")[o])
			for i, v := range row {
				logits[t][o] += v * float64(n.weight("head.weight")[i*c.Classes+o])
			}
		}
	}
	return logits
}
