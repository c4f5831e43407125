package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// dot generates the kernel of the inner product, with four sums, which do not wait for each other.
func dot(s isa) {
	kernel(s, dotSpec)
	const together = 4
	a, b := Load(Param("a").Base(), GP64()), Load(Param("b").Base(), GP64())
	left := Load(Param("a").Len(), GP64())
	sums := newTile(s, 1, together)[0]
	for _, n := range []int{together, 1} {
		whileLeft(fmt.Sprintf("vectors%d", n), fmt.Sprintf("after%d", n), left, n*s.width, func() {
			for i := range n {
				s.addProduct(sums[i], s.load(s.at(a, i), nil), s.at(b, i))
			}
			ADDQ(U32(n*s.bytes()), a)
			ADDQ(U32(n*s.bytes()), b)
		})
	}
	TESTQ(left, left)
	JZ(LabelRef("sum"))
	mask := s.mask(left, s.vec())
	s.addProduct(sums[0], s.load(Mem{Base: a}, mask), s.load(Mem{Base: b}, mask))
	Label("sum")
	s.addTo(sums[0], sums[1])
	s.addTo(sums[2], sums[3])
	s.addTo(sums[0], sums[2])
	total := sums[0]
	if s.wide() {
		high := YMM()
		VEXTRACTF32X8(Imm(1), total, high)
		VADDPS(high, total.AsY(), total.AsY())
	}
	high := XMM()
	VEXTRACTF128(Imm(1), total.AsY(), high)
	VADDPS(high, total.AsX(), total.AsX())
	VHADDPS(total.AsX(), total.AsX(), total.AsX())
	VHADDPS(total.AsX(), total.AsX(), total.AsX())
	Store(total.AsX(), ReturnIndex(0))
	end()
}
