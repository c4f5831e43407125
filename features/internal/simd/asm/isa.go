package main

import (
	"math"
	"math/bits"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set: what differs between the two versions of a kernel.
type isa struct {
	name     string
	lanes    int // floats in a vector
	tailMask Mem // AVX2: the data that a mask is read from
}

func (s isa) wide() bool { return s.lanes == 16 }
func (s isa) bytes() int { return 4 * s.lanes }

// shift is the binary logarithm of bytes.
func (s isa) shift() int { return bits.TrailingZeros(uint(s.bytes())) }

func (s isa) vec() reg.VecVirtual {
	if s.wide() {
		return ZMM()
	}
	return YMM()
}

// half returns a vector of half as many floats: as many as a whole one holds doubles.
func (s isa) half() reg.VecVirtual {
	if s.wide() {
		return YMM()
	}
	return XMM()
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

// at returns the place of vector i behind p.
func (s isa) at(p reg.Register, i int) Mem { return Mem{Base: p, Disp: i * s.bytes()} }

// read returns the vector at m.
func (s isa) read(m Mem) reg.VecVirtual {
	v := s.vec()
	VMOVUPS(m, v)
	return v
}

// broadcast returns a vector of the float at m.
func (s isa) broadcast(m Mem) reg.VecVirtual {
	v := s.vec()
	VBROADCASTSS(m, v)
	return v
}

func (s isa) sum(a, b reg.Register) reg.VecVirtual {
	v := s.vec()
	VADDPS(b, a, v)
	return v
}

func (s isa) difference(a, b reg.Register) reg.VecVirtual {
	v := s.vec()
	VSUBPS(b, a, v)
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

// mask returns the mask of the first n elements of v's kind of vector.
func (s isa) mask(n reg.Register, v reg.VecVirtual) reg.Register {
	if s.wide() {
		set, k := GP64(), K()
		MOVQ(I32(-1), set)
		BZHIQ(n, set, set)
		KMOVW(set.As32(), k)
		return k
	}
	first, offset := GP64(), GP64()
	LEAQ(s.tailMask.Offset(32), first)
	MOVQ(n, offset)
	SHLQ(U8(2), offset)
	SUBQ(offset, first)
	VMOVUPS(Mem{Base: first}, v)
	return v
}

// load reads v. With a mask, what lies beyond it is neither read nor anything but 0.
func (s isa) load(from Mem, v, mask reg.Register) {
	switch {
	case mask == nil:
		VMOVUPS(from, v)
	case s.wide():
		VMOVUPS_Z(from, mask, v)
	default:
		VMASKMOVPS(from, mask, v)
	}
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
