package main

import (
	"fmt"

	"github.com/polyphon/polyphon/internal/asm/arm64"
)

// transpose returns the columns of the square matrix with the given rows.
func (n neon) transpose(rows registers) registers {
	quads := make(registers, neonLanes) // columns 0 and 2 of rows 0 and 1, 1 and 3 of them; the same of rows 2 and 3
	for i := range quads {
		quads[i] = n.Vector()
	}
	for i := 0; i < neonLanes; i += 2 {
		n.Op("trn1", quads[i], rows[i], rows[i+1], 0)
		n.Op("trn2", quads[i+1], rows[i], rows[i+1], 0)
	}
	columns := n.new(neonLanes * neonLanes)
	for i := range 2 {
		n.Op("zip1_d", columns[i], quads[i], quads[i+2], 0)
		n.Op("zip2_d", columns[i+2], quads[i], quads[i+2], 0)
	}
	return columns
}

// window generates the kernel that weights frames and transposes them into lanes.
func (n neon) window() {
	dst, weights, left := n.Base("dst"), n.Base("window"), n.Len("window")
	frames := n.rowsFrom(n.Base("samples"), n.Bytes("hop"), neonLanes)
	n.Label("squares")
	n.Compare(left, neonLanes)
	n.Jump("BLT", "rest")
	w := n.loadNext(weights, neonLanes)
	rows := make(registers, neonLanes)
	for i, frame := range frames {
		rows[i] = n.mul(n.loadNext(frame, neonLanes), w).(registers)[0]
	}
	n.storeNext(n.transpose(rows), dst, neonLanes*neonLanes)
	n.AddInt(left, -neonLanes)
	n.Jump("B", "squares")

	// What is left takes a value at a time, and zeros make a whole square of it.
	n.Label("rest")
	n.JumpIfZero(left, "done")
	missing := n.General()
	n.SetInt(missing, neonLanes)
	n.Subtract(missing, left, 0)
	n.Label("samples")
	w = n.loadNext(weights, 1)
	for _, frame := range frames {
		n.storeNext(n.mul(n.loadNext(frame, 1), w), dst, 1)
	}
	n.Count(left, 1)
	n.Jump("BNE", "samples")
	zero := n.zeros(neonLanes)
	n.Label("missing")
	n.storeNext(zero, dst, neonLanes)
	n.Count(missing, 1)
	n.Jump("BNE", "missing")
	n.Label("done")
	n.Return()
}

// mels generates the kernel that sums each mel's bins and transposes lanes into rows.
func (n neon) mels() {
	power, weight, span, left := n.Base("power"), n.Base("weights"), n.Base("spans"), n.Len("spans")
	n.Shift("LSR", left, 1)
	rows := n.rowsFrom(n.Base("rows"), n.Bytes("stride"), neonLanes)
	n.Label("square")
	sums := n.zeros(neonLanes * neonLanes)
	for i := range sums {
		n.Count(left, 1)
		n.Jump("BLT", "store")
		bins := fmt.Sprintf("bins%d", i)
		first, count := n.LoadInt(at(span), 4), n.LoadInt(arm64.Place{Base: span, Offset: 4}, 4)
		n.AddInt(span, 8)
		bin := n.Sum(power, first, 4)
		n.Label(bins)
		w := n.loadNext(weight, 1)[0]
		n.addProduct(sums[i:i+1], n.loadNext(bin, neonLanes), element{w, 0})
		n.Count(count, 1)
		n.Jump("BNE", bins)
	}
	n.Label("store")
	for i, row := range n.transpose(sums) {
		n.storeNext(registers{row}, rows[i], neonLanes)
	}
	n.Compare(left, 0)
	n.Jump("BGT", "square")
	n.Return()
}

// logarithm generates the kernel of the logarithm. It computes in doubles, of which a vector has two.
func (n neon) logarithm() {
	constants := map[string]*arm64.Register{"bias": n.Doubles(1023)}
	for _, c := range logConstants {
		if c.name != "magic" && c.name != "magicBias" {
			constants[c.name] = n.Doubles(c.bits)
		}
	}
	values, left, floor := n.Base("values"), n.Len("values"), n.Double("floor")
	n.eachFloats("values", left, 4, func(floats int, _ string) {
		v := n.load(at(values), floats)
		v = n.result("fminnm", v, registers{constants["largest"]}).(registers) // a NaN's minimum is the number
		narrow := n.result("fcvtn", n.ln(constants, floor, n.result("fcvtl", v, nil)), nil)
		if floats == 4 {
			n.apply("fcvtn2", narrow, n.ln(constants, floor, n.result("fcvtl2", v, nil)), nil)
		}
		n.storeNext(narrow, values, floats)
	})
	n.Return()
}

// ln returns the logarithms of floor + x, as package simd's function ln computes them.
func (n neon) ln(constants map[string]*arm64.Register, floor *arm64.Register, x value) value {
	c := func(name string) registers { return registers{constants[name]} }
	x = n.result("add_d", n.result("fadd_d", x, registers{floor}), c("toRootHalf"))
	exponent := n.result("sub_d", n.shifted(x, 52), c("bias"))
	exponent = n.result("scvtf_d", exponent, nil)
	m := n.result("add_d", n.result("and", x, c("mantissa")), c("rootHalf"))
	quotient := n.result("fdiv_d", n.result("fsub_d", m, c("one")), n.result("fadd_d", m, c("one")))
	square := n.result("fmul_d", quotient, quotient)
	var series value = c("c13")
	for _, name := range []string{"c11", "c9", "c7", "c5", "c3", "c1"} {
		next := n.copied(c(name))
		n.apply("fmla_d", next, series, square)
		series = next
	}
	series = n.result("fmul_d", series, quotient)
	n.apply("fmla_d", series, exponent, c("ln2"))
	return series
}

// shifted returns doublewords shifted to the right.
func (n neon) shifted(x value, bits int) value {
	to := n.Vector()
	n.Op("ushr_d", to, x.(registers)[0], nil, bits)
	return registers{to}
}
