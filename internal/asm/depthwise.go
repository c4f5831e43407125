package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// depthwise generates the kernel of depthwise convolutions: register tiles of up to four rows. Their taps are
// multiplied one by one or, where windows are a row apart, four at a time: four rows then take seven vectors for
// sixteen products.
func depthwise(s isa) {
	kernel(s, depthwiseSpec)
	d := depthwiseLoop{isa: s, xStride: bytesOf("xStride"), xTap: bytesOf("xTap"), wStride: bytesOf("wStride")}
	left := Load(Param("cols"), GP64())
	d.offset = GP64()
	XORQ(d.offset, d.offset)
	for n := s.width / 8; n > 0; n-- { // as many vectors as there are registers for
		whileLeft(fmt.Sprintf("block%d", n), fmt.Sprintf("after%d", n), left, n*s.width, func() {
			d.block(n, nil)
			ADDQ(U32(n*s.bytes()), d.offset)
		})
	}
	ifLeft(left, func() { d.block(1, s.mask(left, s.vec())) })
}

// bytesOf loads a number of floats as one of bytes.
func bytesOf(param string) reg.Register {
	stride := Load(Param(param), GP64())
	SHLQ(U8(2), stride)
	return stride
}

// depthwiseLoop is the state of the generation: strides and the current columns, in bytes.
type depthwiseLoop struct {
	isa
	xStride, xTap, wStride, offset reg.Register
}

// base returns a pointer to the current columns of an operand.
func (d *depthwiseLoop) base(name string) reg.GPVirtual {
	p := Load(Param(name).Base(), GP64()).(reg.GPVirtual)
	ADDQ(d.offset, p)
	return p
}

// block generates the loops over the rows of n vectors of columns. A mask, if any, applies to all of them.
func (d *depthwiseLoop) block(n int, mask reg.Register) {
	dst, x, init := d.base("dst"), d.base("x"), d.base("init")
	left := Load(Param("rows"), GP64())
	for _, rows := range []int{4, 2, 1} {
		name := fmt.Sprintf("rows%dx%d", rows, n)
		if mask != nil {
			name = fmt.Sprintf("rows%dxTail", rows)
		}
		whileLeft(name, name+"_done", left, rows, func() { d.tile(name, dst, x, init, rows, n, mask) })
	}
}

// tile generates the computation of so many rows, from which it moves the pointers on.
func (d *depthwiseLoop) tile(name string, dst, x, init reg.GPVirtual, rows, n int, mask reg.Register) {
	sums := make(tile, rows)
	stride := bytesOf("initStride")
	for r := range sums {
		for v := range n {
			sums[r] = append(sums[r], d.load(d.at(init, v), mask))
		}
		ADDQ(stride, init)
	}
	tap, w, left := GP64(), d.base("w"), Load(Param("taps"), GP64())
	MOVQ(x, tap)
	if rows > 1 {
		CMPQ(d.xStride, d.xTap)
		JNE(LabelRef(name + "_single"))
		whileLeft(name+"_taps", name+"_single", left, 4, func() { d.taps(sums, tap, w, 4, mask) })
	}
	whileLeft(name+"_tap", name+"_store", left, 1, func() { d.taps(sums, tap, w, 1, mask) })
	stride = bytesOf("dstStride")
	for _, row := range sums {
		for v, sum := range row {
			d.move(sum, d.at(dst, v), mask)
		}
		ADDQ(stride, dst)
		ADDQ(d.xStride, x)
	}
}

// taps generates the products of so many taps, and moves the pointers on. Several taps' rows must be a window apart.
func (d *depthwiseLoop) taps(sums tile, x, w reg.GPVirtual, count int, mask reg.Register) {
	weights := make([][]reg.VecVirtual, count)
	for k := range weights {
		for v := range sums[0] {
			weights[k] = append(weights[k], d.load(d.at(w, v), mask))
		}
		ADDQ(d.wStride, w)
	}
	row := GP64()
	MOVQ(x, row)
	for i := range len(sums) + count - 1 {
		for v := range sums[0] {
			value := d.load(d.at(row, v), mask)
			for k := max(0, i-len(sums)+1); k < min(count, i+1); k++ {
				VFMADD231PS(value, weights[k][v], sums[i-k][v])
			}
		}
		ADDQ(d.xStride, row)
	}
	for range count {
		ADDQ(d.xTap, x)
	}
}
