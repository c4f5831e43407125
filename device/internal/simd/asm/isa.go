package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set: what differs between the two versions of a kernel.
type isa struct {
	name     string
	width    int   // floats in a vector
	tileRows int   // most rows of a matrix tile: with two vectors a row, as many as the registers hold
	blocks   []int // how many vectors a row kernel takes at a time, most first, ending in 1
	tailMask Mem   // AVX2: the data that a mask is read from
}

func (s isa) wide() bool { return s.width == 16 }
func (s isa) bytes() int { return 4 * s.width }

func (s isa) vec() reg.VecVirtual {
	if s.wide() {
		return ZMM()
	}
	return YMM()
}

func (s isa) zero() reg.VecVirtual {
	v := s.vec()
	if s.wide() {
		VPXORD(v, v, v) // VXORPS would need AVX512DQ.
	} else {
		VXORPS(v, v, v)
	}
	return v
}

// constant returns a vector of one value.
func (s isa) constant(value float32) reg.VecVirtual {
	if value == 0 {
		return s.zero()
	}
	bits, x, v := GP32(), XMM(), s.vec()
	MOVL(U32(math.Float32bits(value)), bits)
	VMOVD(bits, x)
	VBROADCASTSS(x, v)
	return v
}

// tailMaskData is eight set words and then eight clear ones: the mask of the first n starts 8−n words in.
func tailMaskData() Mem {
	data := GLOBL("tailMask", RODATA|NOPTR)
	for i := range 16 {
		word := uint32(0)
		if i < 8 {
			word = math.MaxUint32
		}
		DATA(4*i, U32(word))
	}
	return data
}

// mask returns the mask of a vector's first n elements, 1 ≤ n ≤ width.
func (s isa) mask(n reg.Register) reg.Register {
	if s.wide() {
		bits, k := GP64(), K()
		MOVQ(I32(-1), bits)
		BZHIQ(n, bits, bits)
		KMOVW(bits.As32(), k)
		return k
	}
	first, m := GP64(), YMM()
	LEAQ(s.tailMask.Offset(32), first)
	offset := GP64()
	MOVQ(n, offset)
	SHLQ(U8(2), offset)
	SUBQ(offset, first)
	VMOVUPS(Mem{Base: first}, m)
	return m
}

// load reads a vector. With a mask, what lies beyond it is neither read nor anything but 0.
func (s isa) load(from Mem, mask reg.Register) reg.VecVirtual {
	v := s.vec()
	switch {
	case mask == nil:
		VMOVUPS(from, v)
	case s.wide():
		VMOVUPS_Z(from, mask, v)
	default:
		VMASKMOVPS(from, mask, v)
	}
	return v
}

func (s isa) store(v reg.Register, to Mem, mask reg.Register) {
	switch {
	case mask == nil:
		VMOVUPS(v, to)
	case s.wide():
		VMOVUPS(v, mask, to)
	default:
		VMASKMOVPS(v, mask, to)
	}
}
