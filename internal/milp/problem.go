// Package milp states mixed-integer linear programs and has an installed solver look for a point of one: cbc (COIN-OR)
// or glpsol (GLPK), each a program of its own.
package milp

import (
	"bufio"
	"io"
	"math"
	"strconv"
)

// Term is a factor times a variable.
type Term struct {
	Factor   float64
	Variable int
}

// Problem asks for values of variables within their bounds that meet all rows. Any point will do; the objective says
// where a solver looks first.
type Problem struct {
	variables []variable
	rows      []row
	terms     int
	binaries  int
}

type variable struct {
	low, high float64
	binary    bool
	wanted    float64 // factor in the objective, which is maximised
}

// row says that the terms' sum is at least low, or equal to it.
type row struct {
	terms []Term
	low   float64
	equal bool
}

// Variable adds a variable within [low, high] and returns its number. The bounds are finite.
func (p *Problem) Variable(low, high float64) int {
	p.variables = append(p.variables, variable{low: low, high: high})
	return len(p.variables) - 1
}

// Binary adds a variable that is 0 or 1 and returns its number.
func (p *Problem) Binary() int {
	p.variables = append(p.variables, variable{high: 1, binary: true})
	p.binaries++
	return len(p.variables) - 1
}

// Prefer adds the terms to the objective, which is maximised.
func (p *Problem) Prefer(terms ...Term) {
	for _, t := range terms {
		p.variables[t.Variable].wanted += t.Factor
	}
}

// AtLeast demands that the terms' sum is at least low.
func (p *Problem) AtLeast(low float64, terms ...Term) { p.add(row{terms: terms, low: low}) }

// Equal demands that the terms' sum is v.
func (p *Problem) Equal(v float64, terms ...Term) { p.add(row{terms, v, true}) }

func (p *Problem) add(r row) {
	p.rows = append(p.rows, r)
	p.terms += len(r.terms)
}

// Size returns the numbers of terms in all rows and of binary variables.
func (p *Problem) Size() (terms, binaries int) { return p.terms, p.binaries }

// Violation returns by how much a point misses a bound or a row at most.
func (p *Problem) Violation(point []float64) (worst float64) {
	for i, v := range p.variables {
		worst = max(worst, v.low-point[i], point[i]-v.high)
		if v.binary {
			worst = max(worst, math.Abs(point[i]-math.Round(point[i])))
		}
	}
	for _, r := range p.rows {
		sum := 0.0
		for _, t := range r.terms {
			sum += t.Factor * point[t.Variable]
		}
		if worst = max(worst, r.low-sum); r.equal {
			worst = max(worst, sum-r.low)
		}
	}
	return worst
}

// termsPerLine keeps lines below what readers of LP files take.
const termsPerLine = 8

// WriteLP writes the problem as an LP file of CPLEX's format. Variable i is called x<i>. The objective has all of them
// in order, so that readers number them alike.
func (p *Problem) WriteLP(w io.Writer) error {
	b := bufio.NewWriter(w)
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	write := func(terms []Term) {
		for i, t := range terms {
			if i > 0 && i%termsPerLine == 0 {
				b.WriteString("\n ")
			}
			if t.Factor >= 0 {
				b.WriteString(" + ")
			} else {
				b.WriteString(" - ")
			}
			b.WriteString(number(math.Abs(t.Factor)) + " x" + strconv.Itoa(t.Variable))
		}
	}
	b.WriteString("Maximize\n obj:")
	objective := make([]Term, len(p.variables))
	for i, v := range p.variables {
		objective[i] = Term{v.wanted, i}
	}
	write(objective)
	b.WriteString("\nSubject To\n")
	for i, r := range p.rows {
		b.WriteString(" r" + strconv.Itoa(i) + ":")
		write(r.terms)
		if r.equal {
			b.WriteString(" = ")
		} else {
			b.WriteString(" >= ")
		}
		b.WriteString(number(r.low) + "\n")
	}
	b.WriteString("Bounds\n")
	for i, v := range p.variables {
		if !v.binary {
			b.WriteString(" " + number(v.low) + " <= x" + strconv.Itoa(i) + " <= " + number(v.high) + "\n")
		}
	}
	b.WriteString("Binaries\n")
	for i, v := range p.variables {
		if v.binary {
			b.WriteString(" x" + strconv.Itoa(i) + "\n")
		}
	}
	b.WriteString("End\n")
	return b.Flush()
}
