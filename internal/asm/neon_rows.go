package main

import "github.com/polyphon/polyphon/internal/asm/arm64"

// neon generates the loops of a row kernel that takes so many floats at a time.
func (k *rowKernel) neon(n neon, widest int) {
	g := neonRows{neon: n, rowKernel: k, strides: map[string]*arm64.Register{}, scalars: map[string]*arm64.Register{}}
	for _, m := range k.matrices {
		g.strides[m] = n.Bytes(m + "Stride")
	}
	for _, name := range k.scalars {
		g.scalars[name] = n.Float(name)
	}
	left := n.Int("cols")
	g.offset = n.General()
	n.SetInt(g.offset, 0)
	n.eachFloats("cols", left, widest, func(floats int, label string) {
		g.block(floats, label)
		n.AddInt(g.offset, 4*floats)
	})
	n.Return()
}

// neonRows is the state of a rowKernel's generation.
type neonRows struct {
	neon
	*rowKernel
	strides, scalars map[string]*arm64.Register
	offset           *arm64.Register // bytes before the current columns
}

// base returns a pointer to the current columns of an operand.
func (g *neonRows) base(name string) *arm64.Register {
	p := g.Base(name)
	g.Add(p, g.offset, 0)
	return p
}

// block generates the loop of so many columns down the rows.
func (g *neonRows) block(floats int, label string) {
	values := map[string]value{}
	vectors, bytes := quads(floats)
	for name, r := range g.scalars {
		repeated := make(registers, vectors)
		for i := range repeated {
			repeated[i] = r
		}
		values[name] = repeated
	}
	for _, name := range g.sums {
		values[name] = g.load(at(g.base(name)), floats)
	}
	for _, c := range g.columns {
		values[c.name] = g.column(c, floats, label+"_"+c.name)
	}
	pointers := map[string]*arm64.Register{}
	for _, m := range g.matrices {
		pointers[m] = g.base(m)
	}
	rows := g.Int("rows")
	g.Label(label + "_row")
	g.body(&vector{
		arithmetic: g.neon, value: values,
		read:  func(matrix string) value { return g.load(at(pointers[matrix]), floats) },
		write: func(matrix string, v value) { g.Store(at(pointers[matrix]), bytes, v.(registers)...) },
	})
	for _, m := range g.matrices {
		g.Add(pointers[m], g.strides[m], 0)
	}
	g.Count(rows, 1)
	g.Jump("BNE", label+"_row")
	for _, name := range g.sums {
		g.store(values[name], at(g.base(name)), floats)
	}
}

// column returns the values of a column's operand, or what a missing one stands for.
func (g *neonRows) column(c column, floats int, loaded string) registers {
	v := g.new(floats)
	if c.optional {
		for _, r := range v {
			g.Set(r, g.missing(c.missing))
		}
		g.JumpIfZero(g.Len(c.name), loaded)
	}
	_, bytes := quads(floats)
	g.Load(at(g.base(c.name)), bytes, v...)
	g.Label(loaded)
	return v
}

func (g *neonRows) missing(value float32) *arm64.Register {
	if value == 0 {
		return g.Zero()
	}
	quad, index := g.Constant(value)
	return g.Broadcast(quad, index)
}
