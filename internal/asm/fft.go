package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// readPoint returns the point at p.
func (s isa) readPoint(p Mem) point { return point{s.load(p, nil), s.load(p.Offset(s.bytes()), nil)} }

func (s isa) writePoint(z point, p Mem) {
	VMOVUPS(z.re.(Op), p)
	VMOVUPS(z.im.(Op), p.Offset(s.bytes()))
}

// pointFactor returns the factor at w, the same in all lanes.
func (s isa) pointFactor(w Mem) point { return point{s.broadcast(w), s.broadcast(w.Offset(4))} }

// gather begins a first stage: a loop over order, in which p points to the point that it names.
func (s isa) gather(body func(p, distance reg.Register, dst reg.Register)) {
	dst, src := Load(Param("dst").Base(), GP64()), Load(Param("src").Base(), GP64())
	order, left := Load(Param("order").Base(), GP64()), Load(Param("order").Len(), GP64())
	distance := GP64()
	MOVQ(left, distance)
	SHLQ(U8(s.shift()+1), distance)
	Label("points")
	p := GP64()
	MOVWQZX(Mem{Base: order}, p)
	SHLQ(U8(s.shift()+1), p)
	ADDQ(src, p)
	body(p, distance, dst)
	ADDQ(U8(2), order)
	DECQ(left)
	JNZ(LabelRef("points"))
	end()
}

// first2 generates the first stage of radix 2.
func first2(s isa) {
	kernel(s, first2Spec)
	s.gather(func(p, distance, dst reg.Register) {
		a, b := s.readPoint(Mem{Base: p}), s.readPoint(Mem{Base: p, Index: distance, Scale: 1})
		s.writePoint(plus(s, a, b), s.at(dst, 0))
		s.writePoint(minus(s, a, b), s.at(dst, 2))
		ADDQ(U32(4*s.bytes()), dst)
	})
}

// first4 generates the first stage of radix 4.
func first4(s isa) {
	kernel(s, first4Spec)
	s.gather(func(p, distance, dst reg.Register) {
		second := GP64()
		LEAQ(Mem{Base: p, Index: distance, Scale: 1}, second)
		a, c := s.readPoint(Mem{Base: p}), s.readPoint(Mem{Base: p, Index: distance, Scale: 2})
		b, d := s.readPoint(Mem{Base: second}), s.readPoint(Mem{Base: second, Index: distance, Scale: 2})
		for i, z := range butterfly(s, a, b, c, d) {
			s.writePoint(z, s.at(dst, 2*i))
		}
		ADDQ(U32(8*s.bytes()), dst)
	})
}

// butterflies generates the later stages.
func butterflies(s isa) {
	kernel(s, butterfliesSpec)
	p, left, rest := Load(Param("work").Base(), GP64()), Load(Param("work").Len(), GP64()), GP64()
	SHLQ(U8(2), left)
	Label("transforms")
	w, point := Load(Param("twiddles").Base(), GP64()), Load(Param("length"), GP64())
	distance := GP64()
	MOVQ(point, distance)
	SHLQ(U8(s.shift()+1), distance)
	Label("points")
	MOVQ(p, rest)
	ADDQ(distance, rest)
	places := []Mem{{Base: p}, {Base: rest}, {Base: p, Index: distance, Scale: 2}, {Base: rest, Index: distance, Scale: 2}}
	a := s.readPoint(places[0])
	b := times(s, s.readPoint(places[1]), s.pointFactor(Mem{Base: w}))
	c := times(s, s.readPoint(places[2]), s.pointFactor(Mem{Base: w, Disp: 8}))
	d := times(s, s.readPoint(places[3]), s.pointFactor(Mem{Base: w, Disp: 16}))
	for i, z := range butterfly(s, a, b, c, d) {
		s.writePoint(z, places[i])
	}
	ADDQ(U32(2*s.bytes()), p)
	ADDQ(U8(24), w)
	DECQ(point)
	JNZ(LabelRef("points"))
	LEAQ(Mem{Base: rest, Index: distance, Scale: 2, Disp: 2 * s.bytes()}, p)
	SHLQ(U8(2), distance)
	SUBQ(distance, left)
	JG(LabelRef("transforms"))
	end()
}

// power generates the last step, which separates the spectra of even and odd samples.
func power(s isa) {
	kernel(s, powerSpec)
	low, z := Load(Param("power").Base(), GP64()), Load(Param("z").Base(), GP64())
	high, mirror := GP64(), Load(Param("z").Len(), GP64())
	LEAQ(Mem{Base: low, Index: mirror, Scale: 2}, high)
	LEAQ(Mem{Base: z, Index: mirror, Scale: 4}, mirror)
	w, left := Load(Param("half").Base(), GP64()), Load(Param("half").Len(), GP64())
	SHRQ(U8(1), left)

	first := s.readPoint(Mem{Base: z})
	lowest, highest := pair(s, first.re, first.im)
	VMOVUPS(s.mul(lowest, lowest).(Op), Mem{Base: low})
	VMOVUPS(s.mul(highest, highest).(Op), Mem{Base: high})
	quarter := s.constant(0.25)
	JMP(LabelRef("next"))
	Label("bins")
	a, b := s.readPoint(Mem{Base: z}), s.readPoint(Mem{Base: mirror})
	bin, mirrored := powerBins(s, a, b, s.pointFactor(Mem{Base: w}), quarter)
	VMOVUPS(bin.(Op), Mem{Base: low})
	VMOVUPS(mirrored.(Op), Mem{Base: high})
	Label("next")
	ADDQ(U32(2*s.bytes()), z)
	SUBQ(U32(2*s.bytes()), mirror)
	ADDQ(U32(s.bytes()), low)
	SUBQ(U32(s.bytes()), high)
	ADDQ(U8(8), w)
	DECQ(left)
	JNZ(LabelRef("bins"))
	end()
}
