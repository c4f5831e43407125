package onnx

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// array is a value of a graph: data in the order of dims, the last one fastest.
type array struct {
	dims []int
	data []float64
}

func newArray(dims ...int) array {
	size := 1
	for _, d := range dims {
		size *= d
	}
	return array{dims, make([]float64, size)}
}

func arrayOf(values []float32, dims ...int) array {
	a := newArray(dims...)
	for i, v := range values {
		a.data[i] = float64(v)
	}
	return a
}

// at returns the value at the given place, where an axis of size 1, and one that is missing before them, stands for any
// size (ONNX's broadcasting).
func (a array) at(place []int) float64 {
	place = place[len(place)-len(a.dims):]
	i := 0
	for axis, d := range a.dims {
		i *= d
		if d > 1 {
			i += place[axis]
		}
	}
	return a.data[i]
}

// places calls visit with every place of an array of these dimensions, in order.
func places(dims []int, visit func(i int, place []int)) {
	place := make([]int, len(dims))
	for i := range newArray(dims...).data {
		visit(i, place)
		for axis := len(dims) - 1; axis >= 0; axis-- {
			if place[axis]++; place[axis] < dims[axis] {
				break
			}
			place[axis] = 0
		}
	}
}

// evaluate computes a graph by the definitions of its operators (https://onnx.ai/onnx/operators), in float64.
func evaluate(g *graphProto, input array) map[string]array {
	values := map[string]array{g.inputs[0].name: input}
	lists := make(map[string][]int64)
	for _, t := range g.initializers {
		lists[t.name] = t.integers
		var dims []int
		for _, d := range t.dims {
			dims = append(dims, int(d))
		}
		values[t.name] = arrayOf(t.floats, dims...)
		for i, v := range t.levels {
			values[t.name].data[i] = float64(v)
		}
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		var in []array
		for _, name := range n.inputs {
			value, ok := values[name]
			if !ok {
				panic(fmt.Sprintf("%s reads %s, which no node before it makes", n.name, name))
			}
			in = append(in, value)
		}
		values[n.outputs[0]] = n.run(in, lists)
	}
	return values
}

func (n *nodeProto) run(in []array, lists map[string][]int64) array {
	x := in[0]
	switch n.op {
	case "Add":
		return pairwise(x, in[1], func(a, b float64) float64 { return a + b })
	case "Sub":
		return pairwise(x, in[1], func(a, b float64) float64 { return a - b })
	case "Mul":
		return pairwise(x, in[1], func(a, b float64) float64 { return a * b })
	case "Div":
		return pairwise(x, in[1], func(a, b float64) float64 { return a / b })
	case "Clip":
		return each1(x, func(v float64) float64 { return max(in[1].data[0], min(v, in[2].data[0])) })
	case "Relu":
		return each1(x, func(v float64) float64 { return max(v, 0) })
	case "Tanh":
		return each1(x, math.Tanh)
	case "Log":
		return each1(x, math.Log)
	case "Unsqueeze":
		for _, axis := range lists[n.inputs[1]] {
			x.dims = slices.Insert(slices.Clone(x.dims), int(axis), 1)
		}
		return x
	case "QuantizeLinear":
		return each1(x, func(v float64) float64 {
			return max(-128, min(math.RoundToEven(v/in[1].data[0]), 127))
		})
	case "DequantizeLinear":
		scales := in[1].data // one, or one for each index of the first dimension
		y, each := newArray(x.dims...), len(x.data)
		if len(scales) > 1 {
			each /= len(scales)
		}
		for i, v := range x.data {
			y.data[i] = v * scales[min(i/each, len(scales)-1)]
		}
		return y
	case "Transpose":
		return transpose(x, n.attribute("perm").list)
	case "Conv":
		return n.conv(in)
	case "BatchNormalization":
		return batchNormalization(in, float64(n.attribute("epsilon").number))
	case "ReduceMean":
		return mean(x)
	case "Gemm":
		return gemm(in)
	case "Softmax":
		return softmax(x)
	case "LogSoftmax":
		return each1(softmax(x), math.Log)
	case "Sigmoid":
		return each1(x, func(v float64) float64 { return 1 / (1 + math.Exp(-v)) })
	case "MatMul":
		return matMul(x, in[1])
	case "ReduceMax":
		return eachRow(x, 1, func(row, out []float64) { out[0] = slices.Max(row) })
	case "ReduceLogSumExp":
		return eachRow(x, 1, func(row, out []float64) { out[0] = floats.LogSumExp(row) })
	case "TopK":
		k := int(lists[n.inputs[1]][0])
		return eachRow(x, k, func(row, out []float64) {
			slices.SortFunc(row, func(a, b float64) int { return cmp.Compare(b, a) })
			copy(out, row)
		})
	}
	panic("no operator " + n.op)
}

func each1(x array, f func(float64) float64) array {
	y := newArray(x.dims...)
	for i, v := range x.data {
		y.data[i] = f(v)
	}
	return y
}

func pairwise(a, b array, f func(a, b float64) float64) array {
	dims := slices.Clone(a.dims) // a has the dimensions of the result
	if len(b.dims) > len(dims) {
		panic(fmt.Sprintf("%v and %v", a.dims, b.dims))
	}
	for i, d := range b.dims {
		if have := dims[len(dims)-len(b.dims)+i]; d != 1 && d != have {
			panic(fmt.Sprintf("%v and %v", a.dims, b.dims))
		}
	}
	y := newArray(dims...)
	places(dims, func(i int, place []int) { y.data[i] = f(a.data[i], b.at(place)) })
	return y
}

func transpose(x array, perm []int64) array {
	dims := make([]int, len(perm))
	for i, axis := range perm {
		dims[i] = x.dims[axis]
	}
	y, from := newArray(dims...), make([]int, len(perm))
	places(dims, func(i int, place []int) {
		for j, axis := range perm {
			from[axis] = place[j]
		}
		y.data[i] = x.at(from)
	})
	return y
}

// conv is a convolution, in groups of channels, over the last of four dimensions, whose third is 1.
func (n *nodeProto) conv(in []array) array {
	x, w := in[0], in[1]
	pads, strides := n.attribute("pads").list, n.attribute("strides").list
	before, after, stride := int(pads[1]), int(pads[3]), int(strides[1])
	batch, channels, rows := x.dims[0], x.dims[1], x.dims[3]
	out, kernel := w.dims[0], w.dims[3]
	groups := 1
	if a := n.attribute("group"); a != nil {
		groups = int(a.integer)
	}
	shape := n.attribute("kernel_shape").list
	if x.dims[2] != 1 || w.dims[1] != channels/groups || w.dims[2] != 1 || int(shape[1]) != kernel {
		panic(fmt.Sprintf("%s: %v by %v", n.name, x.dims, w.dims))
	}
	y := newArray(batch, out, 1, (rows+before+after-kernel)/stride+1)
	places(y.dims, func(i int, place []int) {
		b, o, t := place[0], place[1], place[3]
		sum := 0.0
		if len(in) > 2 {
			sum = in[2].data[o]
		}
		for c := range w.dims[1] {
			in := o/(out/groups)*w.dims[1] + c
			for k := range kernel {
				if r := t*stride - before + k; r >= 0 && r < rows {
					sum += x.data[(b*channels+in)*rows+r] * w.data[(o*w.dims[1]+c)*kernel+k]
				}
			}
		}
		y.data[i] = sum
	})
	return y
}

func batchNormalization(in []array, epsilon float64) array {
	x, weight, bias, mean, variance := in[0], in[1].data, in[2].data, in[3].data, in[4].data
	y := newArray(x.dims...)
	places(x.dims, func(i int, place []int) {
		c := place[1]
		y.data[i] = (x.data[i]-mean[c])/math.Sqrt(variance[c]+epsilon)*weight[c] + bias[c]
	})
	return y
}

// mean returns the mean over the third and the fourth axis of x.
func mean(x array) array {
	y := newArray(x.dims[0], x.dims[1])
	size := x.dims[2] * x.dims[3]
	for i, v := range x.data {
		y.data[i/size] += v / float64(size)
	}
	return y
}

// gemm returns x·wᵀ + bias.
func gemm(in []array) array {
	x, w, bias := in[0], in[1], in[2]
	y := newArray(x.dims[0], w.dims[0])
	places(y.dims, func(i int, place []int) {
		y.data[i] = bias.data[place[1]]
		for k := range w.dims[1] {
			y.data[i] += x.data[place[0]*w.dims[1]+k] * w.data[place[1]*w.dims[1]+k]
		}
	})
	return y
}

func matMul(x, w array) array {
	return eachRow(x, w.dims[1], func(row, out []float64) {
		for j := range out {
			for k, v := range row {
				out[j] += v * w.data[k*w.dims[1]+j]
			}
		}
	})
}

// eachRow returns (rows, n) of a copy of each row of x.
func eachRow(x array, n int, f func(row, out []float64)) array {
	y := newArray(x.dims[0], n)
	for i := range x.dims[0] {
		f(slices.Clone(x.data[i*x.dims[1]:][:x.dims[1]]), y.data[i*n:][:n])
	}
	return y
}

func softmax(x array) array {
	y := newArray(x.dims...)
	for begin := 0; begin < len(x.data); begin += x.dims[1] {
		row, sum := x.data[begin:][:x.dims[1]], 0.0
		largest := slices.Max(row)
		for i, v := range row {
			y.data[begin+i] = math.Exp(v - largest)
			sum += y.data[begin+i]
		}
		for i := range row {
			y.data[begin+i] /= sum
		}
	}
	return y
}
