package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// point is a complex number in each lane.
type point struct{ re, im reg.VecVirtual }

// readPoint returns the point at p.
func (s isa) readPoint(p Mem) point { return point{s.load(p, nil), s.load(p.Offset(s.bytes()), nil)} }

func (s isa) writePoint(z point, p Mem) {
	VMOVUPS(z.re, p)
	VMOVUPS(z.im, p.Offset(s.bytes()))
}

// times multiplies z by the factor at w, the same in all lanes.
func (s isa) times(z point, w Mem) point {
	re, im := s.broadcast(w), s.broadcast(w.Offset(4))
	product := point{s.vec(), s.vec()}
	VMULPS(re, z.re, product.re)
	VMULPS(im, z.re, product.im)
	VFNMADD231PS(im, z.im, product.re)
	VFMADD231PS(re, z.im, product.im)
	return product
}

// plus returns a + b, minus a − b.
func (s isa) plus(a, b point) point  { return point{s.add(a.re, b.re), s.add(a.im, b.im)} }
func (s isa) minus(a, b point) point { return point{s.sub(a.re, b.re), s.sub(a.im, b.im)} }

// butterfly returns the Fourier transform of four points.
func (s isa) butterfly(a, b, c, d point) [4]point {
	sum02, dif02 := s.plus(a, c), s.minus(a, c)
	sum13, dif13 := s.plus(b, d), s.minus(b, d)
	return [4]point{
		s.plus(sum02, sum13),
		{s.add(dif02.re, dif13.im), s.sub(dif02.im, dif13.re)},
		s.minus(sum02, sum13),
		{s.sub(dif02.re, dif13.im), s.add(dif02.im, dif13.re)},
	}
}

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
	kernel(s, "First2", "func(dst, src []float32, order []uint16)", "is the first stage of radix 2.")
	s.gather(func(p, distance, dst reg.Register) {
		a, b := s.readPoint(Mem{Base: p}), s.readPoint(Mem{Base: p, Index: distance, Scale: 1})
		s.writePoint(s.plus(a, b), s.at(dst, 0))
		s.writePoint(s.minus(a, b), s.at(dst, 2))
		ADDQ(U32(4*s.bytes()), dst)
	})
}

// first4 generates the first stage of radix 4.
func first4(s isa) {
	kernel(s, "First4", "func(dst, src []float32, order []uint16)", "is the first stage of radix 4.")
	s.gather(func(p, distance, dst reg.Register) {
		second := GP64()
		LEAQ(Mem{Base: p, Index: distance, Scale: 1}, second)
		a, c := s.readPoint(Mem{Base: p}), s.readPoint(Mem{Base: p, Index: distance, Scale: 2})
		b, d := s.readPoint(Mem{Base: second}), s.readPoint(Mem{Base: second, Index: distance, Scale: 2})
		for i, z := range s.butterfly(a, b, c, d) {
			s.writePoint(z, s.at(dst, 2*i))
		}
		ADDQ(U32(8*s.bytes()), dst)
	})
}

// butterflies generates the later stages.
func butterflies(s isa) {
	kernel(s, "Butterflies", "func(work, twiddles []float32, length int)", "is a later stage, of radix 4.")
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
	b := s.times(s.readPoint(places[1]), Mem{Base: w})
	c := s.times(s.readPoint(places[2]), Mem{Base: w, Disp: 8})
	d := s.times(s.readPoint(places[3]), Mem{Base: w, Disp: 16})
	for i, z := range s.butterfly(a, b, c, d) {
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
	kernel(s, "Power", "func(power, z, half []float32)", "separates the spectra of even and odd samples.")
	low, z := Load(Param("power").Base(), GP64()), Load(Param("z").Base(), GP64())
	high, mirror := GP64(), Load(Param("z").Len(), GP64())
	LEAQ(Mem{Base: low, Index: mirror, Scale: 2}, high)
	LEAQ(Mem{Base: z, Index: mirror, Scale: 4}, mirror)
	w, left := Load(Param("half").Base(), GP64()), Load(Param("half").Len(), GP64())
	SHRQ(U8(1), left)

	first := s.readPoint(Mem{Base: z})
	lowest, highest := s.add(first.re, first.im), s.sub(first.re, first.im)
	VMULPS(lowest, lowest, lowest)
	VMOVUPS(lowest, Mem{Base: low})
	VMULPS(highest, highest, highest)
	VMOVUPS(highest, Mem{Base: high})
	quarter := s.constant(0.25)
	JMP(LabelRef("next"))
	Label("bins")
	a, b := s.readPoint(Mem{Base: z}), s.readPoint(Mem{Base: mirror})
	even := point{s.add(a.re, b.re), s.sub(a.im, b.im)}
	odd := s.times(point{s.add(a.im, b.im), s.sub(b.re, a.re)}, Mem{Base: w})
	bins := []point{s.plus(even, odd), s.minus(even, odd)}
	for i, to := range []reg.Register{low, high} {
		VMULPS(bins[i].re, bins[i].re, bins[i].re)
		VFMADD231PS(bins[i].im, bins[i].im, bins[i].re)
		VMULPS(quarter, bins[i].re, bins[i].re)
		VMOVUPS(bins[i].re, Mem{Base: to})
	}
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
