package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels of bytes. A word is four bytes, or an integer of 32 bits.

// independentSums is how many sums a tile needs so that each instruction waits for none before it.
const independentSums = 8

// vnniByteTile generates ByteTile for AVX-512's VNNI, which multiplies a byte with a sign by one without: 128 more than
// a has. A tile of a few sums keeps several sets of them, for words that follow each other.
func vnniByteTile(s isa) {
	kernel(s, byteTileSpec)
	zeros, signs := s.zeros(), s.vec()
	s.broadcastWord(0x80808080, signs)
	eachPanel(s, func(rows, vectors int, label string) reg.Register {
		words := 1
		for words*rows*vectors < independentSums {
			words *= 2
		}
		sets := make([]tile, words)
		b := Load(Param("b").Base(), GP64())
		sets[0] = tileOf(rows, vectors, func(i int) reg.VecVirtual { return s.load(s.at(b, i), nil) })
		for i := 1; i < words; i++ {
			sets[i] = tileOf(rows, vectors, zeros)
		}
		ADDQ(U32(vectors*s.bytes()), b)
		ends, step := rowEnds(rows)
		multiply := func(sums tile, word int) {
			panel := make([]reg.VecVirtual, vectors)
			for i := range panel {
				panel[i] = s.load(s.at(b, word*vectors+i), nil)
			}
			for r, row := range sums {
				a := s.vec()
				VPXORD_BCST(Mem{Base: ends[r], Index: step, Scale: 4, Disp: 4 * word}, signs, a)
				for i, v := range row {
					VPDPBUSD(panel[i], a, v)
				}
			}
		}
		// loop generates the loop over so many words at a time.
		loop := func(name, next string, words int) {
			Label(name)
			CMPQ(step, I32(-words))
			JG(LabelRef(next))
			for i := range words {
				multiply(sets[i], i)
			}
			ADDQ(U32(words*vectors*s.bytes()), b)
			ADDQ(Imm(uint64(words)), step)
			JMP(LabelRef(name))
			Label(next)
		}
		loop(label+"_words", label+"_rest", words)
		if words > 1 {
			loop(label+"_word", label+"_sum", 1)
		}
		for n := words / 2; n >= 1; n /= 2 {
			for i := range n {
				for r, row := range sets[i] {
					for j, v := range row {
						VPADDD(sets[n+i][r][j], v, v)
					}
				}
			}
		}
		s.storeTile(sets[0])
		return b
	})
}

// broadcastWord fills a vector with a word.
func (s isa) broadcastWord(word uint32, v reg.VecVirtual) {
	bits := GP32()
	MOVL(U32(word), bits)
	VMOVD(bits, v.AsX())
	VPBROADCASTD(v.AsX(), v)
}

// quantise generates Quantise.
func quantise(s isa) {
	kernel(s, quantiseSpec)
	dst, x := Load(Param("dst").Base(), GP64()), Load(Param("x").Base(), GP64())
	dstStride, xStride := Load(Param("dstStride"), GP64()), Load(Param("xStride"), GP64())
	SHLQ(U8(2), dstStride)
	SHLQ(U8(2), xStride)
	rows, cols := Load(Param("rows"), GP64()), Load(Param("cols"), GP64())
	inverse, most, least := s.broadcast(address(Param("inverse"))), s.constant(127), s.constant(-127)
	last := GP64()
	MOVQ(cols, last)
	ANDQ(Imm(uint64(s.width-1)), last)
	mask := s.mask(last, s.vec())
	// Whole words are written after a row's end, as if it had columns to the next multiple of four.
	ADDQ(Imm(3), last)
	ANDQ(I32(-4), last)
	var lastBytes reg.Register
	if s.wide() {
		lastBytes = s.mask(last, nil)
	}
	Label("row")
	to, from, left := GP64(), GP64(), GP64()
	MOVQ(dst, to)
	MOVQ(x, from)
	MOVQ(cols, left)
	// integers returns a vector's integers.
	integers := func(mask reg.Register) reg.VecVirtual {
		v := s.load(s.at(from, 0), mask)
		VMULPS(inverse, v, v)
		VMINPS(most, v, v) // Intel's last operand, most, where v is not a number
		VMAXPS(least, v, v)
		VCVTPS2DQ(v, v)
		return v
	}
	whileLeft("vector", "rest", left, s.width, func() {
		s.storeBytes(integers(nil), to)
		ADDQ(Imm(uint64(s.width)), to)
		ADDQ(Imm(uint64(s.bytes())), from)
	})
	TESTQ(left, left)
	JZ(LabelRef("next"))
	v := integers(mask)
	if s.wide() {
		VPMOVSDB(v, lastBytes, Mem{Base: to})
	} else {
		bytes := s.packBytes(v)
		VMOVD(bytes, Mem{Base: to})
		CMPQ(left, Imm(4))
		JLE(LabelRef("next"))
		VPEXTRD(U8(1), bytes, Mem{Base: to, Disp: 4})
	}
	Label("next")
	ADDQ(dstStride, dst)
	ADDQ(xStride, x)
	DECQ(rows)
	JNZ(LabelRef("row"))
	end()
}

// storeBytes stores a vector's integers as bytes, which hold them.
func (s isa) storeBytes(v reg.VecVirtual, to reg.Register) {
	if s.wide() {
		VPMOVSDB(v, Mem{Base: to})
		return
	}
	VMOVQ(s.packBytes(v), Mem{Base: to})
}

// packBytes returns the bytes of AVX2's eight integers.
func (s isa) packBytes(v reg.VecVirtual) reg.VecVirtual {
	x := XMM()
	VEXTRACTI128(U8(1), v.AsY(), x)
	VPACKSSDW(x, v.AsX(), x)
	VPACKSSWB(x, x, x)
	return x
}

// flip generates Flip.
func flip(s isa) {
	const signs = 0x80808080
	kernel(s, flipSpec)
	dst, x := Load(Param("dst").Base(), GP64()), Load(Param("x").Base(), GP64())
	left, all := Load(Param("x").Len(), GP64()), s.vec()
	s.broadcastWord(signs, all)
	whileLeft("vectors", "words", left, s.width, func() {
		v := s.load(Mem{Base: x}, nil)
		VPXOR(all, v, v)
		VMOVUPS(v, Mem{Base: dst})
		ADDQ(U32(s.bytes()), x)
		ADDQ(U32(s.bytes()), dst)
	})
	whileLeft("word", "done", left, 1, func() {
		v := GP32()
		MOVL(Mem{Base: x}, v)
		XORL(U32(signs), v)
		MOVL(v, Mem{Base: dst})
		ADDQ(Imm(4), x)
		ADDQ(Imm(4), dst)
	})
	end()
}

// ternarySteps is how many words of products VPMADDUBSW's words of 16 bits hold, of unsigned bytes by -1, 0 and 1: a
// word adds two of them, at most 510.
const ternarySteps = (1<<15 - 1) / 510

// avx2TernaryTile generates TernaryTile for AVX2.
func avx2TernaryTile(s isa) {
	ones := GLOBL("ones", RODATA|NOPTR)
	for i := range s.width {
		DATA(4*i, U32(0x00010001))
	}
	kernel(s, ternaryTileSpec)
	eachPanel(s, func(rows, vectors int, label string) reg.Register {
		b := Load(Param("b").Base(), GP64())
		zeros := tileOf(1, vectors, func(i int) reg.VecVirtual { return s.load(s.at(b, i), nil) })
		s.storeTile(slices.Repeat(zeros, rows))
		ADDQ(U32(vectors*s.bytes()), b)
		ends, step := rowEnds(rows)
		TESTQ(step, step)
		JZ(LabelRef(label + "_end"))
		Label(label + "_block")
		last, none := GP64(), GP64()
		XORQ(none, none)
		LEAQ(Mem{Base: step, Disp: ternarySteps}, last)
		TESTQ(last, last)
		CMOVQGT(none, last)
		words := newTile(s, rows, vectors)
		Label(label + "_step")
		panel := make([]reg.VecVirtual, vectors)
		for i := range panel {
			panel[i] = s.load(s.at(b, i), nil)
		}
		for r := range words {
			a, product := s.vec(), s.vec()
			VPBROADCASTD(Mem{Base: ends[r], Index: step, Scale: 4}, a)
			for i, sum := range words[r] {
				VPMADDUBSW(panel[i], a, product)
				VPADDW(product, sum, sum)
			}
		}
		ADDQ(Imm(uint64(vectors*s.bytes())), b)
		INCQ(step)
		CMPQ(step, last)
		JNE(LabelRef(label + "_step"))
		c, stride := Load(Param("c").Base(), GP64()), Load(Param("cStride"), GP64())
		SHLQ(U8(2), stride)
		for _, row := range words {
			for i, v := range row {
				VPMADDWD(ones, v, v)
				VPADDD(s.at(c, i), v, v)
				VMOVUPS(v, s.at(c, i))
			}
			ADDQ(stride, c)
		}
		TESTQ(step, step)
		JNZ(LabelRef(label + "_block"))
		Label(label + "_end")
		return b
	})
}
