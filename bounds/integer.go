package bounds

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/polyphon/polyphon/internal/milp"
)

// Question asks of a channel of what a step's ReLU reads whether some input of the region brings it, in some row, above
// 0, or below 0.
type Question struct {
	Step, Channel int
	Above         bool
}

// Verdict is what is known of a Question.
type Verdict int

// The verdicts, in the order in which they prevail where several rows or regions have one each.
const (
	Proved   Verdict = iota // no input does
	Open                    // the time was up
	TooLarge                // there are too many values on both sides of 0 before it
	Refuted                 // some input does
)

// The largest problems that a solver is given.
const maxTerms, maxBinaries = 1 << 21, 1000

// Decide answers questions of one step that the bounds leave open by mixed-integer programs (Kumar, Serra and
// Ramalingam, 2019), of which these bounds give the constants, for about as long as limit. What is proved tightens the
// bounds of what the ReLU reads, by Margin beyond 0; what an input refutes is seen by computing the network there.
//
// A first program asks for an input of which at least one of the questions is true, and again as long as there are such
// inputs, for half of the time; then each question that is left is asked by itself. Layers of several rows are asked
// row by row; rows of which the programs are the same, as those far from a clip's ends, are asked once.
func (b *Bounds) Decide(
	ctx context.Context, s *milp.Solver, questions []Question, limit time.Duration,
) ([]Verdict, error) {
	if len(questions) == 0 {
		return nil, nil
	}
	d := &decision{
		b: b, solver: s, x: b.net.before[questions[0].Step], questions: questions, verdicts: make([]Verdict, len(questions)),
		known: map[[sha256.Size]byte]Verdict{},
	}
	for i := range d.verdicts {
		d.verdicts[i] = Open
	}
	f := b.forms[d.x]
	d.margins = [2]float64{MarginOf(f.Low), MarginOf(f.High)}
	begin := time.Now()
	left := func() time.Duration { return limit - time.Since(begin) }
	if b.net.nodes[d.x].rows == 1 {
		if err := d.together(ctx, func() time.Duration { return left() - limit/2 }); err != nil {
			return nil, err
		}
	}
	for i, v := range d.verdicts {
		if v == Open {
			if err := d.alone(ctx, i, left()/time.Duration(d.open(i))); err != nil {
				return nil, err
			}
		}
	}
	return d.verdicts, nil
}

// decision is the work of Decide.
type decision struct {
	b         *Bounds
	solver    *milp.Solver
	x         int // the node that the ReLU reads
	questions []Question
	verdicts  []Verdict
	margins   [2]float64                    // of values below and above 0
	known     map[[sha256.Size]byte]Verdict // by program
}

// open returns the number of open questions from number i on.
func (d *decision) open(i int) (n int) {
	for _, v := range d.verdicts[i:] {
		if v == Open {
			n++
		}
	}
	return n
}

// entries returns the entries of node x that a question is about and bounds do not answer.
func (d *decision) entries(q Question) []int { return d.b.unanswered(d.x, q, d.margins) }

// unanswered returns the entries of node x that a question is about and bounds do not answer.
func (b *Bounds) unanswered(x int, q Question, margins [2]float64) (list []int) {
	v, f := &b.net.nodes[x], b.forms[x]
	for i := q.Channel; i < v.rows*v.cols; i += v.cols {
		if q.Above && f.High[i] > -margins[1] || !q.Above && f.Low[i] < margins[0] {
			list = append(list, i)
		}
	}
	return list
}

// Questions returns those about a step's ReLU that the bounds leave open.
func (b *Bounds) Questions(step int) (list []Question) {
	x := b.net.before[step]
	if x < 0 {
		return nil
	}
	v, f := &b.net.nodes[x], b.forms[x]
	margins := [2]float64{MarginOf(f.Low), MarginOf(f.High)}
	for c := range v.cols {
		for _, q := range []Question{{step, c, true}, {step, c, false}} {
			refuted := func(i int) bool { return q.Above && f.Low[i] > 0 || !q.Above && f.High[i] < 0 }
			if open := b.unanswered(x, q, margins); len(open) > 0 && !slices.ContainsFunc(open, refuted) {
				list = append(list, q)
			}
		}
	}
	return list
}

// together asks for inputs of which any of the open questions is true, in a layer of one row.
func (d *decision) together(ctx context.Context, left func() time.Duration) error {
	for d.open(0) > 1 && left() > 0 {
		var asked []int
		p := newProgram(d.b)
		var any []milp.Term
		for i, v := range d.verdicts {
			if v != Open {
				continue
			}
			asked = append(asked, i)
			for _, e := range d.entries(d.questions[i]) {
				any = append(any, milp.Term{Factor: 1, Variable: p.ask(d.x, e, d.questions[i].Above, d.margins)})
			}
		}
		if p.tooLarge {
			return nil
		}
		p.problem.AtLeast(1, any...)
		p.problem.Prefer(any...)
		answer, point, err := d.solver.Solve(ctx, p.problem, left())
		if err != nil {
			return err
		}
		switch answer {
		case milp.Infeasible:
			for _, i := range asked {
				d.prove(i)
			}
		case milp.Feasible:
			if n, err := d.refute(ctx, p, point); n == 0 || err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// alone asks question i, of each row by itself.
func (d *decision) alone(ctx context.Context, i int, limit time.Duration) error {
	begin, q := time.Now(), d.questions[i]
	for _, e := range d.entries(q) {
		p := newProgram(d.b)
		asked := milp.Term{Factor: 1, Variable: p.ask(d.x, e, q.Above, d.margins)}
		if p.tooLarge {
			d.verdicts[i] = TooLarge
			return nil
		}
		p.problem.AtLeast(1, asked)
		p.problem.Prefer(p.toward(d.x, e, q.Above))
		hash := sha256.New()
		if err := p.problem.WriteLP(hash); err != nil {
			return err
		}
		key := [sha256.Size]byte(hash.Sum(nil))
		verdict, found := d.known[key]
		if !found {
			if time.Since(begin) >= limit {
				return nil
			}
			answer, point, err := d.solver.Solve(ctx, p.problem, limit-time.Since(begin))
			if err != nil {
				return err
			}
			verdict = Open
			switch answer {
			case milp.Infeasible:
				verdict = Proved
			case milp.Feasible:
				if _, err := d.refute(ctx, p, point); err != nil {
					return err
				}
				verdict = d.verdicts[i]
			}
			d.known[key] = verdict
		}
		if verdict != Proved {
			d.verdicts[i] = verdict
			return nil
		}
	}
	d.prove(i)
	return nil
}

// prove notes that question i is answered, in the bounds too.
func (d *decision) prove(i int) {
	q, f := d.questions[i], d.b.forms[d.x]
	for _, e := range d.entries(q) {
		if q.Above {
			f.High[e] = -d.margins[1]
			f.Low[e] = min(f.Low[e], f.High[e])
		} else {
			f.Low[e] = d.margins[0]
			f.High[e] = max(f.Low[e], f.High[e])
		}
	}
	d.verdicts[i] = Proved
}

// refute computes the network at a program's point and notes which questions it refutes, and returns their number.
func (d *decision) refute(ctx context.Context, p *program, point []float64) (refuted int, err error) {
	input := d.b.forms[0]
	r := Region{Center: make([]float64, len(input.Center))}
	for i := range r.Center {
		r.Center[i] = input.middle(i)
		if v, ok := p.variables[[2]int{0, i}]; ok {
			r.Center[i] = max(input.Low[i], min(point[v], input.High[i]))
		}
	}
	at, err := d.b.net.Compute(ctx, r, Method{Intervals: true})
	if err != nil {
		return 0, err
	}
	f := at.forms[d.x]
	for i, q := range d.questions {
		if d.verdicts[i] != Open {
			continue
		}
		for _, e := range d.entries(q) {
			if q.Above && f.Low[e] > 0 || !q.Above && f.High[e] < 0 {
				d.verdicts[i] = Refuted
				refuted++
				break
			}
		}
	}
	return refuted, nil
}
