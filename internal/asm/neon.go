package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/polyphon/polyphon/internal/asm/arm64"
)

// neon is the function of a kernel for arm64, and its arithmetic.
type neon struct{ *arm64.Function }

// registers is a value: a vector of four floats, or several side by side.
type registers []*arm64.Register

// element is a value that is the same in all lanes: a vector's element, for last operands.
type element struct {
	vector *arm64.Register
	index  int
}

// result returns what an instruction makes of the vectors of a, and of those of b if there are any.
func (n neon) result(op string, a, b value) value {
	to := make(registers, len(a.(registers)))
	for i := range to {
		to[i] = n.Vector()
	}
	n.apply(op, to, a, b)
	return to
}

// apply runs an instruction on each vector of its operands.
func (n neon) apply(op string, to, a, b value) {
	for i, d := range to.(registers) {
		switch b := b.(type) {
		case nil:
			n.Op(op, d, a.(registers)[i], nil, 0)
		case element:
			n.Op(op+"_e", d, a.(registers)[i], b.vector, b.index)
		case registers:
			n.Op(op, d, a.(registers)[i], b[i], 0)
		}
	}
}

func (n neon) copied(a value) value {
	to := make(registers, len(a.(registers)))
	for i, r := range a.(registers) {
		to[i] = n.Copy(r)
	}
	return to
}

func (n neon) add(a, b value) value { return n.result("fadd", a, b) }
func (n neon) sub(a, b value) value { return n.result("fsub", a, b) }
func (n neon) mul(a, b value) value { return n.result("fmul", a, b) }
func (n neon) div(a, b value) value { return n.result("fdiv", a, b) }
func (n neon) max(a, b value) value { return n.result("fmax", a, b) }
func (n neon) min(a, b value) value { return n.result("fmin", a, b) }
func (n neon) sqrt(a value) value   { return n.result("fsqrt", a, nil) }

func (n neon) number(a value) value { return n.result("scvtf", a, nil) }

func (n neon) wherePositive(y, x value) value {
	return n.result("and", n.result("fcmgt0", y, nil), x)
}

func (n neon) addTo(sum, a value)         { n.apply("fadd", sum, sum, a) }
func (n neon) addProduct(sum, a, b value) { n.apply("fmla", sum, a, b) }
func (n neon) subProduct(sum, a, b value) { n.apply("fmls", sum, a, b) }

func (n neon) mulAdd(a, b, c value) value {
	sum := n.copied(c)
	n.addProduct(sum, a, b)
	return sum
}

func (n neon) mulSub(a, b, c value) value {
	sum := n.result("fneg", c, nil)
	n.addProduct(sum, a, b)
	return sum
}

func (n neon) factor(constant float32) value {
	quad, index := n.Constant(constant)
	return element{quad, index}
}

// quads returns the vectors that so many floats take: 1, 2 or a multiple of 4, and the bytes of each.
func quads(floats int) (vectors, bytes int) { return max(1, floats/4), min(16, 4*floats) }

// new returns the registers of so many floats.
func (n neon) new(floats int) registers {
	vectors, _ := quads(floats)
	v := make(registers, vectors)
	for i := range v {
		v[i] = n.Vector()
	}
	return v
}

// zeros returns so many floats of 0.
func (n neon) zeros(floats int) registers {
	v := n.new(floats)
	for i := range v {
		v[i] = n.Zero()
	}
	return v
}

// load returns so many floats, and store stores them.
func (n neon) load(from arm64.Place, floats int) registers {
	v := n.new(floats)
	_, bytes := quads(floats)
	n.Load(from, bytes, v...)
	return v
}

func (n neon) store(v value, to arm64.Place, floats int) {
	_, bytes := quads(floats)
	n.Store(to, bytes, v.(registers)...)
}

// loadNext and storeNext do so at the address in a register, which they move on.
func (n neon) loadNext(from *arm64.Register, floats int) registers {
	v := n.new(floats)
	_, bytes := quads(floats)
	n.LoadNext(from, bytes, v...)
	return v
}

func (n neon) storeNext(v value, to *arm64.Register, floats int) {
	_, bytes := quads(floats)
	n.StoreNext(to, bytes, v.(registers)...)
}

func at(p *arm64.Register) arm64.Place { return arm64.Place{Base: p} }

// eachFloats generates a loop that runs body for each widest of the left floats, and then body for half as many, if
// those are left, and so on to 1.
func (n neon) eachFloats(label string, left *arm64.Register, widest int, body func(floats int, label string)) {
	for floats := widest; floats >= 1; floats /= 2 {
		name := fmt.Sprintf("%s%d", label, floats)
		n.Label(name)
		n.Compare(left, floats)
		n.Jump("BLT", name+"_done")
		body(floats, name)
		n.AddInt(left, -floats)
		if floats == widest {
			n.Jump("B", name)
		}
		n.Label(name + "_done")
	}
}

// addTimes adds so many strides to a pointer.
func (n neon) addTimes(p, stride *arm64.Register, times int) {
	for shift := 0; times>>shift > 0; shift++ {
		if times>>shift&1 != 0 {
			n.Add(p, stride, shift)
		}
	}
}

// rowsFrom returns pointers to rows a stride apart.
func (n neon) rowsFrom(first, stride *arm64.Register, rows int) []*arm64.Register {
	p := []*arm64.Register{n.Copy(first)}
	for len(p) < rows {
		p = append(p, n.Sum(p[len(p)-1], stride, 0))
	}
	return p
}

// neonFile are the kernels of a package.
type neonFile struct{ assembly, declarations, assignments strings.Builder }

// kernel generates a kernel by the first of the given bodies that the registers suffice for.
func (g *neonFile) kernel(k spec, bodies ...func(n neon)) {
	name := k.function("neon")
	for i, body := range bodies {
		f := arm64.New(name, k.signature)
		body(neon{f})
		text, err := f.Assembly()
		if err != nil {
			if i == len(bodies)-1 {
				log.Fatal(err)
			}
			continue
		}
		fmt.Fprintf(&g.assembly, "\n%s", text)
		fmt.Fprintf(&g.declarations, "\n// %s %s\n//\n//go:noescape\n%s\n",
			name, strings.Join(k.doc, "\n// "), broken(f.Declaration()))
		fmt.Fprintf(&g.assignments, "\tk.%s = %s\n", k.field, name)
		return
	}
}

// widths returns a body for each number of floats, in descending order, that a kernel takes at a time.
func widths(widest int, body func(n neon, floats int)) (bodies []func(n neon)) {
	for floats := widest; floats >= 4; floats /= 2 {
		bodies = append(bodies, func(n neon) { body(n, floats) })
	}
	return bodies
}

// write writes the files of the package in folder.
func (g *neonFile) write(folder, argument string) error {
	const begin = "// Code generated by command: go run . %s. DO NOT EDIT.\n\n//go:build arm64 && !purego\n"
	head := fmt.Sprintf(begin, argument)
	assembly := head + "\n#include \"textflag.h\"\n" + g.assembly.String()
	code := head + "\npackage simd\n" + g.declarations.String() +
		"\nfunc (k *Kernels) useNEON() {\n" + g.assignments.String() + "}\n"
	if err := os.WriteFile(folder+"kernels_arm64.s", []byte(assembly), 0o644); err != nil {
		return err
	}
	return os.WriteFile(folder+"kernels_arm64.go", []byte(code), 0o644)
}

// neonDevice generates the kernels of package device, neonFeatures those of features.
func neonDevice() *neonFile {
	g := new(neonFile)
	g.kernel(matMulTileSpec, neon.matMulTile)
	g.kernel(outerTileSpec, neon.outerTile)
	g.kernel(depthwiseSpec, neon.depthwise)
	g.kernel(byteTileSpec, neon.byteTile)
	g.kernel(peakSpec, neon.peak)
	for i := range winograds {
		g.winograd(&winograds[i])
	}
	for _, k := range rowKernels {
		g.kernel(k.spec(), widths(16, k.neon)...)
	}
	return g
}
