// Package regions tells into which pieces a network cuts its inputs. A network of ReLU is linear on each of the
// polytopes ("linear regions") in which the pattern of its active units is the same. They are counted exactly for small
// networks (RowNet.Enumerate), and along the line between two clips for all of them (Net.Pieces). A polynomial network
// has one region; what takes the place of their number is the degree of its logits along a line (Net.Degree).
package regions

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// ErrForm marks networks that a function of this package is not about.
var ErrForm = errors.New("a network of another form")

// step is a step with its weights in float64.
type step struct {
	polynet.Step
	weight, bias, scale, offset []float64
}

// Net is a Program that computes many clips at once in float64. It is read-only and may be shared.
type Net struct {
	inputs int
	stride int // rows of features from one of the logits' rows to the next
	steps  []step
	last   []int // Program.LastUses
	linear bool  // without products and tanh: linear but for ReLU
	smooth bool  // without ReLU and tanh: a polynomial
}

// Compile returns the Net of a model, its logits those before the scaling of a calibration. A model that is not valid
// gives an error that wraps polynet.ErrConfig or polynet.ErrModel.
func Compile(m *polynet.Model) (*Net, error) {
	raw := *m
	raw.Calibration = nil
	p, w, err := raw.Inference()
	if err != nil {
		return nil, err
	}
	n := &Net{inputs: p.Inputs, stride: p.Reach().Stride, last: p.LastUses(), linear: true, smooth: p.Degree() != nil}
	for _, s := range p.Steps {
		n.linear = n.linear && s.Op != polynet.OpProduct && s.Op != polynet.OpTanh && !s.HasProduct()
		n.steps = append(n.steps, step{
			s, float64s(w, s.Weight), float64s(w, s.Bias), float64s(w, s.Scale), float64s(w, s.Offset),
		})
	}
	return n, nil
}

// Linear reports whether the network is linear but for ReLU.
func (n *Net) Linear() bool { return n.linear }

// Polynomial reports whether the network is a polynomial.
func (n *Net) Polynomial() bool { return n.smooth }

// Units returns how many ReLU units the network has for a clip of so many frames.
func (n *Net) Units(frames int) (units int) {
	rows := n.rows(frames)
	for i := range n.steps {
		if n.steps[i].ReLU {
			units += rows[polynet.Output(i)] * n.steps[i].Width
		}
	}
	return units
}

// rows returns the rows of each tensor for a clip of so many frames.
func (n *Net) rows(frames int) []int {
	rows := make([]int, len(n.steps)+2)
	rows[polynet.Input] = frames
	for i := range n.steps {
		s, y := &n.steps[i], polynet.Output(i)
		switch rows[y] = rows[s.X]; s.Op {
		case polynet.OpMean:
			rows[y] = 1
		case polynet.OpConv, polynet.OpDepthwise:
			rows[y] = (rows[s.X] + s.Stride - 1) / s.Stride
		}
	}
	return rows
}

// batch is the tensors of several clips of one length, those that are still to be read: (clips, rows, channels) each.
type batch struct {
	clips   int
	rows    []int // of each tensor
	tensors [][]float64
}

func (n *Net) newBatch(frames int, clips ...[]float64) *batch {
	b := &batch{clips: len(clips), rows: n.rows(frames), tensors: make([][]float64, len(n.steps)+2)}
	b.tensors[polynet.Input] = slices.Concat(clips...)
	return b
}

// run computes the logits of clips, (clips, classes).
func (n *Net) run(b *batch) []float64 {
	for i := range n.steps {
		values := n.before(i, b)
		if n.steps[i].ReLU {
			rectify(values)
		}
		n.keep(i, b, values)
	}
	return b.tensors[len(b.tensors)-1]
}

func rectify(values []float64) {
	for i, v := range values {
		values[i] = max(v, 0)
	}
}

// keep makes values the output of step i, and frees what no later step reads.
func (n *Net) keep(i int, b *batch, values []float64) {
	b.tensors[polynet.Output(i)] = values
	for t, last := range n.last {
		if last <= i && polynet.Tensor(t) != polynet.Output(i) {
			b.tensors[t] = nil
		}
	}
}

// before computes step i up to its ReLU.
func (n *Net) before(i int, b *batch) []float64 {
	s := &n.steps[i]
	x, rows := b.tensors[s.X], b.rows[polynet.Output(i)]
	y := make([]float64, b.clips*rows*s.Width)
	switch s.Op {
	case polynet.OpMean:
		in := b.rows[s.X]
		for k, v := range x {
			y[k/(in*s.Width)*s.Width+k%s.Width] += v / float64(in)
		}
		return y
	case polynet.OpProduct:
		other := b.tensors[s.Y]
		for k, v := range x {
			if y[k] = v * other[k]; s.Plus {
				y[k] += v
			}
		}
		return y
	case polynet.OpTanh:
		for k, v := range x {
			y[k] = math.Tanh(v)
		}
		return y
	case polynet.OpDepthwise:
		s.depthwise(x, y, b.rows[s.X], rows)
	default:
		s.convolve(x, y, b.rows[s.X], rows)
	}
	s.combine(y, b)
	return y
}

// combine adds bias, skip and product term to the convolution y.
func (s *step) combine(y []float64, b *batch) {
	skip, add := b.tensors[s.Skip], b.tensors[s.Add]
	for k := range y {
		c := k % s.Width
		if s.bias != nil {
			y[k] += s.bias[c]
		}
		f := y[k]
		if skip != nil {
			y[k] += skip[k]
		}
		if s.scale != nil {
			y[k] += s.scale[c]*f*skip[k] + s.offset[c]
		}
		if add != nil {
			y[k] += add[k]
		}
	}
}

// convolve adds X ∗ Weight to y, of clips of so many rows each.
func (s *step) convolve(x, y []float64, in, out int) {
	clips, taps := len(x)/(in*s.In), s.Kernel*s.In
	windows := x
	if s.Kernel > 1 || s.Stride > 1 {
		windows = make([]float64, clips*out*taps)
		for r := range clips * out {
			first := r%out*s.Stride - (s.Kernel - 1 - s.Ahead)
			for k := max(0, -first); k < s.Kernel && first+k < in; k++ {
				copy(windows[r*taps+k*s.In:][:s.In], x[(r/out*in+first+k)*s.In:])
			}
		}
	}
	general := func(values []float64, rows, cols int) blas64.General {
		return blas64.General{Rows: rows, Cols: cols, Stride: cols, Data: values}
	}
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, general(windows, clips*out, taps), general(s.weight, taps, s.Width), 1,
		general(y, clips*out, s.Width))
}

func (s *step) depthwise(x, y []float64, in, out int) {
	for r := range len(y) / s.Width {
		first := r%out*s.Stride - (s.Kernel - 1 - s.Ahead)
		for k := max(0, -first); k < s.Kernel && first+k < in; k++ {
			row := x[(r/out*in+first+k)*s.Width:]
			for c := range s.Width {
				y[r*s.Width+c] += s.weight[k*s.Width+c] * row[c]
			}
		}
	}
}

func float64s(w polynet.Weights, name string) []float64 {
	if name == "" {
		return nil
	}
	var list []float64
	for _, v := range w[name].Data().([]float32) {
		list = append(list, float64(v))
	}
	return list
}

func (n *Net) check(frames int, clips ...[]float64) error {
	for _, c := range clips {
		if frames < 1 || len(c) != frames*n.inputs {
			return fmt.Errorf("%w: a clip of %d values for %d frames of %d", polynet.ErrConfig, len(c), frames, n.inputs)
		}
	}
	return nil
}
