package compress

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// Quantise stores weights in few bits and has convolutions round what they read to 8: weights by
// polynet.Precision.Quantise, the scales of what is read by what clamps and rounds least on the calibration clips.
// Norms then take their statistics from the narrow network. Where stem and head lose at most 0.2 points on the
// validation clips, they are narrow as well.
type Quantise struct {
	Weights polynet.Precision // Int8 or Ternary
	Ends    Ends
}

// Ends says whether stem and head are narrow.
type Ends string

// The choices; the zero value stands for EndsAuto.
const (
	EndsAuto   Ends = "auto"    // each where that costs little
	EndsFloat  Ends = "float32" // neither
	EndsNarrow Ends = "narrow"  // both: a smaller file, of which a search makes the most
)

// Name returns "int8" or "ternary".
func (q *Quantise) Name() string { return q.Weights.String() }

// ends is how many percent points of accuracy a narrow stem, or head, may cost.
const ends = 0.2

// Apply narrows m. A model that is narrow already gives an error that wraps ErrImpossible.
func (q *Quantise) Apply(ctx context.Context, m *polynet.Model, d Data) (*polynet.Model, Report, error) {
	if err := checkFloat(m); err != nil {
		return nil, Report{}, err
	}
	inputs, err := operandScales(ctx, m, d)
	if err != nil {
		return nil, Report{}, err
	}
	var r Report
	measured := func(what string, n polynet.Narrow) (*polynet.Model, float64, error) {
		plain := narrowed(m, n, inputs)
		rounded, err := d.Accuracy(ctx, plain)
		if err != nil {
			return nil, 0, err
		}
		fitted, err := matched(plain, m, d)
		if err != nil {
			return nil, 0, err
		}
		accuracy, err := d.Accuracy(ctx, fitted)
		r.Lines = append(r.Lines, fmt.Sprintf("%s: rounded %.2f %%, with the norms matched %.2f %%",
			what, rounded, accuracy))
		if rounded > accuracy { // as of int8, whose statistics hardly differ
			return plain, rounded, err
		}
		return fitted, accuracy, err
	}
	chosen, what, parts := polynet.Narrow{Weights: q.Weights}, "stem and head float32", []string{"stem", "head"}
	switch q.Ends {
	case EndsFloat:
		parts = nil
	case EndsNarrow:
		chosen.Stem, chosen.Head, what, parts = true, true, "stem and head narrow", nil
	}
	best, accuracy, err := measured(what, chosen)
	if err != nil {
		return nil, r, err
	}
	for _, part := range parts {
		n := chosen
		if part == "stem" {
			n.Stem = true
		} else {
			n.Head = true
		}
		narrow, with, err := measured(part+" narrow, too", n)
		if err != nil {
			return nil, r, err
		}
		if with >= accuracy-ends {
			best, chosen = narrow, n
			accuracy = max(accuracy, with)
		}
	}
	weights, bits := best.Net.Program().WeightBits()
	r.Done = fmt.Sprintf("%d weights, %.3g bits each with their scales; stem narrow: %t, head narrow: %t",
		weights, bits/float64(weights), chosen.Stem, chosen.Head)
	return best, r, best.Validate()
}

// matched returns m with norms that give, in mean and variance over the calibration clips, what those of another model
// of the same network do. With its statistics s, measured on the clips s', and m's measured ones t, m's become
// t.mean + (s.mean − s'.mean)·√(t.var/s'.var) and s.var·t.var/s'.var.
func matched(m, other *polynet.Model, d Data) (*polynet.Model, error) {
	rows := normalised(m, d)
	mine, err := training.NormStatistics(m, d.Device, rows, d.Clips)
	if err != nil {
		return nil, err
	}
	its, err := training.NormStatistics(other, d.Device, rows, d.Clips)
	if err != nil {
		return nil, err
	}
	q := *m
	q.Weights = maps.Clone(m.Weights)
	for name := range mine {
		base, ok := strings.CutSuffix(name, ".running_mean")
		if !ok {
			continue
		}
		variance := base + ".running_var"
		means, variances := make([]float32, len(values(mine, name))), make([]float32, len(values(mine, name)))
		for i := range means {
			ratio := (float64(values(mine, variance)[i]) + polynet.NormEpsilon) /
				(float64(values(its, variance)[i]) + polynet.NormEpsilon)
			shift := float64(values(other.Weights, name)[i] - values(its, name)[i])
			means[i] = float32(float64(values(mine, name)[i]) + shift*math.Sqrt(ratio))
			variances[i] = float32((float64(values(other.Weights, variance)[i])+polynet.NormEpsilon)*ratio - polynet.NormEpsilon)
			variances[i] = max(variances[i], 0)
		}
		put(q.Weights, name, means, len(means))
		put(q.Weights, variance, variances, len(variances))
	}
	return &q, nil
}

// normalised returns the calibration clips' normalised features.
func normalised(m *polynet.Model, d Data) []float32 {
	rows := slices.Clone(d.Rows)
	m.Norm.Apply(rows)
	return rows
}

// narrowed returns m with narrow weights. inputs are the scales of tensors.
func narrowed(m *polynet.Model, n polynet.Narrow, inputs map[polynet.Tensor]float32) *polynet.Model {
	q := *m
	q.Net.Narrow, q.Weights = &n, polynet.Weights{}
	p := q.Net.Program()
	for _, w := range p.Weights {
		if w.Precision == polynet.Float32 {
			q.Weights[w.Name] = m.Weights[w.Name] // nil of scales, which follow
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Precision == polynet.Float32 {
			continue
		}
		levels, scales := s.Precision.Quantise(values(m.Weights, s.Weight), s.Width)
		put(q.Weights, s.Weight, levels, m.Weights[s.Weight].Shape()...)
		put(q.Weights, s.WeightScale, scales, s.Width)
		if s.InputScale != "" {
			put(q.Weights, s.InputScale, []float32{inputs[s.X]}, 1)
		}
	}
	return &q
}

// operandScales returns the scales of the tensors that convolutions read.
func operandScales(ctx context.Context, m *polynet.Model, d Data) (map[polynet.Tensor]float32, error) {
	a, err := training.NewActivations(m, d.Device)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	p, samples := m.Net.Program(), map[polynet.Tensor][]float32{}
	size := d.Frames * m.Features.Mels
	each := max(1, maxSamples*momentsBatch/max(d.Clips, momentsBatch)) // of a batch
	for clips := range slices.Chunk(normalised(m, d), momentsBatch*size) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a.Run(clips, len(clips)/size)
		seen := map[polynet.Tensor]bool{}
		for i := range p.Steps {
			s := &p.Steps[i]
			if s.Op != polynet.OpConv || seen[s.X] {
				continue
			}
			seen[s.X] = true
			values := a.Rows(s.X)
			step := max(1, len(values)/each)
			for i := 0; i < len(values); i += step {
				samples[s.X] = append(samples[s.X], values[i])
			}
		}
	}
	scales := map[polynet.Tensor]float32{}
	for t, values := range samples {
		scales[t] = operandScale(values)
	}
	return scales, nil
}

// maxSamples is how many values of a tensor decide its scale.
const maxSamples = 1 << 16

// operandScale returns the scale that rounds and clamps values with the least mean square error, of those that clamp so
// many of them.
func operandScale(values []float32) float32 {
	sizes := make([]float32, len(values))
	for i, v := range values {
		sizes[i] = float32(math.Abs(float64(v)))
	}
	slices.Sort(sizes)
	best, least := float32(0), math.Inf(1)
	rounded := make([]float32, len(values))
	for _, percentile := range []float64{100, 99.99, 99.97, 99.9, 99.7, 99} {
		at := int(math.Ceil(percentile/100*float64(len(sizes)))) - 1
		scale := max(sizes[max(at, 0)]/polynet.MaxLevel, math.SmallestNonzeroFloat32*(1<<30))
		polynet.RoundTo(rounded, values, scale)
		sum := 0.0
		for i, v := range values {
			e := float64(v - rounded[i])
			sum += e * e
		}
		if sum < least {
			best, least = scale, sum
		}
	}
	return best
}
