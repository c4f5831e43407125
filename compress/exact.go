package compress

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/bounds"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Exact removes units that provably change nothing: those that are 0 everywhere (of ReLU networks "stably
// inactive"), those that nothing reads, and those that are everywhere linear combinations of others (Kumar, Serra
// and Ramalingam, "Equivalent and approximate transformations of deep neural networks", 2019, with the bounds of
// package bounds in place of a mixed-integer program). Units are the channels that only a block itself reads, and
// everywhere means for each row of each clip of features within ±Norm.Limit, which is all that a network ever
// gets.
//
// A block all of whose units are stably active computes one convolution of a wider kernel. It stays as it is: of the
// rows next to a clip's ends, where the unit's own rows outside count as 0, that convolution would make others.
type Exact struct {
	Method bounds.Method // of the proofs
	// Around are the rows of a clip, (frames, mels), not normalised, and Radius is by how many decibels each of its values
	// may differ: the model is then equivalent there alone. nil: everywhere.
	Around []float32
	Radius float64
	Points int // random points of the region at which the models are compared
}

// maxLogitDifference is by how much a logit may differ after an exact change, from rounding, relative to the
// largest and at least to 1.
const maxLogitDifference = 1e-4

// dependence is up to which share of its length a unit's weights count as a linear combination of others'.
const dependence = 1e-6

// Name returns "exact".
func (*Exact) Name() string { return "exact" }

// Apply returns the model without such units. A model without a limit of its features, unless it is around a clip,
// gives an error that wraps ErrImpossible, and so does a result that is not equivalent on d's clips and on the
// random points.
func (e *Exact) Apply(ctx context.Context, m *polynet.Model, d Data) (*polynet.Model, Report, error) {
	if e.Around == nil && m.Norm.Limit <= 0 {
		return nil, Report{}, fmt.Errorf("%w: the model's features have no limit within which units could be proved to be 0",
			ErrImpossible)
	}
	c := channelsOf(m.Net)
	w := &exactWork{Exact: e, channels: c, model: m, units: make([]unitCounts, len(c.groups))}
	frames := []int{d.Frames}
	if e.Around != nil {
		frames = []int{len(e.Around) / m.Net.Inputs}
	} else if reach := c.p.Reach(); reach.Before+reach.After+2*reach.Stride >= d.Frames {
		frames = append(frames, reach.Before+reach.After+2*reach.Stride+1) // of longer clips and of streams
	}
	for _, n := range frames {
		if err := w.bound(ctx, n); err != nil {
			return nil, Report{}, err
		}
	}
	chosen := w.choose()
	n, err := c.narrow(m, chosen, nil, FoldNone)
	if err != nil {
		return nil, Report{}, err
	}
	difference, err := w.compare(ctx, n, d)
	if err != nil {
		return nil, Report{}, err
	}
	return n, w.report(chosen, difference), nil
}

// unitCounts is what is known about a group's units.
type unitCounts struct {
	inner            bool   // only the block itself reads them
	silent, active   []bool // by unit: 0 everywhere; its ReLU, if it has one, passes everything
	unread           []bool
	zero, free, same int // units that are removed: silent, unread, dependent
}

type exactWork struct {
	*Exact
	channels *channels
	model    *polynet.Model
	units    []unitCounts
	folded   *polynet.Program
	weights  polynet.Weights
}

// region returns what clips of so many frames can be.
func (w *exactWork) region(frames int) bounds.Region {
	if w.Around != nil {
		s := bounds.Sound{Rows: w.Around, Floor: w.model.Features.Floor, Norm: w.model.Norm}
		return s.Region(0, 0, w.Radius)
	}
	return bounds.Box(frames*w.model.Net.Inputs, float64(w.model.Norm.Limit))
}

// bound notes which units are proved to be silent or active in clips of so many frames.
func (w *exactWork) bound(ctx context.Context, frames int) (err error) {
	if w.folded, w.weights, err = w.model.Inference(); err != nil {
		return err
	}
	net, err := bounds.Compile(w.folded, w.weights, frames)
	if err != nil {
		return err
	}
	b, err := net.Compute(ctx, w.region(frames), w.Method)
	if err != nil {
		return err
	}
	c := w.channels
	first := w.units[0].silent == nil
	outputs := map[string]int{} // the last step of each part
	for i := range c.p.Steps {
		outputs[c.p.Steps[i].Part] = i
	}
	for g := range c.groups {
		u, group := &w.units[g], &c.groups[g]
		if first {
			u.inner = len(group.read) > 0
			u.silent, u.active = slices.Repeat([]bool{true}, group.width), slices.Repeat([]bool{true}, group.width)
			u.unread = slices.Repeat([]bool{true}, group.width)
		}
		for i := range c.p.Steps {
			if c.of[polynet.Output(i)] != g {
				continue
			}
			u.inner = u.inner && outputs[c.p.Steps[i].Part] != i
			pre := b.BeforeReLU(i)
			if pre != nil {
				note(u.active, pre.Low, func(low, margin float64) bool { return low >= margin })
			}
			if !slices.Contains(group.read, polynet.Output(i)) {
				continue
			}
			if pre != nil {
				note(u.silent, pre.High, func(high, margin float64) bool { return high <= -margin })
				continue
			}
			f := b.Output(polynet.Output(i))
			note(u.silent, f.Low, func(low, _ float64) bool { return low > -1e-30 })
			note(u.silent, f.High, func(high, _ float64) bool { return high < 1e-30 })
		}
		w.noteUnread(u, g)
	}
	return nil
}

// note clears what does not hold of each of a channel's rows. Margins are relative to the largest value.
func note(holds []bool, values []float64, test func(v, margin float64) bool) {
	margin := bounds.Margin * max(1, floats.Norm(values, math.Inf(1)))
	for i, v := range values {
		k := i % len(holds)
		holds[k] = holds[k] && test(v, margin)
	}
}

// noteUnread clears unread of the units that a convolution or the head has a weight for.
func (w *exactWork) noteUnread(u *unitCounts, g int) {
	for i := range w.channels.p.Steps {
		s := &w.channels.p.Steps[i]
		if s.Weight == "" || w.channels.of[w.channels.operand(s)] != g {
			continue
		}
		for k, v := range values(w.weights, s.Weight) {
			// A depthwise convolution reads each channel for itself, and what reads its output is in the group, too.
			if s.Op != polynet.OpDepthwise && v != 0 {
				u.unread[k/s.Width%s.In] = false
			}
		}
	}
}

// choose returns which units stay, with exactly what they take the place of.
func (w *exactWork) choose() []choice {
	chosen := make([]choice, len(w.units))
	for g := range w.units {
		u := &w.units[g]
		width := w.channels.groups[g].width
		dependent := mat.NewDense(width, width, nil) // rows: removed units, columns: the others that they are made of
		keep := upTo(width)
		if u.inner {
			keep = keep[:0]
			for i := range width {
				switch {
				case u.silent[i]:
					u.zero++
				case u.unread[i]:
					u.free++
				default:
					keep = append(keep, i)
				}
			}
			keep = w.independent(g, keep, dependent)
			if len(keep) == 0 { // a convolution has one channel at least
				keep = []int{0}
			}
		}
		a := affine{mat.NewDense(width, len(keep), nil), make([]float64, width)}
		for at, i := range keep {
			for k := range width {
				a.weight.Set(k, at, dependent.At(k, i))
			}
			a.weight.Set(i, at, 1)
		}
		chosen[g] = choice{keep: keep, exact: &a}
	}
	return chosen
}

// independent removes of the kept units those that are linear combinations of others, weights and bias, so that
// they are the same combinations everywhere, outside of clips too. Their ReLU, if they have one, must pass
// everything.
func (w *exactWork) independent(g int, keep []int, dependent *mat.Dense) (left []int) {
	u, group := &w.units[g], &w.channels.groups[g]
	if len(group.convs) != 1 || len(group.read) != 1 || group.read[0] != polynet.Output(group.convs[0]) {
		return keep // a product's factor, for example
	}
	s := &w.folded.Steps[group.convs[0]]
	filter, bias := values(w.weights, s.Weight), values(w.weights, s.Bias)
	var basis [][]float64 // orthonormal
	var rows [][]float64  // of the units in members
	var members []int
	for _, i := range keep {
		if !u.active[i] {
			left = append(left, i)
			continue
		}
		row := []float64{float64(bias[i])}
		for k := i; k < len(filter); k += s.Width {
			row = append(row, float64(filter[k]))
		}
		rest, length := slices.Clone(row), floats.Norm(row, 2)
		for range 2 { // again, for the rounding of the first time
			for _, b := range basis {
				floats.AddScaled(rest, -floats.Dot(b, rest), b)
			}
		}
		size := floats.Norm(rest, 2)
		if size > dependence*length {
			floats.Scale(1/size, rest)
			basis, rows, members, left = append(basis, rest), append(rows, row), append(members, i), append(left, i)
			continue
		}
		u.same++
		combine(dependent, i, row, rows, members)
	}
	return left
}

// combine writes into unit i's row of dependent how its weights are made of the members'.
func combine(dependent *mat.Dense, i int, row []float64, rows [][]float64, members []int) {
	if len(rows) == 0 {
		return // no weights at all
	}
	system := mat.NewDense(len(row), len(rows), nil)
	for at, r := range rows {
		system.SetCol(at, r)
	}
	var solution mat.VecDense
	if err := solution.SolveVec(system, mat.NewVecDense(len(row), row)); err != nil {
		panic("compress: orthogonal rows are not independent: " + err.Error())
	}
	for at, k := range members {
		dependent.Set(i, k, solution.AtVec(at))
	}
}

// compare returns the largest difference of a logit between both models, on d's clips and on random points, and an
// error where an answer differs or a logit too much.
func (w *exactWork) compare(ctx context.Context, n *polynet.Model, d Data) (largest float64, err error) {
	frames, mels := d.Frames, n.Net.Inputs
	if w.Around != nil {
		frames = len(w.Around) / mels
	}
	const batch = 16
	runs := [2]*inference.Clips{}
	for i, m := range []*polynet.Model{w.model, n} {
		plan, err := inference.Compile(m, d.Device)
		if err != nil {
			return 0, err
		}
		defer plan.Close()
		runs[i] = plan.Clips(batch, frames)
		defer runs[i].Close()
	}
	check := func(rows []float32) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		count := len(rows) / (frames * mels)
		before := slices.Clone(runs[0].Run(rows, count))
		after := runs[1].Run(rows, count)
		for i := range count {
			a, b := before[i*n.Net.Classes:(i+1)*n.Net.Classes], after[i*n.Net.Classes:(i+1)*n.Net.Classes]
			differ, scale := 0.0, 1.0
			for k, v := range a {
				differ, scale = max(differ, math.Abs(float64(v-b[k]))), max(scale, math.Abs(float64(v)))
			}
			largest = max(largest, differ)
			if !(differ <= maxLogitDifference*scale) || slices.Index(a, slices.Max(a)) != slices.Index(b, slices.Max(b)) &&
				!tied(a, slices.Index(b, slices.Max(b)), differ) {
				return fmt.Errorf("%w: a logit of an equivalent network differs by %g", ErrImpossible, differ)
			}
		}
		return nil
	}
	if w.Around == nil {
		for rows := range slices.Chunk(d.Rows, batch*frames*mels) {
			if err := check(rows); err != nil {
				return largest, err
			}
		}
	}
	region, rng := w.region(frames), rand.New(rand.NewPCG(1, 2))
	for done := 0; done < w.Points; done += batch {
		rows := make([]float32, 0, batch*frames*mels)
		for range min(batch, w.Points-done) {
			for i, center := range region.Center {
				v := center + region.Radius[i]*(2*rng.Float64()-1)
				norm := w.model.Norm
				rows = append(rows, float32(v)*norm.Std[i%mels]+norm.Mean[i%mels])
			}
		}
		if err := check(rows); err != nil {
			return largest, err
		}
	}
	return largest, nil
}

// tied reports whether logit k is as good as the largest one, up to twice a difference.
func tied(logits []float32, k int, difference float64) bool {
	return float64(slices.Max(logits)-logits[k]) <= 2*difference
}

func (w *exactWork) report(chosen []choice, difference float64) Report {
	var sum unitCounts
	var all, removed, linear int
	var lines []string
	for g, u := range w.units {
		if !u.inner {
			continue
		}
		width, left := w.channels.groups[g].width, len(chosen[g].keep)
		all, removed = all+width, removed+width-left
		sum.zero, sum.free, sum.same = sum.zero+u.zero, sum.free+u.free, sum.same+u.same
		if !slices.Contains(u.active, false) {
			linear++
		}
		if left < width {
			name := w.channels.groups[g].name
			lines = append(lines, fmt.Sprintf("%s: %d of %d units stay; %s", name, left, width, u.reasons()))
		}
	}
	if all == 0 {
		return Report{Done: "the blocks have no units of their own"}
	}
	domain := "for all features within the limit"
	if w.Around != nil {
		domain = fmt.Sprintf("within ±%g dB of one clip's features", w.Radius)
	}
	lines = append(lines, fmt.Sprintf("%d sets of units have no ReLU, or one that passes everything; the largest "+
		"difference of a logit, on the clips and %d random points, is %.2g", linear, w.Points, difference))
	return Report{
		Done: fmt.Sprintf("%d of %d units removed (%.1f %%), proved %s: %s",
			removed, all, 100*float64(removed)/float64(all), domain, sum.reasons()),
		Lines: lines,
	}
}

// reasons says why units can be removed.
func (u *unitCounts) reasons() string {
	return fmt.Sprintf("%d are 0, %d are not read, %d are combinations of others", u.zero, u.free, u.same)
}
