package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose returns the columns of the square matrix with the given rows.
func (s isa) transpose(rows []reg.VecVirtual) []reg.VecVirtual {
	quads := make([]reg.VecVirtual, s.width) // quads[4g+c] holds column 4q+c of rows 4g … 4g+3 in its quarter q
	for g := 0; g < s.width; g += 4 {
		low01, high01 := s.shuffle(rows[g], rows[g+1], VUNPCKLPS, VUNPCKHPS)
		low23, high23 := s.shuffle(rows[g+2], rows[g+3], VUNPCKLPS, VUNPCKHPS)
		quads[g], quads[g+1] = s.shuffle(low01, low23, VUNPCKLPD, VUNPCKHPD)
		quads[g+2], quads[g+3] = s.shuffle(high01, high23, VUNPCKLPD, VUNPCKHPD)
	}
	columns := make([]reg.VecVirtual, s.width)
	for c := range 4 {
		if !s.wide() {
			columns[c], columns[4+c] = s.shuffle(quads[c], quads[4+c], s.quarters(0x20), s.quarters(0x31))
			continue
		}
		even, odd := s.quarters(0x88), s.quarters(0xdd)
		even0, odd0 := s.shuffle(quads[c], quads[4+c], even, odd)
		even1, odd1 := s.shuffle(quads[8+c], quads[12+c], even, odd)
		columns[c], columns[8+c] = s.shuffle(even0, even1, even, odd)
		columns[4+c], columns[12+c] = s.shuffle(odd0, odd1, even, odd)
	}
	return columns
}

// shuffle applies two shuffles to a and b.
func (s isa) shuffle(a, b reg.Register, first, second func(...Op)) (reg.VecVirtual, reg.VecVirtual) {
	u, v := s.vec(), s.vec()
	first(b, a, u)
	second(b, a, v)
	return u, v
}

// quarters returns the instruction that selects 128-bit parts of two vectors.
func (s isa) quarters(selection uint64) func(...Op) {
	return func(ops ...Op) {
		if s.wide() {
			VSHUFF32X4(Imm(selection), ops[0], ops[1], ops[2])
		} else {
			VPERM2F128(Imm(selection), ops[0], ops[1], ops[2])
		}
	}
}

// rowsAt returns the addresses of rows a stride, in bytes, apart, and a function that moves all of them.
func (s isa) rowsAt(first, stride reg.Register) (place func(row int) Mem, advance func(bytes int)) {
	triple := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, triple)
	fourth := make([]reg.GPVirtual, s.width/4)
	for i := range fourth {
		fourth[i] = GP64()
		if i == 0 {
			MOVQ(first, fourth[i])
		} else {
			LEAQ(Mem{Base: fourth[i-1], Index: stride, Scale: 4}, fourth[i])
		}
	}
	place = func(row int) Mem { return rowFrom(fourth[row/4], stride, triple, row%4) }
	advance = func(bytes int) {
		for _, p := range fourth {
			ADDQ(U32(bytes), p)
		}
	}
	return place, advance
}

// window generates the kernel that weights frames and transposes them into lanes.
func window(s isa) {
	kernel(s, windowSpec)
	dst, weights := Load(Param("dst").Base(), GP64()), Load(Param("window").Base(), GP64())
	left := Load(Param("window").Len(), GP64())
	stride := Load(Param("hop"), GP64())
	SHLQ(U8(2), stride)
	frame, advance := s.rowsAt(Load(Param("samples").Base(), GP64()), stride)
	square := func(mask reg.Register) {
		w := s.load(Mem{Base: weights}, mask)
		rows := make([]reg.VecVirtual, s.width)
		for r := range rows {
			rows[r] = s.load(frame(r), mask)
			VMULPS(w, rows[r], rows[r])
		}
		for c, column := range s.transpose(rows) {
			VMOVUPS(column, s.at(dst, c))
		}
	}
	eachVector("squares", "tail", left, s.width, func() {
		square(nil)
		advance(s.bytes())
		ADDQ(U32(s.bytes()), weights)
		ADDQ(U32(s.width*s.bytes()), dst)
	}, func() { square(s.mask(left, s.vec())) })
}

// mels generates the kernel that sums each mel's bins and transposes lanes into rows.
func mels(s isa) {
	kernel(s, melsSpec)
	power, weight := Load(Param("power").Base(), GP64()), Load(Param("weights").Base(), GP64())
	span, left := Load(Param("spans").Base(), GP64()), Load(Param("spans").Len(), GP64())
	SHRQ(U8(1), left)
	stride := Load(Param("stride"), GP64())
	SHLQ(U8(2), stride)
	row, advance := s.rowsAt(Load(Param("rows").Base(), GP64()), stride)
	zero := s.zero()
	Label("square")
	sums := make([]reg.VecVirtual, s.width)
	for i := range sums {
		sums[i] = s.vec()
		VMOVAPS(zero, sums[i])
	}
	for i, sum := range sums {
		DECQ(left)
		JLT(LabelRef("store"))
		bins := fmt.Sprintf("bins%d", i)
		bin, count := GP64(), GP64()
		MOVLQSX(Mem{Base: span}, bin)
		MOVLQSX(Mem{Base: span, Disp: 4}, count)
		ADDQ(U8(8), span)
		SHLQ(U8(s.shift()), bin)
		ADDQ(power, bin)
		Label(bins)
		VFMADD231PS(Mem{Base: bin}, s.broadcast(Mem{Base: weight}), sum)
		ADDQ(U8(4), weight)
		ADDQ(U32(s.bytes()), bin)
		DECQ(count)
		JNZ(LabelRef(bins))
	}
	Label("store")
	for r, values := range s.transpose(sums) {
		VMOVUPS(values, row(r))
	}
	advance(s.bytes())
	TESTQ(left, left)
	JG(LabelRef("square"))
	end()
}
