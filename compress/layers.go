package compress

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
	"gonum.org/v1/gonum/mat"
)

// layers is the beginning of a search for ternary levels: from the first convolution to the last, coordinate descent
// over the levels of each column, so that what it gives in the narrow network is the nearest to what it gives in the
// given one, by least squares on rows of the calibration clips. A change then costs the same as the column has
// weights, not a run of the network. Scales are those of the least squares, and the difference of the means goes into
// the norm.
type layers struct {
	given  *polynet.Model
	d      Data
	rows   []float32 // normalised
	rng    *rand.Rand
	levels int8
}

// layerRows is how many rows of a convolution's output decide its levels, at least and for each weight of a column,
// from so many clips at most.
const layerRows, rowsPerWeight, layerClips = 2048, 8, 512

// fit returns m with other levels.
func (l *layers) fit(ctx context.Context, m *polynet.Model) (*polynet.Model, error) {
	p := m.Net.Program()
	for i := range p.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s := &p.Steps[i]; s.InputScale != "" {
			x, err := l.windows(m, s)
			if err != nil {
				return nil, err
			}
			given, err := l.windows(l.given, s)
			if err != nil {
				return nil, err
			}
			m = l.step(m, s, x, given)
		}
	}
	return m, nil
}

// windows returns some of the rows that a step multiplies in a model, which is narrow or the given one.
func (l *layers) windows(m *polynet.Model, s *polynet.Step) (*mat.Dense, error) {
	a, err := training.NewActivations(m, l.d.Device)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	size, k, clips := len(l.rows)/l.d.Clips, s.Kernel*s.In, min(l.d.Clips, layerClips)
	before, _ := s.Reach(s.X)
	each := device.CeilDiv(max(layerRows, rowsPerWeight*k), clips) // of a clip
	var values []float32
	window := make([]float32, k)
	for first := 0; first < clips; first += momentsBatch {
		n := min(momentsBatch, clips-first)
		var rows []float32
		for i := first; i < first+n; i++ { // evenly, since clips come label by label
			rows = append(rows, l.rows[i*l.d.Clips/clips*size:][:size]...)
		}
		a.Run(rows, n)
		x := a.Rows(s.X)
		length := len(x) / n / s.In
		out := (length + s.Stride - 1) / s.Stride
		for clip := range n {
			for j := range min(each, out) {
				at := j*out/min(each, out)*s.Stride - before
				clear(window)
				for tap := range s.Kernel {
					if r := at + tap; r >= 0 && r < length {
						copy(window[tap*s.In:][:s.In], x[(clip*length+r)*s.In:])
					}
				}
				values = append(values, window...)
			}
		}
	}
	if m.Net.Narrow != nil {
		polynet.RoundTo(values, values, valuesOf(m, s.InputScale)[0])
	}
	return mat.NewDense(len(values)/k, k, toFloat64(values)), nil
}

func valuesOf(m *polynet.Model, name string) []float32 { return values(m.Weights, name) }

// centre subtracts the means of the columns and returns them.
func centre(x *mat.Dense) []float64 {
	rows, cols := x.Dims()
	means := make([]float64, cols)
	for r := range rows {
		for c, v := range x.RawRowView(r) {
			means[c] += v / float64(rows)
		}
	}
	for r := range rows {
		row := x.RawRowView(r)
		for c := range row {
			row[c] -= means[c]
		}
	}
	return means
}

// step returns m with the levels, scales and norm of one step fitted. x are rows that it multiplies, given those that
// it multiplies in the given model.
func (l *layers) step(m *polynet.Model, s *polynet.Step, x, given *mat.Dense) *polynet.Model {
	k := s.Kernel * s.In
	var wanted, gram, cross mat.Dense
	wanted.Mul(given, mat.NewDense(k, s.Width, toFloat64(valuesOf(l.given, s.Weight))))
	meansX, meansY := centre(x), centre(&wanted)
	gram.Mul(x.T(), x)
	cross.Mul(x.T(), &wanted)
	levels, scales := slices.Clone(m.Weights.Levels(s.Weight)), slices.Clone(valuesOf(m, s.WeightScale))
	shift := make([]float64, s.Width)
	for c := range s.Width {
		column := make([]float64, k)
		for i := range column {
			column[i] = float64(levels[i*s.Width+c])
		}
		scale := l.column(column, mat.Col(nil, c, &cross), &gram)
		if scale <= 0 {
			continue // nothing to fit to
		}
		scales[c], shift[c] = float32(scale), meansY[c]
		for i, v := range column {
			levels[i*s.Width+c] = int8(v)
			shift[c] -= scale * v * meansX[i]
		}
	}
	q := *m
	q.Weights = maps.Clone(m.Weights)
	put(q.Weights, s.Weight, levels, s.Kernel, s.In, s.Width)
	put(q.Weights, s.WeightScale, scales, s.Width)
	if s.Norm.Name != "" {
		mean := s.Norm.Name + ".running_mean"
		means := slices.Clone(values(l.given.Weights, mean))
		for c := range means {
			means[c] -= float32(shift[c])
		}
		put(q.Weights, mean, means, s.Width)
		variance := strings.TrimSuffix(mean, "mean") + "var"
		put(q.Weights, variance, slices.Clone(values(l.given.Weights, variance)), s.Width)
	}
	return &q
}

// column changes the levels t of a column, in random order and until none is better, and returns its scale. With the
// Gram matrix H of what it multiplies, and the products c of that with what is wanted, the least error of a scale is
// lower the higher (t·c)²/(t·H·t) is.
func (l *layers) column(t, c []float64, gram *mat.Dense) (scale float64) {
	products := make([]float64, len(t)) // H·t
	mat.NewVecDense(len(t), products).MulVec(gram, mat.NewVecDense(len(t), t))
	num, den := 0.0, 0.0
	for i, v := range t {
		num += v * c[i]
		den += v * products[i]
	}
	gain := func(num, den float64) float64 {
		if num <= 0 || den <= 0 {
			return 0
		}
		return num * num / den
	}
	most := float64(l.levels)
	for changed := true; changed; {
		changed = false
		for _, i := range l.rng.Perm(len(t)) {
			best, highest := 0.0, gain(num, den)*(1+1e-9)
			for delta := max(-most-t[i], -2); delta <= min(most-t[i], 2); delta++ {
				if g := gain(num+delta*c[i], den+2*delta*products[i]+delta*delta*gram.At(i, i)); g > highest {
					best, highest = delta, g
				}
			}
			if best == 0 {
				continue
			}
			changed = true
			num += best * c[i]
			den += 2*best*products[i] + best*best*gram.At(i, i)
			t[i] += best
			for j, h := range gram.RawRowView(i) {
				products[j] += best * h
			}
		}
	}
	if den <= 0 {
		return 0
	}
	return math.Max(num/den, 0)
}
