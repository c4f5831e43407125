package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// table is data of constants, each filling a vector of any width.
type table map[string]Mem

type constant struct {
	name string
	bits uint64
}

func newTable(name string, constants []constant) table {
	const bytes = 64
	data, t := GLOBL(name, RODATA|NOPTR), table{}
	for i, c := range constants {
		t[c.name] = data.Offset(bytes * i)
		for j := range bytes / 8 {
			DATA(bytes*i+8*j, U64(c.bits))
		}
	}
	return t
}

const (
	one       = 1023 << 52 // the bits of 1
	rootHalf  = 0x3fe6a09e667f3bcd
	magic     = 1 << 52 // as a double: its mantissa's bits are an integer
	magicBits = 0x4330000000000000
)

// logConstants are the constants of the function ln in package simd, which explains them.
var logConstants = []constant{
	{"largest", math.MaxUint32 & 0x7f7fffff * (1<<32 + 1)}, // math.MaxFloat32, twice
	{"toRootHalf", one - rootHalf},
	{"mantissa", 1<<52 - 1},
	{"rootHalf", rootHalf},
	{"magic", magicBits},
	{"magicBias", math.Float64bits(magic + 1023)},
	{"one", one},
	{"ln2", math.Float64bits(math.Ln2)},
	{"c1", math.Float64bits(2)},
	{"c3", math.Float64bits(2.0 / 3)},
	{"c5", math.Float64bits(2.0 / 5)},
	{"c7", math.Float64bits(2.0 / 7)},
	{"c9", math.Float64bits(2.0 / 9)},
	{"c11", math.Float64bits(2.0 / 11)},
	{"c13", math.Float64bits(2.0 / 13)},
}

// logarithm generates the kernel of the logarithm. It computes in doubles, half a vector of floats at a time.
func logarithm(s isa, t table) {
	kernel(s, logSpec)
	values, left := Load(Param("values").Base(), GP64()), Load(Param("values").Len(), GP64())
	floor := s.vec()
	VBROADCASTSD(address(Param("floor")), floor)
	half := s.width / 2
	eachVector("values", "tail", left, half, func() {
		s.ln(t, floor, Mem{Base: values}, nil)
		ADDQ(U8(4*half), values)
	}, func() { s.ln(t, floor, Mem{Base: values}, s.mask(left, s.half())) })
}

func (s isa) ln(t table, floor reg.Register, at Mem, mask reg.Register) {
	value, x, exponent, m := s.half(), s.vec(), s.vec(), s.vec()
	s.move(at, value, mask)
	VMINPS(t["largest"], value, value) // of a NaN and a number, MINPS takes its last operand in Intel's order
	VCVTPS2PD(value, x)
	VADDPD(floor, x, x)
	VPADDQ(t["toRootHalf"], x, x)
	VPSRLQ(U8(52), x, exponent)
	VORPD(t["magic"], exponent, exponent)
	VSUBPD(t["magicBias"], exponent, exponent)
	VANDPD(t["mantissa"], x, m)
	VPADDQ(t["rootHalf"], m, m)
	quotient, square, series := s.vec(), s.vec(), s.vec()
	VSUBPD(t["one"], m, quotient)
	VADDPD(t["one"], m, m)
	VDIVPD(m, quotient, quotient)
	VMULPD(quotient, quotient, square)
	VMOVUPD(t["c13"], series)
	for _, c := range []string{"c11", "c9", "c7", "c5", "c3", "c1"} {
		VFMADD213PD(t[c], square, series)
	}
	VMULPD(quotient, series, series)
	VFMADD231PD(t["ln2"], exponent, series)
	if s.wide() {
		VCVTPD2PS(series, value)
	} else {
		VCVTPD2PSY(series, value)
	}
	s.move(value, at, mask)
}
