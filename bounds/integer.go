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

// program is the mixed-integer program of the values that some entries depend on.
type program struct {
	b         *Bounds
	problem   *milp.Problem
	variables map[[2]int]int // by node and entry; −1 stands for 0
	tooLarge  bool
}

func newProgram(b *Bounds) *program {
	return &program{b: b, problem: new(milp.Problem), variables: map[[2]int]int{}}
}

// ask returns a binary variable that is 1 only where entry e of node x is above 0, or below 0, up to the margin.
func (p *program) ask(x, e int, above bool, margins [2]float64) int {
	v, z, f := p.value(x, e), p.problem.Binary(), p.b.forms[x]
	if p.tooLarge {
		return z
	}
	if above { // v ≥ low, and v ≥ −margin with z
		p.problem.AtLeast(f.Low[e], milp.Term{Factor: 1, Variable: v}, milp.Term{Factor: f.Low[e] + margins[1], Variable: z})
	} else {
		p.problem.AtLeast(-f.High[e],
			milp.Term{Factor: -1, Variable: v}, milp.Term{Factor: margins[0] - f.High[e], Variable: z})
	}
	return z
}

// toward returns the objective that leads to the answer of a question that was asked.
func (p *program) toward(x, e int, above bool) milp.Term {
	if above {
		return milp.Term{Factor: 1, Variable: p.variables[[2]int{x, e}]}
	}
	return milp.Term{Factor: -1, Variable: p.variables[[2]int{x, e}]}
}

// value returns the variable of a node's entry, with all that it depends on, or −1 for 0.
func (p *program) value(id, e int) int {
	key := [2]int{id, e}
	if v, ok := p.variables[key]; ok {
		return v
	}
	if terms, binaries := p.problem.Size(); terms > maxTerms || binaries > maxBinaries {
		p.tooLarge = true
		return -1
	}
	v := p.make(id, e)
	p.variables[key] = v
	return v
}

func (p *program) make(id, e int) int {
	v, f := &p.b.net.nodes[id], p.b.forms[id]
	variable := func() int { return p.problem.Variable(f.Low[e], f.High[e]) }
	switch v.kind {
	case input:
		return variable()
	case rectifier:
		return p.rectified(v, e)
	case product, tangent:
		return p.enclosed(id, v, e)
	}
	terms, constant := p.linear(v, e)
	y := variable()
	p.problem.Equal(constant, append(terms, milp.Term{Factor: 1, Variable: y})...)
	return y
}

// linear returns a linear node's entry as −Σ terms + constant.
func (p *program) linear(v *node, e int) (terms []milp.Term, constant float64) {
	add := func(w float64, node, entry int) {
		if w == 0 {
			return
		}
		if x := p.value(node, entry); x >= 0 {
			for i := range terms[max(0, len(terms)-4):] { // of a sum, which may have an operand twice
				if t := &terms[max(0, len(terms)-4)+i]; t.Variable == x {
					t.Factor -= w
					return
				}
			}
			terms = append(terms, milp.Term{Factor: -w, Variable: x})
		}
	}
	r, c, x := e/v.cols, e%v.cols, v.args[0]
	if v.bias != nil {
		constant = v.bias[c]
	}
	rows := p.b.net.nodes[x].rows
	switch v.kind {
	case conv:
		k0, k1, first := v.taps(r, rows)
		for k, w := range v.weight[(c*v.kernel+k0)*v.in : (c*v.kernel+k1)*v.in] {
			add(w, x, first*v.in+k)
		}
	case depthwise:
		k0, k1, first := v.taps(r, rows)
		for k := k0; k < k1; k++ {
			add(v.weight[k*v.cols+c], x, (first+k-k0)*v.cols+c)
		}
	case mean:
		for r := range rows {
			add(1/float64(rows), x, r*v.cols+c)
		}
	case sum:
		for _, x := range v.args {
			add(1, x, e)
		}
	}
	return terms, constant
}

// rectified returns max(x, 0), with a binary variable where x may be on both sides of 0.
func (p *program) rectified(v *node, e int) int {
	f := p.b.forms[v.args[0]]
	low, high := f.Low[e], f.High[e]
	if high <= 0 {
		return -1
	}
	x := p.value(v.args[0], e)
	if low >= 0 || x < 0 {
		return x
	}
	y, z := p.problem.Variable(0, high), p.problem.Binary()
	up, down := milp.Term{Factor: 1, Variable: y}, milp.Term{Factor: -1, Variable: y}
	p.problem.AtLeast(0, up, milp.Term{Factor: -1, Variable: x})
	p.problem.AtLeast(low, down, milp.Term{Factor: 1, Variable: x}, milp.Term{Factor: low, Variable: z})
	p.problem.AtLeast(0, down, milp.Term{Factor: high, Variable: z})
	return y
}

// enclosed returns a product or a tanh as its relaxation has it: more inputs meet that than the network.
func (p *program) enclosed(id int, v *node, e int) int {
	f, r := p.b.forms[id], p.b.relaxed[id]
	y := p.problem.Variable(f.Low[e], f.High[e])
	slopes := []float64{r.slopeX[e], 0}
	if v.kind == product {
		slopes[1] = r.slopeY[e]
	}
	up, down := []milp.Term{{Factor: 1, Variable: y}}, []milp.Term{{Factor: -1, Variable: y}}
	for i, a := range v.args {
		if x := p.value(a, e); x >= 0 && slopes[i] != 0 {
			if n := len(up); n > 1 && up[n-1].Variable == x {
				up[n-1].Factor -= slopes[i]
				down[n-1].Factor += slopes[i]
				continue
			}
			up = append(up, milp.Term{Factor: -slopes[i], Variable: x})
			down = append(down, milp.Term{Factor: slopes[i], Variable: x})
		}
	}
	p.problem.AtLeast(r.low[e], up...)
	p.problem.AtLeast(-r.high[e], down...)
	return y
}
