package polynet

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// PolynomialDegree returns the degree of the polynomial that the logits are of the normalised features, or nil where they are none. It
// is the highest degree that the equations have terms of, norms being those of running statistics; weights of
// 0 lower it. c must be valid.
func (c Config) PolynomialDegree() *big.Int {
	if len(c.bends()) > 0 {
		return nil
	}
	p := c.program()
	degrees := make([]*big.Int, made(len(p.steps)))
	degrees[input] = big.NewInt(1)
	for i := range p.steps {
		s := &p.steps[i]
		d := new(big.Int).Set(degrees[s.x])
		if s.op == opProduct {
			d.Add(d, degrees[s.y])
		}
		for _, v := range []value{s.skip, s.add} {
			switch {
			case v == none:
			case s.product != "":
				d.Add(d, degrees[v])
			case degrees[v].Cmp(d) > 0:
				d.Set(degrees[v])
			}
		}
		degrees[made(i)] = d
	}
	return degrees[len(degrees)-1]
}

// bends lists what keeps the network from being a polynomial, each once.
func (c Config) bends() []string {
	var list []string
	note := func(what string) {
		if !slices.Contains(list, what) {
			list = append(list, what)
		}
	}
	for _, s := range c.program().steps {
		switch {
		case s.op == opTanh:
			note("tanh")
		case s.op == opMaxPool:
			note("max-pooling")
		case s.relu:
			note("ReLU")
		case s.instance > 0:
			note("instance norm")
		}
	}
	return list
}

// DescribeDegree says in words what PolynomialDegree says: "polynomial of degree 512", "not a polynomial: ReLU". c must be valid.
func (c Config) DescribeDegree() string {
	if bends := c.bends(); len(bends) > 0 {
		return "not a polynomial: " + strings.Join(bends, ", ")
	}
	d := c.PolynomialDegree()
	const digits = 40 // bits of the largest degree that is written out
	switch bits := d.BitLen(); {
	case bits <= digits:
		return fmt.Sprintf("polynomial of degree %d", d)
	case int(d.TrailingZeroBits()) == bits-1:
		return fmt.Sprintf("polynomial of degree 2^%d", bits-1)
	default:
		return fmt.Sprintf("polynomial of degree above 2^%d", bits-1)
	}
}
