package main

import (
	"fmt"

	"github.com/polyphon/polyphon/internal/asm/arm64"
)

// depthwise generates the kernel of depthwise convolutions, in the tiles that amd64's has.
func (n neon) depthwise() {
	d := neonDepthwise{neon: n, xStride: n.Bytes("xStride"), xTap: n.Bytes("xTap"), wStride: n.Bytes("wStride")}
	left := n.Int("cols")
	d.offset = n.General()
	n.SetInt(d.offset, 0)
	n.eachFloats("cols", left, 8, func(floats int, label string) {
		d.floats = floats
		d.block(label)
		n.AddInt(d.offset, 4*floats)
	})
	n.Return()
}

// neonDepthwise is the state of the generation: strides and the current columns, in bytes.
type neonDepthwise struct {
	neon
	xStride, xTap, wStride, offset *arm64.Register
	floats                         int
}

// base returns a pointer to the current columns of an operand.
func (d *neonDepthwise) base(name string) *arm64.Register {
	p := d.Base(name)
	d.Add(p, d.offset, 0)
	return p
}

// block generates the loops over the rows of the current columns.
func (d *neonDepthwise) block(label string) {
	dst, x, init := d.base("dst"), d.base("x"), d.base("init")
	left := d.Int("rows")
	for _, rows := range []int{4, 2, 1} {
		name := fmt.Sprintf("%s_rows%d", label, rows)
		d.whileLeft(name, left, rows, func() { d.tile(name, dst, x, init, rows) })
	}
}

// whileLeft generates a loop that runs body for each n of left.
func (d *neonDepthwise) whileLeft(label string, left *arm64.Register, n int, body func()) {
	d.Label(label)
	d.Compare(left, n)
	d.Jump("BLT", label+"_done")
	body()
	d.AddInt(left, -n)
	d.Jump("B", label)
	d.Label(label + "_done")
}

// tile generates the computation of so many rows, from which it moves the pointers on.
func (d *neonDepthwise) tile(name string, dst, x, init *arm64.Register, rows int) {
	sums := make([]registers, rows)
	stride := d.Bytes("initStride")
	for r := range sums {
		sums[r] = d.load(at(init), d.floats)
		d.Add(init, stride, 0)
	}
	tap, w, left := d.Copy(x), d.base("w"), d.Int("taps")
	if rows > 1 {
		d.CompareWith(d.xStride, d.xTap)
		d.Jump("BNE", name+"_taps_done")
		d.whileLeft(name+"_taps", left, 4, func() { d.taps(sums, tap, w, 4) })
	}
	d.whileLeft(name+"_tap", left, 1, func() { d.taps(sums, tap, w, 1) })
	stride = d.Bytes("dstStride")
	for _, sum := range sums {
		d.store(sum, at(dst), d.floats)
		d.Add(dst, stride, 0)
	}
	d.addTimes(x, d.xStride, rows)
}

// taps generates the products of so many taps, and moves the pointers on. Several taps' rows must be a window apart.
func (d *neonDepthwise) taps(sums []registers, x, w *arm64.Register, count int) {
	weights := make([]registers, count)
	for k := range weights {
		weights[k] = d.load(at(w), d.floats)
		d.Add(w, d.wStride, 0)
	}
	row := d.Copy(x)
	for i := range len(sums) + count - 1 {
		value := d.load(at(row), d.floats)
		for k := max(0, i-len(sums)+1); k < min(count, i+1); k++ {
			d.addProduct(sums[i-k], value, weights[k])
		}
		d.Add(row, d.xStride, 0)
	}
	d.addTimes(x, d.xTap, count)
}
