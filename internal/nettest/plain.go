package nettest

import (
	"math"
	"slices"

	"github.com/polyphon/polyphon/polynet"
)

// Rows is a clip in float64: rows of channels.
type Rows [][]float64

// Plain computes a Program straight from the equations of polynet.Op, in float64, without padding or work in place.
type Plain struct {
	Program       *polynet.Program
	Weights       polynet.Weights
	KeepRows      bool // OpMean leaves its operand as it is
	SetStatistics bool // norms first set their running statistics to those of the clip
}

// Logits returns m's logits for a clip of rows that are not normalised.
func Logits(m *polynet.Model, rows []float32) []float64 {
	logits := RowLogits(m, rows)
	return logits.Mean(0, len(logits)-1)
}

// RowLogits returns m's logits for each row of the last stage, for a clip of rows that are not normalised. The mean of
// some of them is the logits of a window.
func RowLogits(m *polynet.Model, rows []float32) Rows {
	rows = slices.Clone(rows)
	m.Norm.Apply(rows)
	return Plain{Program: m.Net.Program(), Weights: m.Weights, KeepRows: true}.Run(Float64(rows, m.Net.Inputs))
}

// Float64 returns values as rows of so many channels.
func Float64(values []float32, channels int) Rows {
	x := make(Rows, len(values)/channels)
	for i, v := range values {
		x[i/channels] = append(x[i/channels], float64(v))
	}
	return x
}

// Mean returns the mean of rows first up to last, that one included.
func (x Rows) Mean(first, last int) []float64 {
	mean := make([]float64, len(x[first]))
	for _, row := range x[first : last+1] {
		for i, v := range row {
			mean[i] += v / float64(last+1-first)
		}
	}
	return mean
}

// Run returns the program's last tensor for a clip of normalised rows: the logits, in one row without KeepRows.
func (n Plain) Run(x Rows) Rows {
	tensors := []Rows{polynet.NoTensor: nil, polynet.Input: x}
	for i := range n.Program.Steps {
		tensors = append(tensors, n.step(&n.Program.Steps[i], tensors))
	}
	return tensors[len(tensors)-1]
}

func (n Plain) step(s *polynet.Step, tensors []Rows) Rows {
	x, y, skip, add := tensors[s.X], tensors[s.Y], tensors[s.Skip], tensors[s.Add]
	f, z := x, Rows(nil)
	switch {
	case s.Op == polynet.OpMean && !n.KeepRows:
		return Rows{x.Mean(0, len(x)-1)}
	case s.Op == polynet.OpRound:
		f = n.rounded(s, x)
	case s.Convolves() || s.Op == polynet.OpLinear:
		f = n.norm(s.Norm, n.conv(s, x))
	}
	if s.HasProduct() {
		scale, offset := n.values(s.Scale), n.values(s.Offset)
		z = n.norm(s.ProductNorm, each(f, func(t, c int, v float64) float64 {
			if v *= skip[t][c]; scale != nil {
				v = float64(scale[c])*v + float64(offset[c])
			}
			return v
		}))
	}
	return each(f, func(t, c int, v float64) float64 {
		if s.Op == polynet.OpProduct {
			v *= y[t][c]
		}
		if s.Op == polynet.OpTanh {
			v = math.Tanh(v)
		}
		if s.Plus {
			v += x[t][c]
		}
		for _, term := range []Rows{skip, add, z} {
			if term != nil {
				v += term[t][c]
			}
		}
		if s.ReLU {
			v = max(v, 0)
		}
		return v
	})
}

// conv computes y[t][o] = bias[o] + Σ over k, i of w[k][i][o]·x[t·stride − (kernel−1−ahead) + k][i], or, depthwise,
// Σ over k of w[k][o]·x[…][o].
func (n Plain) conv(s *polynet.Step, x Rows) (y Rows) {
	w, bias := []float32(nil), n.values(s.Bias)
	if s.Precision == polynet.Float32 {
		w = n.values(s.Weight)
	} else {
		w = polynet.Expand(n.Weights.Levels(s.Weight), n.values(s.WeightScale))
		if s.InputScale != "" {
			x = n.rounded(s, x)
		}
	}
	for t := 0; t < len(x); t += s.Stride {
		row := make([]float64, s.Width)
		for o, v := range bias {
			row[o] = float64(v)
		}
		for k := range s.Kernel {
			at := t - (s.Kernel - 1 - s.Ahead) + k
			if at < 0 || at >= len(x) {
				continue
			}
			if s.Op == polynet.OpDepthwise {
				for o, v := range x[at] {
					row[o] += float64(w[k*s.Width+o]) * v
				}
				continue
			}
			for i, v := range x[at] {
				for o := range row {
					row[o] += float64(w[(k*s.In+i)*s.Width+o]) * v
				}
			}
		}
		y = append(y, row)
	}
	return y
}

// rounded returns what a narrow step, or OpRound, makes of its operand.
func (n Plain) rounded(s *polynet.Step, x Rows) Rows {
	scale := float64(n.values(s.InputScale)[0])
	return each(x, func(_, _ int, v float64) float64 {
		return scale * max(-polynet.MaxLevel, min(math.RoundToEven(v/scale), polynet.MaxLevel))
	})
}

func (n Plain) norm(norm polynet.Norm, x Rows) Rows {
	if norm.Name == "" {
		return x
	}
	mean, variance := n.values(norm.Name+".running_mean"), n.values(norm.Name+".running_var")
	if n.SetStatistics {
		m := x.Mean(0, len(x)-1)
		squares := each(x, func(_, c int, v float64) float64 { return (v - m[c]) * (v - m[c]) }).Mean(0, len(x)-1)
		for c := range m {
			mean[c], variance[c] = float32(m[c]), float32(squares[c])
		}
	}
	weight, bias, factor := n.values(norm.Name+".weight"), n.values(norm.Name+".bias"), 1.0
	if norm.Factor != "" {
		factor = float64(n.values(norm.Factor)[0])
	}
	return each(x, func(_, c int, v float64) float64 {
		v = (v - float64(mean[c])) / math.Sqrt(float64(variance[c])+polynet.NormEpsilon)
		return factor * (v*float64(weight[c]) + float64(bias[c]))
	})
}

// values returns the named weight's values, none for no name.
func (n Plain) values(name string) []float32 {
	if name == "" {
		return nil
	}
	return n.Weights[name].Data().([]float32)
}

// each returns f of each row, channel and value.
func each(x Rows, f func(t, c int, v float64) float64) Rows {
	y := make(Rows, len(x))
	for t, row := range x {
		y[t] = make([]float64, len(row))
		for c, v := range row {
			y[t][c] = f(t, c, v)
		}
	}
	return y
}
