package compress

import (
	"context"
	"math"
	"slices"

	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
	"gonum.org/v1/gonum/mat"
)

// moments are the mean and the covariance of a tensor's channels.
type moments struct {
	mean []float64
	cov  *mat.SymDense
}

func newMoments(width int) *moments {
	return &moments{make([]float64, width), mat.NewSymDense(width, nil)}
}

// energy returns E yᵢ².
func (m *moments) energy(i int) float64 { return m.cov.At(i, i) + m.mean[i]*m.mean[i] }

// The calibration clips are run in batches, and so many of a tensor's rows are used: for each of its channels a few.
const momentsBatch, minRows, rowsPerChannel = 16, 4096, 8

// measure returns the moments of the tensors that other channels are computed from, on the calibration clips.
func (c *channels) measure(ctx context.Context, m *polynet.Model, d Data) (map[polynet.Tensor]*moments, error) {
	a, err := training.NewActivations(m, d.Device)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	type sum struct {
		rows  int
		first []float64
		outer *mat.SymDense
	}
	sums := map[polynet.Tensor]*sum{}
	size := d.Frames * m.Features.Mels
	for clips := range slices.Chunk(d.Rows, momentsBatch*size) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows := slices.Clone(clips)
		m.Norm.Apply(rows)
		a.Run(rows, len(rows)/size)
		for _, g := range c.groups {
			for _, t := range g.read {
				s := sums[t]
				if s == nil {
					s = &sum{first: make([]float64, g.width), outer: mat.NewSymDense(g.width, nil)}
					sums[t] = s
				}
				x := c.some(a.Rows(t), g.width, d, len(rows)/size, s.rows)
				n, _ := x.Dims()
				s.rows += n
				for r := range n {
					for i, v := range x.RawRowView(r) {
						s.first[i] += v
					}
				}
				var product mat.SymDense
				product.SymOuterK(1, x.T())
				s.outer.AddSym(s.outer, &product)
			}
		}
	}
	all := map[polynet.Tensor]*moments{}
	for t, s := range sums {
		n := float64(s.rows)
		k := newMoments(len(s.first))
		for i, v := range s.first {
			k.mean[i] = v / n
		}
		for i := range k.mean {
			for j := range i + 1 {
				k.cov.SetSym(i, j, s.outer.At(i, j)/n-k.mean[i]*k.mean[j])
			}
		}
		all[t] = k
	}
	return all, nil
}

// some returns rows of a tensor, spread over the run's clips, of which there were so many. before is how many were
// taken in earlier runs: where in its part of the clips a row is taken changes from one to the next, so that all rows
// of a clip are looked at, whatever the parts are.
func (c *channels) some(values []float32, width int, d Data, clips, before int) *mat.Dense {
	rows := len(values) / width
	want := max(1, max(minRows, rowsPerChannel*width)*clips/d.Clips)
	n := min(rows, want)
	x := mat.NewDense(n, width, nil)
	for r := range n {
		_, within := math.Modf(float64(before+r) * math.Phi)
		row := values[int((float64(r)+within)*float64(rows)/float64(n))*width:][:width]
		for i, v := range row {
			x.Set(r, i, float64(v))
		}
	}
	return x
}
