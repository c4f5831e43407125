package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels of Winograd's algorithm F(3,3) on integers: bytes become pairs of 16 bits, two in a word, which are
// transformed and multiplied to sums of 32 bits.

// integers is an isa's arithmetic of integers.
type integers struct {
	isa
	plus, minus func(...Op)
}

func (s integers) add(a, b value) value { return s.result(s.plus, a, b) }
func (s integers) sub(a, b value) value { return s.result(s.minus, a, b) }

// twice returns a + 2·b.
func (s integers) twice(a, b value) value { return s.add(s.add(a, b), b) }

// wordWinograd is F(3,3) without fractions, which the weights have instead: outputs are 6 times as large.
var wordWinograd = winograd{name: "Words", outputs: 3, taps: 3, points: 5}

// ninth is the inverse of 9 modulo 2³²: 36·y times it is 4·y.
const ninth = 0x38e38e39

// wordWinograd45 is F(4,5) at the points 0, ±1, ±2, ±1/2 and ∞: outputs are 360 times as large.
var wordWinograd45 = winograd{name: "Words", outputs: 4, taps: 5, points: 8}

// fortyFifth is the inverse of 45 modulo 2³².
const fortyFifth = 0xa4fa4fa5

// words generates the kernels of an isa.
func words(s isa) {
	halves := integers{s, VPADDW, VPSUBW}
	whole := integers{s, VPADDD, VPSUBD}
	wordWinograd.intoPoints(s, "Input", 5, 3, func(_ arithmetic, x []value) []value {
		v3 := halves.sub(x[3], x[1])
		difference := halves.sub(x[1], x[2])
		return []value{
			halves.twice(v3, halves.sub(x[0], x[2])),
			halves.sub(v3, halves.add(x[1], x[2])),
			halves.twice(halves.add(v3, difference), difference),
			v3,
			halves.sub(halves.sub(halves.sub(x[4], x[2]), v3), v3),
		}
	})
	output := func(_ arithmetic, m []value) []value {
		sum := whole.add(m[1], m[2])
		double := whole.add(m[3], m[3])
		return []value{
			whole.add(whole.add(m[0], m[3]), sum),
			whole.add(whole.sub(m[1], m[2]), double),
			whole.add(whole.twice(m[4], double), sum),
		}
	}
	wordWinograd.fromPoints(s, "Output", 3, output)
	wordWinograd.fromPoints(s, "LastOutput", 3, func(a arithmetic, m []value) []value {
		return divided(output(a, m), ninth, 2)
	})
	wordWinograd45.intoPoints(s, "Input45", 8, 4, halves.input45)
	wordWinograd45.fromPoints(s, "Output45", 4, func(_ arithmetic, m []value) []value {
		return divided(whole.output45(m), fortyFifth, 3)
	})
	widen(s)
	wordTile(s)
}

// divided divides whole numbers by an odd one, whose inverse it is given, and a power of 2.
func divided(y []value, inverse uint32, shift uint8) []value {
	data := repeated(inverse)
	for _, v := range y {
		VPMULLD(data, v.(Op), v.(Op))
		VPSRAD(U8(shift), v.(Op), v.(Op))
	}
	return y
}

// input45 is F(4,5)'s transform: results are at most 50 times as large as the largest value.
func (s integers) input45(_ arithmetic, x []value) []value {
	// pair returns the even part and the odd one times 1 and −1, which belong to points p and −p.
	pair := func(even, odd value) (value, value) { return s.add(even, odd), s.sub(even, odd) }
	v0 := s.add(s.times(4, s.sub(x[6], x[0])), s.times(21, s.sub(x[2], x[4])))
	v7 := s.add(s.times(4, s.sub(x[7], x[1])), s.times(21, s.sub(x[3], x[5])))
	v1, v2 := pair(
		s.sub(s.times(4, s.add(x[6], x[2])), s.times(17, x[4])),
		s.sub(s.times(4, s.add(x[5], x[1])), s.times(17, x[3])))
	v3, v4 := pair(
		s.add(s.sub(s.times(4, x[6]), s.times(5, x[4])), x[2]),
		s.times(2, s.add(s.sub(s.times(4, x[5]), s.times(5, x[3])), x[1])))
	v5, v6 := pair(
		s.times(2, s.add(s.sub(x[6], s.times(5, x[4])), s.times(4, x[2]))),
		s.add(s.sub(x[5], s.times(5, x[3])), s.times(4, x[1])))
	return []value{v0, v1, v2, v3, v4, v5, v6, v7}
}

// output45 is F(4,5)'s transform to 360 times the outputs.
func (s integers) output45(m []value) []value {
	sum1, difference1 := s.add(m[1], m[2]), s.sub(m[1], m[2])
	sum2, difference2 := s.add(m[3], m[4]), s.sub(m[3], m[4])
	sumHalf, differenceHalf := s.add(m[5], m[6]), s.sub(m[5], m[6])
	return []value{
		s.add(s.add(s.add(m[0], sum1), sum2), s.shifted(sumHalf, 3)),
		s.add(s.add(difference1, s.shifted(difference2, 1)), s.shifted(differenceHalf, 2)),
		s.add(s.add(sum1, s.shifted(sum2, 2)), s.shifted(sumHalf, 1)),
		s.add(s.add(s.add(difference1, s.shifted(difference2, 3)), differenceHalf), m[7]),
	}
}

// times returns a small multiple of words of 16 bits.
func (s integers) times(factor uint32, a value) value {
	return s.result(VPMULLW, a, repeated(factor<<16|factor))
}

// shifted returns a times a power of 2, of words of 32 bits.
func (s integers) shifted(a value, bits uint8) value {
	v := s.vec()
	VPSLLD(U8(bits), a.(Op), v)
	return v
}

var repeatedData = map[uint32]Mem{}

// repeated returns the memory of a vector of one word.
func repeated(word uint32) Mem {
	data, known := repeatedData[word]
	if !known {
		data = GLOBL(fmt.Sprintf("word%08x", word), RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, U32(word))
		}
		repeatedData[word] = data
	}
	return data
}

// widen generates Widen.
func widen(s isa) {
	kernel(s, widenSpec)
	dst, x := Load(Param("dst").Base(), GP64()), Load(Param("x").Base(), GP64())
	left := Load(Param("x").Len(), GP64())
	whileLeft("vectors", "words", left, s.width/2, func() {
		v := s.vec()
		VPMOVSXBW(Mem{Base: x}, v)
		VMOVUPS(v, Mem{Base: dst})
		ADDQ(U32(s.bytes()/2), x)
		ADDQ(U32(s.bytes()), dst)
	})
	whileLeft("word", "done", left, 1, func() {
		v := XMM()
		VMOVD(Mem{Base: x}, v)
		VPMOVSXBW(v, v)
		VMOVQ(v, Mem{Base: dst})
		ADDQ(Imm(4), x)
		ADDQ(Imm(8), dst)
	})
	end()
}

// wordTile generates Words.Tile.
func wordTile(s isa) {
	pairTile(s, wordTileSpec, s.bytes(), func(from Mem, v reg.VecVirtual) { VMOVUPS(from, v) })
}

// avx2ByteTile generates ByteTile for AVX2, which multiplies words of 16 bits: rows are as wide, panels are bytes.
func avx2ByteTile(s isa) {
	pairTile(s, byteTileSpec, s.bytes()/2, func(from Mem, v reg.VecVirtual) { VPMOVSXBW(from, v) })
}

// fewSums is up to how many vectors of sums a tile of pairs takes two steps at a time: the loop's own instructions take
// a third of the time of one.
const fewSums = 6

// pairTile generates a kernel of products of pairs of words of 16 bits, a vector of which takes so many bytes of a
// panel.
func pairTile(s isa, k spec, bytes int, load func(from Mem, v reg.VecVirtual)) {
	kernel(s, k)
	zeros := s.zeros()
	eachPanel(s, func(rows, vectors int, label string) reg.Register {
		sums := tileOf(rows, vectors, zeros)
		ends, step := rowEnds(rows)
		b := Load(Param("b").Base(), GP64())
		steps := 1
		if rows*vectors <= fewSums {
			steps = 2
		}
		TESTQ(step, step)
		JZ(LabelRef(label + "_store"))
		Label(label + "_step")
		for i := range steps {
			s.multiplyPairs(sums, ends, step, i, func(vector int, v reg.VecVirtual) {
				load(Mem{Base: b, Disp: (i*vectors + vector) * bytes}, v)
			})
		}
		ADDQ(U32(steps*vectors*bytes), b)
		ADDQ(Imm(uint64(steps)), step)
		JNZ(LabelRef(label + "_step"))
		Label(label + "_store")
		s.storeTile(sums)
		return b
	})
}

// multiplyPairs adds the products of a pair of each row, so many steps ahead, and vectors of pairs that load loads.
func (s isa) multiplyPairs(sums tile, ends []reg.GPVirtual, step reg.Register, ahead int,
	load func(vector int, v reg.VecVirtual)) {
	panel := make([]reg.VecVirtual, len(sums[0]))
	for i := range panel {
		panel[i] = s.vec()
		load(i, panel[i])
	}
	for r, row := range sums {
		a := s.vec()
		VPBROADCASTD(Mem{Base: ends[r], Index: step, Scale: 4, Disp: 4 * ahead}, a)
		for i, sum := range row {
			if s.wide() {
				VPDPWSSD(a, panel[i], sum)
				continue
			}
			product := s.vec()
			VPMADDWD(a, panel[i], product)
			VPADDD(product, sum, sum)
		}
	}
}
