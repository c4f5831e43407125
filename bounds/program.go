package bounds

import "github.com/polyphon/polyphon/internal/milp"

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
