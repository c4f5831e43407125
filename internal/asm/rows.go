package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowKernel describes a loop over (rows, cols) matrices, each with its own row stride. The generated loop takes a few
// vectors of columns down all rows before the next ones, so that operands with one value a column stay in registers.
type rowKernel struct {
	name     string
	doc      string
	matrices []string
	columns  []column // operands with one value a column
	sums     []string // results with one value a column, which sums over the rows are added to
	scalars  []string
	body     func(v *vector) // generates the work on one vector of one row
}

// column is an operand with one value a column. An optional one may have length 0 and then stands for missing.
type column struct {
	name     string
	optional bool
	missing  float32
}

// vector is what a body works on: operands of one vector of a row, or of a few side by side.
type vector struct {
	arithmetic
	read  func(matrix string) value
	write func(matrix string, v value)
	value map[string]value // of columns, sums and scalars
}

func (k *rowKernel) spec() spec {
	vectors := slices.Concat(k.sums, k.matrices)
	for _, c := range k.columns {
		vectors = append(vectors, c.name)
	}
	s := fmt.Sprintf("func(%s []float32, rows, cols, %sStride int",
		strings.Join(vectors, ", "), strings.Join(k.matrices, "Stride, "))
	if len(k.scalars) > 0 {
		s += fmt.Sprintf(", %s float32", strings.Join(k.scalars, ", "))
	}
	return spec{k.name, s + ")", strings.Split("computes "+k.doc, "\n")}
}

func (k *rowKernel) generate(s isa) {
	kernel(s, k.spec())
	g := &rowLoop{rowKernel: k, isa: s, strides: map[string]reg.Register{}, scalars: map[string]value{}}
	for _, m := range k.matrices {
		stride := Load(Param(m+"Stride"), GP64())
		SHLQ(U8(2), stride)
		g.strides[m] = stride
	}
	for _, name := range k.scalars {
		g.scalars[name] = s.broadcast(address(Param(name)))
	}
	left := Load(Param("cols"), GP64())
	g.offset = GP64()
	XORQ(g.offset, g.offset)
	for _, n := range s.blocks {
		whileLeft(fmt.Sprintf("block%d", n), fmt.Sprintf("after%d", n), left, n*s.width, func() {
			g.block(n, nil)
			ADDQ(U32(n*s.bytes()), g.offset)
		})
	}
	ifLeft(left, func() { g.block(1, s.mask(left, s.vec())) })
}

// rowLoop is the state of a rowKernel's generation.
type rowLoop struct {
	*rowKernel
	isa
	strides map[string]reg.Register
	scalars map[string]value
	offset  reg.Register // bytes before the current columns
}

// base returns a pointer to the current columns of an operand.
func (g *rowLoop) base(name string) reg.GPVirtual {
	p := Load(Param(name).Base(), GP64()).(reg.GPVirtual)
	ADDQ(g.offset, p)
	return p
}

// block generates the loop of n vectors of columns down the rows. A mask, if any, applies to all of them.
func (g *rowLoop) block(n int, mask reg.Register) {
	label := fmt.Sprintf("rows%d", n)
	if mask != nil {
		label = "rowsTail"
	}
	pointers := map[string]reg.Register{}
	vectors := make([]vector, n)
	for i := range vectors {
		vectors[i] = vector{
			arithmetic: g.isa, value: maps.Clone(g.scalars),
			read:  func(matrix string) value { return g.load(g.at(pointers[matrix], i), mask) },
			write: func(matrix string, v value) { g.move(v.(Op), g.at(pointers[matrix], i), mask) },
		}
		for _, name := range g.sums {
			vectors[i].value[name] = g.vec()
		}
	}
	for _, name := range g.sums {
		p := g.base(name)
		for i, v := range vectors {
			VMOVAPS(g.load(g.at(p, i), mask), v.value[name].(Op))
		}
	}
	for _, c := range g.columns {
		g.loadColumn(c, vectors, label, mask)
	}
	for _, m := range g.matrices {
		pointers[m] = g.base(m)
	}
	rows := Load(Param("rows"), GP64())
	Label(label)
	for i := range vectors {
		g.body(&vectors[i])
	}
	for _, m := range g.matrices {
		ADDQ(g.strides[m], pointers[m])
	}
	DECQ(rows)
	JNZ(LabelRef(label))
	for _, name := range g.sums {
		p := g.base(name)
		for i, v := range vectors {
			g.move(v.value[name].(Op), g.at(p, i), mask)
		}
	}
}

func (g *rowLoop) loadColumn(c column, vectors []vector, label string, mask reg.Register) {
	loaded := label + "_" + c.name
	for i := range vectors {
		vectors[i].value[c.name] = g.vec()
	}
	if c.optional {
		missing := g.constant(c.missing)
		for _, v := range vectors {
			VMOVAPS(missing, v.value[c.name].(Op))
		}
		CMPQ(address(Param(c.name).Len()), Imm(0))
		JEQ(LabelRef(loaded))
	}
	p := g.base(c.name)
	for i, v := range vectors {
		VMOVAPS(g.load(g.at(p, i), mask), v.value[c.name].(Op))
	}
	Label(loaded)
}
