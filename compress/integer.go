package compress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/polyphon/polyphon/bounds"
	"github.com/polyphon/polyphon/internal/milp"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// integer is what mixed-integer programs are asked, and what they have answered.
type integer struct {
	solver   *milp.Solver // nil: none is installed
	left     time.Duration
	seen     map[polynet.Tensor][]sides // what channels are on the clips and on corners of the region
	verdicts map[bounds.Question]bounds.Verdict
	failed   error // of the solver: nothing more is asked
}

// sides says which values a channel has had.
type sides struct{ positive, zero bool }

// corners is at how many random corners of the region units are looked at, besides the clips.
const corners = 256

// newInteger looks at the units on the calibration clips and at corners of the region.
func (w *exactWork) newInteger(ctx context.Context, d Data) (*integer, error) {
	n := &integer{
		solver: milp.Find(), left: w.Integer, seen: map[polynet.Tensor][]sides{},
		verdicts: map[bounds.Question]bounds.Verdict{},
	}
	a, err := training.NewActivations(w.model, d.Device)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	look := func(rows []float32) {
		rows = slices.Clone(rows)
		w.model.Norm.Apply(rows)
		a.Run(rows, len(rows)/(w.frames*w.model.Net.Inputs))
		for i, s := range w.channels.p.Steps {
			if !s.ReLU {
				continue
			}
			t := polynet.Output(i)
			if n.seen[t] == nil {
				n.seen[t] = make([]sides, s.Width)
			}
			for k, v := range a.Rows(t) {
				c := &n.seen[t][k%s.Width]
				c.positive, c.zero = c.positive || v > 0, c.zero || v == 0
			}
		}
	}
	clips := d.Rows
	if w.Around != nil {
		clips = nil
	}
	for rows := range slices.Chunk(clips, exactBatch*w.frames*w.model.Net.Inputs) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		look(rows)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range corners / exactBatch {
		look(w.random(rng, exactBatch, true))
	}
	return n, nil
}

// ask has a solver answer what bounds leave open about step i's ReLU, of units that may yet be silent or active. So
// many steps will ask, this one included.
func (w *exactWork) ask(ctx context.Context, b *bounds.Bounds, i, steps int) error {
	n := w.integer
	t := polynet.Output(i)
	g := w.channels.of[t]
	u, group := &w.units[g], &w.channels.groups[g]
	read := slices.Contains(group.read, t)
	var questions []bounds.Question
	for _, q := range b.Questions(i) {
		if s := n.seen[t][q.Channel]; q.Above && read && u.silent[q.Channel] && !s.positive ||
			!q.Above && u.active[q.Channel] && !s.zero {
			questions = append(questions, q)
		}
	}
	verdicts := slices.Repeat([]bounds.Verdict{bounds.Open}, len(questions))
	if n.solver != nil && n.failed == nil {
		begin := time.Now()
		answers, err := b.Decide(ctx, n.solver, questions, n.left/time.Duration(steps))
		n.left -= time.Since(begin)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if n.failed = err; err == nil {
			verdicts = answers
		}
	}
	for k, q := range questions {
		n.verdicts[q] = max(n.verdicts[q], verdicts[k])
	}
	return nil
}

// report says what was asked and answered.
func (n *integer) report() string {
	if len(n.verdicts) == 0 {
		return "bounds leave no unit open that the clips show on one side of 0 alone: no mixed-integer program was needed"
	}
	var counts [bounds.Refuted + 1]int
	for _, v := range n.verdicts {
		counts[v]++
	}
	asked := fmt.Sprintf("%d units that bounds leave open and the clips show on one side of 0 alone", len(n.verdicts))
	switch {
	case n.failed != nil:
		return fmt.Sprintf("%s: mixed-integer programs gave no answer: %v", asked, n.failed)
	case n.solver == nil:
		return fmt.Sprintf("%s stay: no solver of mixed-integer programs is installed (cbc or glpsol)", asked)
	}
	return fmt.Sprintf("of %s, mixed-integer programs (%s) prove %d, refute %d and leave %d open; %d depend on too many "+
		"values", asked, n.solver.Name(), counts[bounds.Proved], counts[bounds.Refuted], counts[bounds.Open],
		counts[bounds.TooLarge])
}
