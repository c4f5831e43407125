package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// eachTile generates body for every tile of up to tileRows rows and two vectors of columns, and the comparisons that
// select one by the parameter rows and the register vectors, from the largest down.
func eachTile(s isa, rowsParam string, vectors reg.Register, body func(rows, vectors int, label string)) {
	CMPQ(vectors, Imm(2))
	JLT(LabelRef("one_vector"))
	for v := 2; v >= 1; v-- {
		if v == 1 {
			Label("one_vector")
		}
		rows := Load(Param(rowsParam), GP64())
		for r := s.tileRows; r >= 1; r-- {
			label := fmt.Sprintf("tile%dx%d", r, v)
			if r > 1 {
				CMPQ(rows, U8(r))
				JNE(LabelRef("not_" + label))
			}
			body(r, v, label)
			end()
			if r > 1 {
				Label("not_" + label)
			}
		}
	}
}

// eachPanel is eachTile for kernels that take any number of vectors: panels of two, and of one if that is left. They
// follow each other at b: body returns the register with the panel's end.
func eachPanel(s isa, body func(rows, vectors int, label string) (end reg.Register)) {
	eachTile(s, "rows", Load(Param("vectors"), GP64()), func(rows, vectors int, label string) {
		Label(label + "_panel")
		b := body(rows, vectors, label)
		if vectors == 1 {
			return
		}
		left := address(Param("vectors"))
		MOVQ(b, address(Param("b").Base()))
		ADDQ(U32(2*s.bytes()), address(Param("c").Base()))
		SUBQ(Imm(2), left)
		CMPQ(left, Imm(1))
		JGT(LabelRef(label + "_panel"))
		JEQ(LabelRef("one_vector"))
	})
}

// tile is the register tile of rows × vectors sums.
type tile [][]reg.VecVirtual

// newTile returns a tile of zeros.
func newTile(s isa, rows, vectors int) tile {
	return tileOf(rows, vectors, func(int) reg.VecVirtual { return s.zero() })
}

// tileOf returns a tile of what first returns for a vector of columns.
func tileOf(rows, vectors int, first func(vector int) reg.VecVirtual) tile {
	t := make(tile, rows)
	for r := range t {
		for i := range vectors {
			t[r] = append(t[r], first(i))
		}
	}
	return t
}

// zeros returns a function that returns vectors of zeros, for kernels with jumps from one tile to others: avo takes
// AVX-512's VPXORD for an instruction that reads what its result was before.
func (s isa) zeros() func(vector int) reg.VecVirtual {
	if !s.wide() {
		return func(int) reg.VecVirtual { return s.zero() }
	}
	zero := s.zero()
	return func(int) reg.VecVirtual { return s.copied(zero).(reg.VecVirtual) }
}

// multiplyAdd adds the outer product of the values at a(row) and the vectors b.
func (t tile) multiplyAdd(s isa, a func(row int) Mem, b []reg.VecVirtual) {
	for r := range t {
		v := s.broadcast(a(r))
		for i := range b {
			VFMADD231PS(v, b[i], t[r][i])
		}
	}
}

// rowEnds returns pointers to the ends of a tile's rows and a step that counts up to 0 from their beginnings, which
// saves a register.
func rowEnds(rows int) (ends []reg.GPVirtual, step reg.GPVirtual) {
	a, starts := Load(Param("a").Base(), GP64()), Load(Param("starts"), GP64())
	step = Load(Param("depth"), GP64()).(reg.GPVirtual)
	LEAQ(Mem{Base: a, Index: step, Scale: 4}, a)
	ends = make([]reg.GPVirtual, rows)
	for r := range ends {
		ends[r] = GP64()
		MOVQ(Mem{Base: starts, Disp: 8 * r}, ends[r])
		LEAQ(Mem{Base: a, Index: ends[r], Scale: 4}, ends[r])
	}
	NEGQ(step)
	return ends, step
}

// storeTile stores a tile's sums in c.
func (s isa) storeTile(sums tile) {
	c, stride := Load(Param("c").Base(), GP64()), Load(Param("cStride"), GP64())
	SHLQ(U8(2), stride)
	for r := range sums {
		for i, v := range sums[r] {
			VMOVUPS(v, s.at(c, i))
		}
		if r < len(sums)-1 {
			ADDQ(stride, c)
		}
	}
}

// matMulTile generates the kernel of the matrix product. Each row of a has its own start, as in XNNPACK's indirect
// convolution (Dukhan, 2019), so that a tile may reach from one group into the next.
func matMulTile(s isa) {
	kernel(s, matMulTileSpec)
	eachTile(s, "rows", Load(Param("vectors"), GP64()), func(rows, vectors int, label string) {
		sums := newTile(s, rows, vectors)
		ends, step := rowEnds(rows)
		TESTQ(step, step)
		JZ(LabelRef(label + "_store"))
		b := Load(Param("b").Base(), GP64())
		Label(label + "_step")
		panel := make([]reg.VecVirtual, vectors)
		for i := range panel {
			panel[i] = s.load(s.at(b, i), nil)
		}
		sums.multiplyAdd(s, func(r int) Mem { return Mem{Base: ends[r], Index: step, Scale: 4} }, panel)
		ADDQ(Imm(uint64(vectors*s.bytes())), b)
		INCQ(step)
		JNZ(LabelRef(label + "_step"))
		Label(label + "_store")
		s.storeTile(sums)
	})
}

// outerTile generates the kernel of the weight gradient.
func outerTile(s isa) {
	kernel(s, outerTileSpec)
	vectors := GP64()
	last := Load(Param("cols"), GP64())
	MOVQ(U32(1), vectors)
	CMPQ(last, U8(s.width))
	JLE(LabelRef("counted"))
	MOVQ(U32(2), vectors)
	SUBQ(U8(s.width), last)
	Label("counted")
	mask := s.mask(last, s.vec())
	eachTile(s, "tileRows", vectors, func(rows, vectors int, label string) {
		sums := newTile(s, rows, vectors)
		aGroup, dyGroup := Load(Param("a").Base(), GP64()), Load(Param("dy").Base(), GP64())
		aStride, dyStride := Load(Param("aRowStride"), GP64()), Load(Param("dyRowStride"), GP64())
		groups := Load(Param("groups"), GP64())
		SHLQ(U8(2), aStride)
		SHLQ(U8(2), dyStride)
		Label(label + "_group")
		a, dy := GP64(), GP64()
		MOVQ(aGroup, a)
		MOVQ(dyGroup, dy)
		left := Load(Param("rows"), GP64())
		Label(label + "_row")
		sums.multiplyAdd(s, func(r int) Mem { return Mem{Base: a, Disp: 4 * r} }, s.maskedRow(dy, vectors, mask))
		ADDQ(aStride, a)
		ADDQ(dyStride, dy)
		DECQ(left)
		JNZ(LabelRef(label + "_row"))
		step := Load(Param("aGroupStride"), GP64())
		LEAQ(Mem{Base: aGroup, Index: step, Scale: 4}, aGroup)
		step = Load(Param("dyGroupStride"), GP64())
		LEAQ(Mem{Base: dyGroup, Index: step, Scale: 4}, dyGroup)
		DECQ(groups)
		JNZ(LabelRef(label + "_group"))

		dw := Load(Param("dw").Base(), GP64())
		stride := Load(Param("dwStride"), GP64())
		SHLQ(U8(2), stride)
		for r := range sums {
			for i, old := range s.maskedRow(dw, vectors, mask) {
				VADDPS(old, sums[r][i], sums[r][i])
				s.move(sums[r][i], s.at(dw, i), lastOnly(mask, i, vectors))
			}
			if r < rows-1 {
				ADDQ(stride, dw)
			}
		}
	})
}

// maskedRow loads the vectors from p on, the last one under mask.
func (s isa) maskedRow(p reg.Register, vectors int, mask reg.Register) []reg.VecVirtual {
	row := make([]reg.VecVirtual, vectors)
	for i := range row {
		row[i] = s.load(s.at(p, i), lastOnly(mask, i, vectors))
	}
	return row
}

func lastOnly(mask reg.Register, i, vectors int) reg.Register {
	if i == vectors-1 {
		return mask
	}
	return nil
}

// peak generates the loop with which benchmarks measure the machine's maximum rate of multiply-adds.
func peak(s isa) {
	const accumulators = 12
	kernel(s, peakSpec)
	sums := newTile(s, accumulators, 1)
	x := s.constant(1)
	steps := Load(Param("steps"), GP64())
	Label("step")
	for _, v := range sums {
		VFMADD231PS(x, x, v[0])
	}
	DECQ(steps)
	JNZ(LabelRef("step"))
	end()
}
