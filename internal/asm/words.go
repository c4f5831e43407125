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
	kernel(s, wordTileSpec)
	rows, vectors := Load(Param("rows"), GP64()), Load(Param("vectors"), GP64())
	eachTile(s, rows, vectors, func(rows, vectors int, label string) {
		sums := newTile(s, rows, vectors)
		ends, step := rowEnds(rows)
		b := Load(Param("b").Base(), GP64())
		Label(label + "_step")
		panel := make([]reg.VecVirtual, vectors)
		for i := range panel {
			panel[i] = s.load(s.at(b, i), nil)
		}
		for r, row := range sums {
			a := s.vec()
			VPBROADCASTD(Mem{Base: ends[r], Index: step, Scale: 4}, a)
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
		ADDQ(Imm(uint64(vectors*s.bytes())), b)
		INCQ(step)
		JNZ(LabelRef(label + "_step"))
		s.storeTile(sums)
	})
}
