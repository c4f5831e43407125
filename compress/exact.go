package compress

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/polyphon/polyphon/bounds"
	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Exact removes units that provably change nothing: those that are 0 everywhere (of ReLU networks "stably
// inactive"), those that nothing reads, and those that are everywhere linear combinations of others (Kumar, Serra
// and Ramalingam, "Equivalent and approximate transformations of deep neural networks", 2019, with the bounds of
// package bounds before mixed-integer programs). Units are the channels of the stem, of stages and within blocks, and
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
	// Integer is for how long a solver of mixed-integer programs, where one is installed, is asked about the units that
	// bounds leave open; 0: it is not asked.
	Integer time.Duration
}

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
	if err := checkFloat(m); err != nil {
		return nil, Report{}, err
	}
	w := &exactWork{Exact: e, channels: channelsOf(m.Net), model: m, frames: d.Frames}
	w.units = make([]unitCounts, len(w.channels.groups))
	if e.Around != nil {
		w.frames = len(e.Around) / m.Net.Inputs
	}
	if e.Integer > 0 {
		var err error
		if w.integer, err = w.newInteger(ctx, d); err != nil {
			return nil, Report{}, err
		}
	}
	if err := w.prove(ctx); err != nil {
		return nil, Report{}, err
	}
	everywhere, err := w.everywhere(ctx, d)
	if err != nil {
		return nil, Report{}, err
	}
	chosen := w.choose()
	n, err := w.channels.narrow(m, chosen, nil, FoldNone)
	if err != nil {
		return nil, Report{}, err
	}
	c, err := w.compare(ctx, n, d)
	if err != nil {
		return nil, Report{}, err
	}
	return n, w.report(chosen, c, everywhere), nil
}

// everywhere returns how many units bounds alone prove to change nothing for all features within the limit, where the
// model is to be equivalent around a clip, and -1 where it is not, or where there is no limit.
func (w *exactWork) everywhere(ctx context.Context, d Data) (removed int, err error) {
	if w.Around == nil || w.model.Norm.Limit <= 0 {
		return -1, nil
	}
	v := &exactWork{Exact: &Exact{Method: w.Method}, channels: w.channels, model: w.model, frames: d.Frames}
	v.units = make([]unitCounts, len(w.units))
	if err := v.prove(ctx); err != nil {
		return 0, err
	}
	for g, k := range v.choose() {
		if v.units[g].read {
			removed += w.channels.groups[g].width - len(k.keep)
		}
	}
	return removed, nil
}

// unitCounts is what is known about a group's units.
type unitCounts struct {
	read             bool   // a convolution or the head reads them
	silent, active   []bool // by unit: 0 everywhere; its ReLU, if it has one, passes everything
	unread           []bool
	zero, free, same int // units that are removed: silent, unread, dependent
}

type exactWork struct {
	*Exact
	channels *channels
	model    *polynet.Model
	units    []unitCounts
	frames   int      // of the clips on which the models are compared
	integer  *integer // nil: nothing is asked
	folded   *polynet.Program
	weights  polynet.Weights
}

// lengths returns the lengths of clips for which units are proved to be what they are, in frames.
func (w *exactWork) lengths() []int {
	reach := w.channels.p.Reach()
	switch span := reach.Before + reach.After + 2*reach.Stride; {
	case w.Around != nil:
		return []int{w.frames}
	case reach.Before+reach.After == 0:
		return []int{1} // each row for itself
	case span >= w.frames:
		return []int{w.frames, span + 1} // of longer clips and of streams
	}
	return []int{w.frames}
}

// prove notes which units are proved to be silent or active.
func (w *exactWork) prove(ctx context.Context) error {
	lengths := w.lengths()
	for i, n := range lengths {
		if err := w.bound(ctx, n, len(lengths)-i); err != nil {
			return err
		}
	}
	return nil
}

// region returns what clips of so many frames can be.
func (w *exactWork) region(frames int) bounds.Region {
	if w.Around != nil {
		s := bounds.Sound{Rows: w.Around, Floor: w.model.Features.Floor, Norm: w.model.Norm}
		return s.Region(0, 0, w.Radius)
	}
	return bounds.Box(frames*w.model.Net.Inputs, float64(w.model.Norm.Limit))
}

// bound notes which units are proved to be silent or active in clips of so many frames. So many lengths are left, this
// one included, over which the time of mixed-integer programs is spread.
func (w *exactWork) bound(ctx context.Context, frames, left int) (err error) {
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
	for g := range c.groups {
		if u, width := &w.units[g], c.groups[g].width; u.silent == nil {
			u.read = len(c.groups[g].read) > 0
			u.silent, u.active = slices.Repeat([]bool{true}, width), slices.Repeat([]bool{true}, width)
			u.unread = slices.Repeat([]bool{true}, width)
		}
		w.noteUnread(g)
	}
	rectified := 0
	for _, s := range c.p.Steps {
		if s.ReLU {
			rectified++
		}
	}
	for i := range c.p.Steps {
		g := c.of[polynet.Output(i)]
		if g < 0 {
			continue
		}
		if c.p.Steps[i].ReLU && w.integer != nil {
			if err := w.ask(ctx, b, i, left*rectified); err != nil {
				return err
			}
			rectified--
		}
		w.noteStep(b, i, &w.units[g])
	}
	return nil
}

// noteStep notes what bounds say of a step's channels.
func (w *exactWork) noteStep(b *bounds.Bounds, i int, u *unitCounts) {
	pre := b.BeforeReLU(i)
	if pre != nil {
		note(u.active, pre.Low, func(low, margin float64) bool { return low >= margin })
	}
	switch t := polynet.Output(i); {
	case !slices.Contains(w.channels.groups[w.channels.of[t]].read, t):
	case pre != nil:
		note(u.silent, pre.High, func(high, margin float64) bool { return high <= -margin })
	default:
		f := b.Output(t)
		note(u.silent, f.Low, func(low, _ float64) bool { return low > -1e-30 })
		note(u.silent, f.High, func(high, _ float64) bool { return high < 1e-30 })
	}
}

// note clears what does not hold of each of a channel's rows. Margins are relative to the largest value.
func note(holds []bool, values []float64, test func(v, margin float64) bool) {
	margin := bounds.MarginOf(values)
	for i, v := range values {
		k := i % len(holds)
		holds[k] = holds[k] && test(v, margin)
	}
}

// noteUnread clears unread of the units that a convolution or the head has a weight for.
func (w *exactWork) noteUnread(g int) {
	for i := range w.channels.p.Steps {
		s := &w.channels.p.Steps[i]
		if s.Weight == "" || w.channels.of[w.channels.operand(s)] != g {
			continue
		}
		for k, v := range values(w.weights, s.Weight) {
			// A depthwise convolution reads each channel for itself, and what reads its output is in the group, too.
			if s.Op != polynet.OpDepthwise && v != 0 {
				w.units[g].unread[k/s.Width%s.In] = false
			}
		}
	}
}

// choose returns which units stay, with exactly what they take the place of.
func (w *exactWork) choose() []choice {
	chosen, dependent := make([]choice, len(w.units)), make([]*mat.Dense, len(w.units))
	widths := make([]int, len(w.units))
	for g := range w.units {
		u := &w.units[g]
		width := w.channels.groups[g].width
		dependent[g] = mat.NewDense(width, width, nil) // rows: removed units, columns: the others that they are made of
		keep := upTo(width)
		if u.read {
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
			keep = w.independent(g, keep, dependent[g])
		}
		chosen[g].keep, widths[g] = keep, max(1, len(keep)) // a convolution has one channel at least
	}
	w.channels.separate(widths)
	for g := range chosen {
		k := &chosen[g]
		for i := 0; len(k.keep) < widths[g]; i++ {
			if at, found := slices.BinarySearch(k.keep, i); !found {
				k.keep = slices.Insert(k.keep, at, i)
				dependent[g].SetRow(i, make([]float64, w.channels.groups[g].width))
			}
		}
		width, _ := dependent[g].Dims()
		a := affine{mat.NewDense(width, len(k.keep), nil), make([]float64, width)}
		for at, i := range k.keep {
			for j := range width {
				a.weight.Set(j, at, dependent[g].At(j, i))
			}
			a.weight.Set(i, at, 1)
		}
		k.exact = &a
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
