package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// constantsData holds constants as operands in memory, since AVX2 has few registers.
var constantsData = map[float32]Mem{}

// constantData returns the memory of a vector of one value.
func constantData(value float32) Mem {
	if data, known := constantsData[value]; known {
		return data
	}
	data := GLOBL(fmt.Sprintf("constant%08x", math.Float32bits(value)), RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(math.Float32bits(value)))
	}
	constantsData[value] = data
	return data
}

// strided is a moving pointer to rows that lie a stride apart.
type strided struct {
	p, stride, triple, fourth reg.GPVirtual // fourth: p + 4·stride, where there are so many rows
}

// newStrided returns a pointer to rows whose stride is a parameter.
func newStrided(stride string, rows int) *strided {
	r := &strided{p: GP64(), stride: Load(Param(stride), GP64()).(reg.GPVirtual), triple: GP64()}
	SHLQ(U8(2), r.stride)
	LEAQ(Mem{Base: r.stride, Index: r.stride, Scale: 2}, r.triple)
	if rows > 4 {
		r.fourth = GP64()
	}
	return r
}

// begin sets the pointer to p.
func (r *strided) begin(p reg.Register) {
	MOVQ(p, r.p)
	r.moved()
}

func (r *strided) moved() {
	if r.fourth != nil {
		LEAQ(Mem{Base: r.p, Index: r.stride, Scale: 4}, r.fourth)
	}
}

// advance moves the pointer by 2 to 5 rows.
func (r *strided) advance(rows int) {
	switch rows {
	case 2:
		LEAQ(Mem{Base: r.p, Index: r.stride, Scale: 2}, r.p)
	case 3:
		ADDQ(r.triple, r.p)
	case 4, 5:
		LEAQ(Mem{Base: r.p, Index: r.stride, Scale: 4}, r.p)
		if rows == 5 {
			ADDQ(r.stride, r.p)
		}
	}
	r.moved()
}

// add moves the pointer by bytes.
func (r *strided) add(bytes Op) {
	ADDQ(bytes, r.p)
	r.moved()
}

func (r *strided) row(i int) Mem {
	p := r.p
	if i >= 4 {
		p, i = r.fourth, i-4
	}
	return rowFrom(p, r.stride, r.triple, i)
}

// rowFrom returns the address of row 0 to 3 from p on, given the stride and its triple.
func rowFrom(p, stride, triple reg.Register, row int) Mem {
	switch row {
	case 0:
		return Mem{Base: p}
	case 3:
		return Mem{Base: p, Index: triple, Scale: 1}
	}
	return Mem{Base: p, Index: stride, Scale: uint8(row)}
}

// generate generates the kernels of a Winograd.
func (w winograd) generate(s isa) {
	w.intoPoints(s, "Input", w.points, w.outputs, w.input)
	w.intoPoints(s, "Weight", w.taps, w.taps, w.weight)
	w.intoPoints(s, "OutputGrad", w.outputs, w.outputs, w.outputGrad)
	w.fromPoints(s, "Output", w.outputs, w.output)
	w.fromPoints(s, "WeightGrad", w.taps, w.weightGrad)
}

// intoPoints generates a transform from some rows of each tile, whose tiles lie advance rows apart, to a row a point.
func (w winograd) intoPoints(s isa, name string, rows, advance int, t transform) {
	kernel(s, w.intoPointsSpec(name))
	rowBytes := Load(Param("cols"), GP64())
	SHLQ(U8(2), rowBytes)
	in, out := newStrided("xStride", rows), newStrided("vPoint", w.points)
	w.eachColumn(s, "v", in, out, rows, t, func() {
		in.advance(advance)
		out.add(rowBytes)
	})
}

// fromPoints generates a transform from a row a point to some rows of each tile.
func (w winograd) fromPoints(s isa, name string, rows int, t transform) {
	kernel(s, w.fromPointsSpec(name))
	rowBytes := Load(Param("xStride"), GP64())
	SHLQ(U8(2), rowBytes)
	in, out := newStrided("xPoint", w.points), newStrided("yStride", rows)
	w.eachColumn(s, "y", in, out, w.points, t, func() {
		in.add(rowBytes)
		out.advance(rows)
	})
}

// eachColumn generates the loops of a transform: over the tiles and, within one, over vectors of columns.
func (w winograd) eachColumn(s isa, to string, in, out *strided, rows int, t transform, next func()) {
	for _, c := range w.constants {
		constantData(c)
	}
	in.begin(Load(Param("x").Base(), GP64()))
	out.begin(Load(Param(to).Base(), GP64()))
	whole, last := Load(Param("cols"), GP64()), GP64() // bytes of whole vectors, floats after them
	MOVQ(whole, last)
	ANDQ(Imm(uint64(s.width-1)), last)
	SUBQ(last, whole)
	SHLQ(U8(2), whole)
	mask := s.mask(last, s.vec())
	column := func(mask reg.Register) {
		x := make([]value, rows)
		for i := range x {
			x[i] = s.load(in.row(i), mask)
		}
		for i, v := range t(s, x) {
			s.move(v.(Op), out.row(i), mask)
		}
	}
	Label("tile")
	left := GP64()
	MOVQ(whole, left)
	TESTQ(left, left)
	JZ(LabelRef("last"))
	Label("columns")
	column(nil)
	in.add(U32(s.bytes()))
	out.add(U32(s.bytes()))
	SUBQ(U32(s.bytes()), left)
	JNZ(LabelRef("columns"))
	Label("last")
	TESTQ(last, last)
	JZ(LabelRef("next"))
	column(mask)
	Label("next")
	SUBQ(whole, in.p)
	SUBQ(whole, out.p)
	next()
	DECQ(address(Param("tiles")))
	JNZ(LabelRef("tile"))
	end()
}
