// Package bounds proves what a network can answer over a whole region of inputs. The bounds are sound: no input of the
// region has a value outside of them.
//
// A Region is all inputs Center + Slope·g ± Radius with g from −1 to 1, each value by itself within its radius. Slope
// is a direction in which all values move together, such as a recording's gain, and Radius is the half width of a box.
// Every value of the network is enclosed in the same form (Form), by three methods, the tightest of which is kept:
//
//   - interval arithmetic (IBP), with products by their four corners;
//   - affine arithmetic: the dependence on g is carried along, all else is a radius;
//   - linear bounds that are substituted backwards through convolutions, sums, ReLU, tanh and Hadamard products to the
//     input (CROWN, Zhang et al., 2018; DeepPoly, Singh et al., 2019), or through a number of nonlinear layers.
//
// A Hadamard product of x and y is linear around the middle of their intervals, up to dx·dy, the product of the
// deviations. McCormick's planes give ±rx·ry for it; bounds of (x/k + k·y) and (x/k − k·y) from the same substitution
// give dx·dy = ¼((dx/k + k·dy)² − (dx/k − k·dy)²), which is exact for the terms x·x.
//
// Sums are float64, and bounds are widened by 1e-9 of the magnitudes that meet in a value, for their rounding. Only the
// coefficients of substituted bounds are float32, as the kernels of package device compute matrix products: they are
// coefficients of deviations from the middle of the region, and the largest error that rounding can make in them, times
// the largest deviations, is added to the bounds. A network is run in float32, too, whose rounding Margin stands for.
package bounds

import (
	"fmt"
	"math"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/floats"
)

// Margin is by how much, relative to the largest value of the tensor and at least 1, a bound has to be on the right
// side of a threshold before it counts as a proof about a network that is run in float32.
const Margin = 1e-4

// MarginOf returns the margin of a tensor with such bounds of one side.
func MarginOf(ends []float64) float64 { return Margin * max(1, floats.Norm(ends, math.Inf(1))) }

type kind int

const (
	input     kind = iota
	conv           // of all channels; the linear layer is one of a row
	depthwise      // of each channel
	mean           // over time
	sum            // of all operands
	product        // scale∘x∘y + offset
	rectifier      // max(x, 0)
	tangent        // tanh x
)

// node is an operation with one result, (rows, cols). Nodes read earlier ones.
type node struct {
	kind       kind
	args       []int
	rows, cols int
	level      int // the largest number of nonlinear nodes on a path from the input, this one included

	in, kernel, stride, before int       // of convolutions
	weight                     []float64 // of conv (cols, kernel·in), of depthwise (kernel, cols)
	bias, scale, offset        []float64 // (cols)

	packed []*device.Packed // of conv, by tap: (cols, in)
	taps32 [][]float32      // of depthwise, by tap: (cols)
}

func (n *node) nonlinear() bool { return n.kind >= product }

// Net is a Program for clips of one length, with its weights in float64. It is read-only and may be shared.
type Net struct {
	dev       device.Device // of one thread
	nodes     []node
	tensors   []int // nodes, by polynet.Tensor
	before    []int // by step: the node that the step's ReLU reads, or -1
	rectified bool  // some step has a ReLU
}

// Compile returns the Net of a program whose norms are folded (polynet.Program.FoldNorms), for clips of so many frames.
// A program with norms, dropout or narrow weights, whose operands are rounded, or frames below 1, give an error that
// wraps polynet.ErrConfig.
func Compile(p *polynet.Program, w polynet.Weights, frames int) (*Net, error) {
	if frames < 1 {
		return nil, fmt.Errorf("%w: bounds for %d frames", polynet.ErrConfig, frames)
	}
	dev, err := device.CPU(1)
	if err != nil {
		return nil, err
	}
	n := &Net{dev: dev, tensors: make([]int, len(p.Steps)+2), before: make([]int, len(p.Steps))}
	n.tensors[polynet.Input] = n.add(node{rows: frames, cols: p.Inputs})
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Norm.Name != "" || s.ProductNorm.Name != "" || s.Op == polynet.OpDropout {
			return nil, fmt.Errorf("%w: bounds need a program without norms and dropout, not %s", polynet.ErrConfig, s.Name)
		}
		if s.Precision != polynet.Float32 {
			return nil, fmt.Errorf("%w: %s has narrow weights (%s) and rounds what it reads, which bounds do not follow",
				polynet.ErrConfig, s.Name, s.Precision)
		}
		n.before[i] = -1
		n.tensors[polynet.Output(i)] = n.step(i, s, w)
	}
	return n, nil
}

func (n *Net) add(v node) int {
	for _, a := range v.args {
		v.level = max(v.level, n.nodes[a].level)
	}
	if v.nonlinear() {
		v.level++
	}
	n.nodes = append(n.nodes, v)
	return len(n.nodes) - 1
}

// step adds the nodes of a step and returns the one of its output.
func (n *Net) step(i int, s *polynet.Step, w polynet.Weights) int {
	x, y := n.tensors[s.X], n.tensors[s.Y]
	unary := func(k kind, rows int) int { return n.add(node{kind: k, args: []int{x}, rows: rows, cols: s.Width}) }
	rows := n.nodes[x].rows
	switch s.Op {
	case polynet.OpMean:
		return unary(mean, 1)
	case polynet.OpTanh:
		return unary(tangent, rows)
	case polynet.OpProduct:
		v := n.add(node{kind: product, args: []int{x, y}, rows: rows, cols: s.Width})
		if s.Plus {
			v = n.add(node{kind: sum, args: []int{x, v}, rows: rows, cols: s.Width})
		}
		return v
	}
	v := n.convolution(s, w, x)
	rows = n.nodes[v].rows
	if s.Skip != polynet.NoTensor {
		args := []int{v, n.tensors[s.Skip]}
		if s.HasProduct() {
			args = append(args, n.add(node{
				kind: product, args: args[:2:2], rows: rows, cols: s.Width,
				scale: float64s(w, s.Scale), offset: float64s(w, s.Offset),
			}))
		}
		if s.Add != polynet.NoTensor {
			args = append(args, n.tensors[s.Add])
		}
		v = n.add(node{kind: sum, args: args, rows: rows, cols: s.Width})
	}
	if s.ReLU {
		n.before[i], n.rectified = v, true
		v = n.add(node{kind: rectifier, args: []int{v}, rows: rows, cols: s.Width})
	}
	return v
}

// convolution adds OpConv without what follows the convolution, OpDepthwise or OpLinear.
func (n *Net) convolution(s *polynet.Step, w polynet.Weights, x int) int {
	v := node{
		kind: conv, args: []int{x}, cols: s.Width, in: s.In, kernel: s.Kernel, stride: s.Stride,
		before: s.Kernel - 1 - s.Ahead, bias: float64s(w, s.Bias), weight: float64s(w, s.Weight),
	}
	v.rows = (n.nodes[x].rows + s.Stride - 1) / s.Stride
	if s.Op == polynet.OpDepthwise {
		v.kind = depthwise
		for k := range v.kernel {
			v.taps32 = append(v.taps32, values(w, s.Weight)[k*v.cols:(k+1)*v.cols])
		}
		return n.add(v)
	}
	weight := make([]float64, len(v.weight)) // (kernel·in, width) transposed
	rows := s.Kernel * s.In
	for k, value := range v.weight {
		weight[k%s.Width*rows+k/s.Width] = value
	}
	v.weight = weight
	for k := range v.kernel {
		tap, packed := n.dev.Alloc(v.cols*v.in), new(device.Packed)
		for c := range v.cols {
			for i, value := range weight[(c*v.kernel+k)*v.in : (c*v.kernel+k+1)*v.in] {
				tap.Host()[c*v.in+i] = float32(value)
			}
		}
		n.dev.Pack(packed, tap, v.cols, v.in)
		v.packed = append(v.packed, packed)
	}
	return n.add(v)
}

// taps returns which taps k0 up to k1 of the convolution's row r read rows of x within the clip, and the row of k0.
func (v *node) taps(r, rows int) (k0, k1, first int) {
	begin := r*v.stride - v.before
	k0 = max(0, -begin)
	k1 = max(k0, min(v.kernel, rows-begin))
	return k0, k1, begin + k0
}

// Frames returns the length of the clips.
func (n *Net) Frames() int { return n.nodes[0].rows }

// Inputs returns the number of features a frame.
func (n *Net) Inputs() int { return n.nodes[0].cols }

func float64s(w polynet.Weights, name string) []float64 {
	if name == "" {
		return nil
	}
	list := make([]float64, len(values(w, name)))
	for i, v := range values(w, name) {
		list[i] = float64(v)
	}
	return list
}

func values(w polynet.Weights, name string) []float32 { return w[name].Data().([]float32) }
