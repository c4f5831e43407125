package main

import (
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
	inverse := ninths()
	wordWinograd.fromPoints(s, "LastOutput", 3, func(a arithmetic, m []value) []value {
		y := output(a, m)
		for _, v := range y {
			VPMULLD(inverse, v.(Op), v.(Op))
			VPSRAD(U8(2), v.(Op), v.(Op))
		}
		return y
	})
	widen(s)
	wordTile(s)
}

var ninthsData Mem

// ninths returns the memory of a vector of inverses of 9.
func ninths() Mem {
	if ninthsData.Symbol.Name == "" {
		ninthsData = GLOBL("ninths", RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, U32(ninth))
		}
	}
	return ninthsData
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
