package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowKernel describes a loop over a (rows, cols) matrix, or several of one shape, each with its own row stride.
// The generated loop takes some vectors of columns at a time and runs down the rows, so that values of which
// there is one a column stay in registers.
type rowKernel struct {
	name     string
	doc      string
	matrices []string
	columns  []column // vectors of one value a column that are read
	sums     []string // vectors of one value a column that sums over the rows are added to
	scalars  []string
	body     func(v *vector) // what happens to one vector of one row
}

// column is a vector operand. An optional one may have length 0, and stands for missing then.
type column struct {
	name     string
	optional bool
	missing  float32
}

// vector is one vector's place in the loop.
type vector struct {
	isa
	at       map[string]Mem
	columns  map[string]reg.Register
	sums     map[string]reg.Register
	scalars  map[string]reg.Register
	lastMask reg.Register
}

func (v *vector) read(matrix string) reg.VecVirtual       { return v.load(v.at[matrix], v.lastMask) }
func (v *vector) write(matrix string, value reg.Register) { v.store(value, v.at[matrix], v.lastMask) }
func (k *rowKernel) operands() []string {
	names := append([]string{}, k.sums...)
	names = append(names, k.matrices...)
	for _, c := range k.columns {
		names = append(names, c.name)
	}
	return names
}

func (k *rowKernel) signature() string {
	var strides []string
	for _, m := range k.matrices {
		strides = append(strides, m+"Stride")
	}
	s := fmt.Sprintf("func(%s []float32, rows, cols, %s int", strings.Join(k.operands(), ", "), strings.Join(strides, ", "))
	if len(k.scalars) > 0 {
		s += fmt.Sprintf(", %s float32", strings.Join(k.scalars, ", "))
	}
	return s + ")"
}

func (k *rowKernel) generate(s isa) {
	TEXT(k.name+s.name, NOSPLIT, k.signature())
	Pragma("noescape")
	Doc(strings.Split(k.name+s.name+" computes "+k.doc, "\n")...)
	g := &rowLoop{rowKernel: k, isa: s, strides: map[string]reg.Register{}, scalars: map[string]reg.Register{}}
	for _, m := range k.matrices {
		stride := Load(Param(m+"Stride"), GP64())
		SHLQ(U8(2), stride)
		g.strides[m] = stride
	}
	for _, name := range k.scalars {
		v := s.vec()
		VBROADCASTSS(g.param(name), v)
		g.scalars[name] = v
	}
	g.left = Load(Param("cols"), GP64())
	g.offset = GP64()
	XORQ(g.offset, g.offset)
	for _, n := range s.blocks {
		loop, next := fmt.Sprintf("block%d", n), fmt.Sprintf("after%d", n)
		Label(loop)
		CMPQ(g.left, U8(n*s.width))
		JLT(LabelRef(next))
		g.block(n, nil)
		ADDQ(U32(n*s.bytes()), g.offset)
		SUBQ(U8(n*s.width), g.left)
		JMP(LabelRef(loop))
		Label(next)
	}
	TESTQ(g.left, g.left)
	JZ(LabelRef("done"))
	g.block(1, s.mask(g.left))
	Label("done")
	VZEROUPPER()
	RET()
}

// rowLoop is a rowKernel while it is being generated.
type rowLoop struct {
	*rowKernel
	isa
	strides, scalars map[string]reg.Register
	offset, left     reg.Register // bytes before the current columns; columns from there on
}

func (g *rowLoop) param(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// base returns where the current columns of an operand begin.
func (g *rowLoop) base(name string) reg.GPVirtual {
	p := Load(Param(name).Base(), GP64()).(reg.GPVirtual)
	ADDQ(g.offset, p)
	return p
}

// block runs n vectors of columns down the rows. mask applies to the only vector.
func (g *rowLoop) block(n int, mask reg.Register) {
	label := fmt.Sprintf("rows%d", n)
	if mask != nil {
		label = "rowsTail"
	}
	vectors := make([]vector, n)
	for i := range vectors {
		vectors[i] = vector{isa: g.isa, at: map[string]Mem{}, columns: map[string]reg.Register{},
			sums: map[string]reg.Register{}, scalars: g.scalars, lastMask: mask}
		for _, name := range g.sums {
			vectors[i].sums[name] = g.vec()
		}
	}
	for _, name := range g.sums {
		p := g.base(name)
		for i, v := range vectors {
			VMOVAPS(g.load(Mem{Base: p, Disp: i * g.bytes()}, mask), v.sums[name])
		}
	}
	for _, c := range g.columns {
		g.loadColumn(c, vectors, label)
	}
	pointers := map[string]reg.Register{}
	for _, m := range g.matrices {
		p := g.base(m)
		pointers[m] = p
		for i := range vectors {
			vectors[i].at[m] = Mem{Base: p, Disp: i * g.bytes()}
		}
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
			g.store(v.sums[name], Mem{Base: p, Disp: i * g.bytes()}, mask)
		}
	}
}

func (g *rowLoop) loadColumn(c column, vectors []vector, label string) {
	loaded := label + "_" + c.name
	for i := range vectors {
		vectors[i].columns[c.name] = g.vec()
	}
	if c.optional {
		missing := g.constant(c.missing)
		for _, v := range vectors {
			VMOVAPS(missing, v.columns[c.name])
		}
		length, err := Param(c.name).Len().Resolve()
		if err != nil {
			panic(err)
		}
		CMPQ(length.Addr, Imm(0))
		JEQ(LabelRef(loaded))
	}
	p := g.base(c.name)
	for i, v := range vectors {
		VMOVAPS(g.load(Mem{Base: p, Disp: i * g.bytes()}, v.lastMask), v.columns[c.name])
	}
	Label(loaded)
}
