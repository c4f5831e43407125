package regions

import (
	"fmt"

	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/mat"
)

// RowNet is a network that looks at several rows in its first convolution, the stem, alone: it computes each row of its
// logits of a window of rows of features, in the same way at each place, and gives the mean. A window's values are in
// the order of rows, the earliest first, and 0 for rows outside of a clip. All that follows the stem's convolution
// depends on the window by the stem's channels alone, before their ReLU: what is linear is a matrix over these channels
// and a constant.
type RowNet struct {
	*Net
	Limit float64 // each value of a window is within ±Limit
	stem  *mat.Dense
}

// Rows returns the network as one of rows. A network with products or tanh, or that looks at several rows elsewhere,
// and features without a limit, give an error that wraps ErrForm.
func (n *Net) Rows(limit float64) (*RowNet, error) {
	if !n.linear {
		return nil, fmt.Errorf("%w: its blocks have products or tanh, and so no linear regions", ErrForm)
	}
	if !(limit > 0) {
		return nil, fmt.Errorf("%w: its features have no limit", ErrForm)
	}
	for i := range n.steps[1:] {
		if s := &n.steps[i+1]; s.Kernel > 1 {
			return nil, fmt.Errorf("%w: %s looks at %d rows, which only the stem may", ErrForm, s.Name, s.Kernel)
		}
	}
	first := &n.steps[0]
	r := &RowNet{Net: n, Limit: limit, stem: new(mat.Dense)}
	r.stem.CloneFrom(mat.NewDense(first.Kernel*first.In, first.Width, first.weight).T())
	return r, nil
}

// Stride returns how many rows of features lie between two rows of logits.
func (r *RowNet) Stride() int { return r.stride }

// Values returns how many values a window has.
func (r *RowNet) Values() int { return r.stem.RawMatrix().Cols }

// Classes returns the number of logits.
func (r *RowNet) Classes() int { return r.steps[len(r.steps)-1].Width }

// Stem returns the weights of the stem's convolution, (channels, values of a window), and its biases.
func (r *RowNet) Stem() (weight *mat.Dense, bias []float64) { return r.stem, r.steps[0].bias }

// RowUnits returns how many ReLU units compute one row of logits.
func (r *RowNet) RowUnits() (units int) {
	for i := range r.steps {
		if r.steps[i].ReLU {
			units += r.steps[i].Width
		}
	}
	return units
}

// Run returns what follows from windows, one after the other: the stem's channels before their ReLU, the logits, and
// for each window a text that tells which units are active.
func (r *RowNet) Run(windows []float64) (channels, logits []float64, patterns []string) {
	count := len(windows) / r.Values()
	b := &batch{clips: count, rows: make([]int, len(r.steps)+2), tensors: make([][]float64, len(r.steps)+2)}
	for t := range b.rows {
		b.rows[t] = 1
	}
	active := make([][]byte, count)
	for i := range r.steps {
		values := make([]float64, count*r.steps[0].Width)
		if i == 0 {
			flat := r.steps[0]
			flat.Kernel, flat.In, flat.Stride = 1, r.Values(), 1
			flat.convolve(windows, values, 1, 1)
			flat.combine(values, b)
			channels = append(channels, values...)
		} else {
			values = r.before(i, b)
		}
		if r.steps[i].ReLU {
			for k, v := range values {
				w := k / r.steps[i].Width
				active[w] = append(active[w], '0')
				if v > 0 {
					active[w][len(active[w])-1] = '1'
				}
			}
			rectify(values)
		}
		r.keep(i, b, values)
	}
	for _, a := range active {
		patterns = append(patterns, string(a))
	}
	return channels, b.tensors[len(b.tensors)-1], patterns
}

// Windows returns the windows of a clip of normalised features, one for each row of its logits.
func (r *RowNet) Windows(clip []float64) (windows []float64) {
	s := &r.steps[0]
	frames := len(clip) / r.inputs
	for at := 0; at < frames; at += r.stride {
		first := at - (s.Kernel - 1 - s.Ahead)
		for k := range s.Kernel {
			row := make([]float64, r.inputs)
			if first+k >= 0 && first+k < frames {
				copy(row, clip[(first+k)*r.inputs:])
			}
			windows = append(windows, row...)
		}
	}
	return windows
}

// linearStep returns step i up to its ReLU as a matrix over the stem's channels and 1, of those of earlier steps.
func (r *RowNet) linearStep(i int, maps []*mat.Dense) *mat.Dense {
	s, channels := &r.steps[i], r.steps[0].Width
	y := mat.NewDense(s.Width, channels+1, nil)
	switch {
	case i == 0:
		for c := range channels {
			y.Set(c, c, 1)
		}
		return y
	case s.Op == polynet.OpMean:
		return maps[s.X]
	}
	y.Mul(mat.NewDense(s.In, s.Width, s.weight).T(), maps[s.X])
	for c, v := range s.bias {
		y.Set(c, channels, y.At(c, channels)+v)
	}
	for _, t := range []polynet.Tensor{s.Skip, s.Add} {
		if t != polynet.NoTensor {
			y.Add(y, maps[t])
		}
	}
	return y
}
