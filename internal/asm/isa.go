package main

import (
	"math"
	"math/bits"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set of amd64: what differs between the two versions of a kernel.
type isa struct {
	name     string
	width    int   // floats in a vector
	tileRows int   // maximum rows of a matrix tile: with two vectors a row, as many as the registers hold
	blocks   []int // how many vectors a row kernel takes at a time, in descending order, ending in 1
	tailMask Mem   // AVX2: the data that masks are read from
}

func (s isa) wide() bool { return s.width == 16 }
func (s isa) bytes() int { return 4 * s.width }

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

// broadcast returns a vector of the float at m.
func (s isa) broadcast(m Mem) reg.VecVirtual {
	v := s.vec()
	VBROADCASTSS(m, v)
	return v
}

// at returns the address of vector i from p on.
func (s isa) at(p reg.Register, i int) Mem { return Mem{Base: p, Disp: i * s.bytes()} }

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

// mask returns the mask of the first n elements, 1 ≤ n ≤ width, of vectors like v, which AVX2 keeps in v.
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

// load returns the vector at from; see move.
func (s isa) load(from Mem, mask reg.Register) reg.VecVirtual {
	v := s.vec()
	s.move(from, v, mask)
	return v
}

// move copies a vector of any size to or from memory. With a mask, memory outside of it is neither read nor written and
// a register's elements there become 0.
func (s isa) move(from, to Op, mask reg.Register) {
	_, toMemory := to.(Mem)
	switch {
	case mask == nil:
		VMOVUPS(from, to)
	case !s.wide():
		VMASKMOVPS(from, mask, to)
	case toMemory:
		VMOVUPS(from, mask, to)
	default:
		VMOVUPS_Z(from, mask, to)
	}
}

// eachVector generates a loop that runs whole for each n of the left floats, then rest if any are left, and the end.
func eachVector(label, restLabel string, left reg.Register, n int, whole, rest func()) {
	whileLeft(label, restLabel, left, n, whole)
	ifLeft(left, rest)
}

// whileLeft generates a loop that runs body for each n of the left floats.
func whileLeft(label, next string, left reg.Register, n int, body func()) {
	Label(label)
	CMPQ(left, U8(n))
	JLT(LabelRef(next))
	body()
	SUBQ(U8(n), left)
	JMP(LabelRef(label))
	Label(next)
}

// ifLeft generates the end of a function, which runs body if any floats are left.
func ifLeft(left reg.Register, body func()) {
	TESTQ(left, left)
	JZ(LabelRef("done"))
	body()
	Label("done")
	end()
}

// address returns the address of a parameter or of a part of one.
func address(c gotypes.Component) Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}
