package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// winograd describes the transforms of one of Winograd's algorithms and those of its gradients. Type Winograd of
// package simd explains them and has their matrices, which its tests compare the generated code with.
type winograd struct {
	name                  string
	outputs, taps, points int
	constants             []float32 // that the transforms use, in the order of the data
	input                 transform // from points rows to points
	weight                transform // from taps to points
	output                transform // from points to outputs
	weightGrad            transform // from points to taps
	outputGrad            transform // from outputs to points
}

type transform = func(s isa, x []reg.VecVirtual) []reg.VecVirtual

var winograds = []winograd{
	{
		name: "WinogradF23", outputs: 2, taps: 3, points: 4, constants: []float32{1. / 2},
		input: func(s isa, x []reg.VecVirtual) []reg.VecVirtual {
			sum, difference := s.pair(x[2], x[1])
			return []reg.VecVirtual{s.sub(x[0], x[2]), sum, difference, s.sub(x[3], x[1])}
		},
		weight: func(s isa, g []reg.VecVirtual) []reg.VecVirtual {
			sum, difference := s.pair(s.scale(1./2, s.add(g[0], g[2])), s.scale(1./2, g[1]))
			return []reg.VecVirtual{g[0], sum, difference, g[2]}
		},
		output: func(s isa, m []reg.VecVirtual) []reg.VecVirtual {
			sum, difference := s.pair(m[1], m[2])
			return []reg.VecVirtual{s.add(m[0], sum), s.add(m[3], difference)}
		},
		weightGrad: func(s isa, u []reg.VecVirtual) []reg.VecVirtual {
			sum, difference := s.pair(u[1], u[2])
			return []reg.VecVirtual{s.add2(u[0], 1./2, sum), s.scale(1./2, difference), s.add2(u[3], 1./2, sum)}
		},
		outputGrad: func(s isa, d []reg.VecVirtual) []reg.VecVirtual {
			sum, difference := s.pair(d[0], d[1])
			return []reg.VecVirtual{d[0], sum, difference, d[1]}
		},
	},
	{
		name: "WinogradF33", outputs: 3, taps: 3, points: 5,
		constants: []float32{4, 3, 2, 2. / 3, 1. / 2, 1. / 3, 1. / 6, -1. / 2},
		input: func(s isa, x []reg.VecVirtual) []reg.VecVirtual {
			v3 := s.sub(x[3], x[1])
			return []reg.VecVirtual{
				s.add2(v3, 2, s.sub(x[0], x[2])),
				s.sub(v3, s.add(x[1], x[2])),
				s.add2(v3, 3, s.sub(x[1], x[2])),
				v3,
				s.sub2(s.sub(x[4], x[2]), 2, v3),
			}
		},
		weight: func(s isa, g []reg.VecVirtual) []reg.VecVirtual {
			even := s.add(g[0], g[2])
			return []reg.VecVirtual{
				s.scale(1./2, g[0]),
				s.scale(-1./2, s.add(even, g[1])),
				s.scale(1./6, s.sub(g[1], even)),
				s.add2(s.add2(s.scale(1./6, g[0]), 1./3, g[1]), 2./3, g[2]),
				g[2],
			}
		},
		output: func(s isa, m []reg.VecVirtual) []reg.VecVirtual {
			sum := s.add(m[1], m[2])
			return []reg.VecVirtual{
				s.add(s.add(m[0], m[3]), sum),
				s.add2(s.sub(m[1], m[2]), 2, m[3]),
				s.add(s.add2(m[4], 4, m[3]), sum),
			}
		},
		weightGrad: func(s isa, u []reg.VecVirtual) []reg.VecVirtual {
			half := s.scale(-1./2, u[1])
			return []reg.VecVirtual{
				s.add2(s.add2(half, 1./2, u[0]), 1./6, s.sub(u[3], u[2])),
				s.add2(s.add2(half, 1./6, u[2]), 1./3, u[3]),
				s.add2(s.sub2(s.add(half, u[4]), 1./6, u[2]), 2./3, u[3]),
			}
		},
		outputGrad: func(s isa, d []reg.VecVirtual) []reg.VecVirtual {
			even := s.add(d[0], d[2])
			sum, difference := s.pair(even, d[1])
			return []reg.VecVirtual{d[0], sum, difference, s.add2(s.add2(d[0], 2, d[1]), 4, d[2]), d[2]}
		},
	},
	{
		name: "WinogradF45", outputs: 4, taps: 5, points: 8,
		constants: []float32{
			8, 21. / 4, 5, 17. / 4, 4, 5. / 2, 2, 5. / 4, 1. / 2, 1. / 4, 1. / 8,
			-2. / 9, 1. / 90, 2. / 45, 4. / 45, 8. / 45, 16. / 45, 32. / 45, 1. / 45,
		},
		input: func(s isa, x []reg.VecVirtual) []reg.VecVirtual {
			v0 := s.add2(s.sub(x[0], x[6]), 21./4, s.sub(x[4], x[2]))
			v7 := s.add2(s.sub(x[7], x[1]), 21./4, s.sub(x[3], x[5]))
			v1, v2 := s.pair(s.sub2(s.add(x[2], x[6]), 17./4, x[4]), s.sub2(s.add(x[1], x[5]), 17./4, x[3]))
			v3, v4 := s.pair(s.sub2(s.add2(x[6], 1./4, x[2]), 5./4, x[4]),
				s.sub2(s.add2(s.scale(2, x[5]), 1./2, x[1]), 5./2, x[3]))
			v5, v6 := s.pair(s.sub2(s.add2(x[6], 4, x[2]), 5, x[4]),
				s.sub2(s.add2(s.scale(2, x[1]), 1./2, x[5]), 5./2, x[3]))
			return []reg.VecVirtual{v0, v1, v2, v3, v4, v5, v6, v7}
		},
		weight: func(s isa, g []reg.VecVirtual) []reg.VecVirtual {
			u1, u2 := s.pair(s.add(s.add(g[0], g[4]), g[2]), s.add(g[1], g[3]))
			u3, u4 := s.pair(s.add2(s.add2(s.scale(1./90, g[0]), 2./45, g[2]), 8./45, g[4]),
				s.add2(s.scale(1./45, g[1]), 4./45, g[3]))
			u5, u6 := s.pair(s.add2(s.add2(s.scale(32./45, g[0]), 8./45, g[2]), 2./45, g[4]),
				s.add2(s.scale(16./45, g[1]), 4./45, g[3]))
			return []reg.VecVirtual{g[0], s.scale(-2./9, u1), s.scale(-2./9, u2), u3, u4, u5, u6, g[4]}
		},
		output: func(s isa, m []reg.VecVirtual) []reg.VecVirtual {
			s1, d1 := s.pair(m[1], m[2])
			s2, d2 := s.pair(m[3], m[4])
			s3, d3 := s.pair(m[5], m[6])
			return []reg.VecVirtual{
				s.add(s.add(m[0], s1), s.add(s2, s3)),
				s.add2(s.add2(d1, 2, d2), 1./2, d3),
				s.add2(s.add2(s1, 4, s2), 1./4, s3),
				s.add2(s.add2(s.add(d1, m[7]), 8, d2), 1./8, d3),
			}
		},
		weightGrad: func(s isa, u []reg.VecVirtual) []reg.VecVirtual {
			s1, d1 := s.pair(u[1], u[2])
			s3, d3 := s.pair(u[3], u[4])
			s5, d5 := s.pair(u[5], u[6])
			s1, d1 = s.scale(-2./9, s1), s.scale(-2./9, d1)
			return []reg.VecVirtual{
				s.add2(s.add2(s.add(s1, u[0]), 1./90, s3), 32./45, s5),
				s.add2(s.add2(d1, 1./45, d3), 16./45, d5),
				s.add2(s.add2(s1, 2./45, s3), 8./45, s5),
				s.add2(d1, 4./45, s.add(d3, d5)),
				s.add2(s.add2(s.add(s1, u[7]), 8./45, s3), 2./45, s5),
			}
		},
		outputGrad: func(s isa, d []reg.VecVirtual) []reg.VecVirtual {
			z1, z2 := s.pair(s.add(d[0], d[2]), s.add(d[1], d[3]))
			z3, z4 := s.pair(s.add2(d[0], 4, d[2]), s.add2(s.scale(2, d[1]), 8, d[3]))
			z5, z6 := s.pair(s.add2(d[0], 1./4, d[2]), s.add2(s.scale(1./2, d[1]), 1./8, d[3]))
			return []reg.VecVirtual{d[0], z1, z2, z3, z4, z5, z6, d[3]}
		},
	},
}

// constantsData holds constants as operands in memory, since AVX2 has few registers.
var constantsData = map[float32]Mem{}

// constantData returns the memory of a vector of one value.
func constantData(value float32) Mem {
	if data, known := constantsData[value]; known {
		return data
	}
	data := GLOBL(fmt.Sprintf("constant%08x", math.Float32bits(value)), RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(math.Float32bits(value)))
	}
	constantsData[value] = data
	return data
}

// pair returns a + b and a − b.
func (s isa) pair(a, b reg.VecVirtual) (sum, difference reg.VecVirtual) {
	return s.add(a, b), s.sub(a, b)
}

func (s isa) scale(factor float32, a reg.VecVirtual) reg.VecVirtual {
	v := s.vec()
	VMULPS(constantData(factor), a, v)
	return v
}

// add2 returns a + factor·b.
func (s isa) add2(a reg.VecVirtual, factor float32, b reg.VecVirtual) reg.VecVirtual {
	v := s.vec()
	VMOVAPS(a, v)
	VFMADD231PS(constantData(factor), b, v)
	return v
}

// sub2 returns a − factor·b.
func (s isa) sub2(a reg.VecVirtual, factor float32, b reg.VecVirtual) reg.VecVirtual {
	v := s.vec()
	VMOVAPS(a, v)
	VFNMADD231PS(constantData(factor), b, v)
	return v
}

// strided is a moving pointer to rows that lie a stride apart.
type strided struct {
	p, stride, triple, fourth reg.GPVirtual // fourth: p + 4·stride, where there are so many rows
}

// newStrided returns a pointer to rows whose stride is a parameter.
func newStrided(stride string, rows int) *strided {
	r := &strided{p: GP64(), stride: Load(Param(stride), GP64()).(reg.GPVirtual), triple: GP64()}
	SHLQ(U8(2), r.stride)
	LEAQ(Mem{Base: r.stride, Index: r.stride, Scale: 2}, r.triple)
	if rows > 4 {
		r.fourth = GP64()
	}
	return r
}

// begin sets the pointer to p.
func (r *strided) begin(p reg.Register) {
	MOVQ(p, r.p)
	r.moved()
}

func (r *strided) moved() {
	if r.fourth != nil {
		LEAQ(Mem{Base: r.p, Index: r.stride, Scale: 4}, r.fourth)
	}
}

// advance moves the pointer by 2 to 5 rows.
func (r *strided) advance(rows int) {
	switch rows {
	case 2:
		LEAQ(Mem{Base: r.p, Index: r.stride, Scale: 2}, r.p)
	case 3:
		ADDQ(r.triple, r.p)
	case 4, 5:
		LEAQ(Mem{Base: r.p, Index: r.stride, Scale: 4}, r.p)
		if rows == 5 {
			ADDQ(r.stride, r.p)
		}
	}
	r.moved()
}

// add moves the pointer by bytes.
func (r *strided) add(bytes reg.Register) {
	ADDQ(bytes, r.p)
	r.moved()
}

func (r *strided) row(i int) Mem {
	p := r.p
	if i >= 4 {
		p, i = r.fourth, i-4
	}
	return rowFrom(p, r.stride, r.triple, i)
}

// rowFrom returns the address of row 0 to 3 from p on, given the stride and its triple.
func rowFrom(p, stride, triple reg.Register, row int) Mem {
	switch row {
	case 0:
		return Mem{Base: p}
	case 3:
		return Mem{Base: p, Index: triple, Scale: 1}
	}
	return Mem{Base: p, Index: stride, Scale: uint8(row)}
}

// generate generates the kernels of a Winograd.
func (w winograd) generate(s isa) {
	w.intoPoints(s, "Input", w.points, w.outputs, w.input)
	w.intoPoints(s, "Weight", w.taps, w.taps, w.weight)
	w.intoPoints(s, "OutputGrad", w.outputs, w.outputs, w.outputGrad)
	w.fromPoints(s, "Output", w.outputs, w.output)
	w.fromPoints(s, "WeightGrad", w.taps, w.weightGrad)
}

// intoPoints generates a transform from some rows of each tile, whose tiles lie advance rows apart, to a row a point.
func (w winograd) intoPoints(s isa, name string, rows, advance int, t transform) {
	kernel(s, w.name+"."+name, "func(v, x []float32, tiles, cols, xStride, vPoint int)", "is a Winograd's kernel.")
	rowBytes := Load(Param("cols"), GP64())
	SHLQ(U8(2), rowBytes)
	in, out := newStrided("xStride", rows), newStrided("vPoint", w.points)
	w.eachColumn(s, "v", in, out, rows, t, func() {
		in.advance(advance)
		out.add(rowBytes)
	})
}

// fromPoints generates a transform from a row a point to some rows of each tile.
func (w winograd) fromPoints(s isa, name string, rows int, t transform) {
	kernel(s, w.name+"."+name, "func(y, x []float32, tiles, cols, yStride, xStride, xPoint int)",
		"is a Winograd's kernel.")
	rowBytes := Load(Param("xStride"), GP64())
	SHLQ(U8(2), rowBytes)
	in, out := newStrided("xPoint", w.points), newStrided("yStride", rows)
	w.eachColumn(s, "y", in, out, w.points, t, func() {
		in.add(rowBytes)
		out.advance(rows)
	})
}

// eachColumn generates the loops of a transform: over vectors of columns and, within one, over the tiles.
func (w winograd) eachColumn(s isa, to string, in, out *strided, rows int, t transform, next func()) {
	for _, c := range w.constants {
		constantData(c)
	}
	src, dst := Load(Param("x").Base(), GP64()), Load(Param(to).Base(), GP64())
	left := Load(Param("cols"), GP64())
	column := func(label string, mask reg.Register) {
		in.begin(src)
		out.begin(dst)
		tiles := Load(Param("tiles"), GP64())
		Label(label)
		x := make([]reg.VecVirtual, rows)
		for i := range x {
			x[i] = s.load(in.row(i), mask)
		}
		for i, v := range t(s, x) {
			s.move(v, out.row(i), mask)
		}
		next()
		DECQ(tiles)
		JNZ(LabelRef(label))
	}
	eachVector("columns", "last", left, s.width, func() {
		column("tiles", nil)
		ADDQ(U32(s.bytes()), src)
		ADDQ(U32(s.bytes()), dst)
	}, func() { column("lastTiles", s.mask(left, s.vec())) })
}
