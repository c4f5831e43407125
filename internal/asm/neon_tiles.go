package main

import (
	"fmt"

	"github.com/polyphon/polyphon/internal/asm/arm64"
)

// neonTileRows and neonWidth give tiles of 6 × 16 floats: 24 sums, 6 vectors of a, each of which holds four steps of
// depth for multiplications by element, and 2 of b, which are all 32 registers.
const (
	neonTileRows = 6
	neonWidth    = 8 // floats in what the kernels call a vector: two of the machine's
)

// neonTile is the register tile of rows × floats sums.
type neonTile []registers

func (n neon) newTile(rows, floats int) neonTile {
	t := make(neonTile, rows)
	for r := range t {
		t[r] = n.zeros(floats)
	}
	return t
}

// eachRows generates body for every number of a tile's rows, from the largest down, and the comparisons that select it.
func (n neon) eachRows(label string, rows *arm64.Register, body func(rows int, label string)) {
	for r := neonTileRows; r >= 1; r-- {
		name := fmt.Sprintf("%s%d", label, r)
		if r > 1 {
			n.Compare(rows, r)
			n.Jump("BNE", "not_"+name)
		}
		body(r, name)
		n.Return()
		if r > 1 {
			n.Label("not_" + name)
		}
	}
}

// matMulTile generates the kernel of the matrix product.
func (n neon) matMulTile() {
	rows, vectors := n.Int("rows"), n.Int("vectors")
	n.Compare(vectors, 2)
	n.Jump("BNE", "one_vector")
	n.eachRows("two", rows, func(rows int, label string) { n.product(rows, 2*neonWidth, label) })
	n.Label("one_vector")
	n.eachRows("one", rows, func(rows int, label string) { n.product(rows, neonWidth, label) })
}

// product generates the computation of a tile.
func (n neon) product(rows, floats int, label string) {
	sums := n.newTile(rows, floats)
	a, starts, b := n.Base("a"), n.Int("starts"), n.Base("b")
	row := make([]*arm64.Register, rows)
	for r := range row {
		row[r] = n.Sum(a, n.LoadInt(arm64.Place{Base: starts, Offset: 8 * r}, 8), 2)
	}
	// steps generates the loop over so many rows of b at a time.
	steps := func(name, next string, left *arm64.Register, count int) {
		n.JumpIfZero(left, next)
		n.Label(name)
		factors := make(registers, rows)
		for r := range factors {
			factors[r] = n.loadNext(row[r], count)[0]
		}
		for k := range count {
			for v := 0; v < floats/4; v += 2 {
				panel := n.loadNext(b, 8)
				for r := range sums {
					n.addProduct(sums[r][v:v+2], panel, element{factors[r], k})
				}
			}
		}
		n.Count(left, 1)
		n.Jump("BNE", name)
		n.Label(next)
	}
	left := n.Int("depth")
	n.Shift("LSR", left, 2)
	steps(label+"_four", label+"_rest", left, 4)
	left = n.Int("depth")
	n.And(left, 3)
	steps(label+"_step", label+"_store", left, 1)
	c, stride := n.Base("c"), n.Bytes("cStride")
	for _, sum := range sums {
		n.store(sum, at(c), floats)
		n.Add(c, stride, 0)
	}
}

// outerTile generates the kernel of the weight gradient.
func (n neon) outerTile() {
	o := neonOuter{
		neon: n, dw: n.Base("dw"), dyFirst: n.Base("dy"), left: n.Int("cols"),
		aStride: n.Bytes("aRowStride"), dyStride: n.Bytes("dyRowStride"), stride: n.Bytes("dwStride"),
	}
	n.eachRows("tile", n.Int("tileRows"), func(rows int, label string) {
		n.eachFloats(label+"_cols", o.left, 2*neonWidth, func(floats int, label string) { o.tile(rows, floats, label) })
	})
}

// neonOuter is the state of an outer tile's generation.
type neonOuter struct {
	neon
	dw, dyFirst, left         *arm64.Register // the columns that are left
	aStride, dyStride, stride *arm64.Register // bytes
}

// tile generates the computation of so many columns, from which it moves the pointers on.
func (o *neonOuter) tile(rows, floats int, label string) {
	sums := o.newTile(rows, floats)
	aGroup, dyGroup, groups := o.Base("a"), o.Copy(o.dyFirst), o.Int("groups")
	o.Label(label + "_group")
	a, dy, left := o.Copy(aGroup), o.Copy(dyGroup), o.Int("rows")
	o.Label(label + "_row")
	row := o.load(at(dy), floats)
	o.Add(dy, o.dyStride, 0)
	for r := 0; r < rows; {
		count := 4
		for count > rows-r {
			count /= 2
		}
		factors := o.load(arm64.Place{Base: a, Offset: 4 * r}, count)
		for i := range count {
			o.addProduct(sums[r+i], row, element{factors[0], i})
		}
		r += count
	}
	o.Add(a, o.aStride, 0)
	o.Count(left, 1)
	o.Jump("BNE", label+"_row")
	o.Add(aGroup, o.Int("aGroupStride"), 2)
	o.Add(dyGroup, o.Int("dyGroupStride"), 2)
	o.Count(groups, 1)
	o.Jump("BNE", label+"_group")
	dw := o.Copy(o.dw)
	for _, sum := range sums {
		o.store(o.add(sum, o.load(at(dw), floats)), at(dw), floats)
		o.Add(dw, o.stride, 0)
	}
	o.AddInt(o.dw, 4*floats)
	o.AddInt(o.dyFirst, 4*floats)
}

// peak generates the loop with which benchmarks measure the machine's maximum rate of multiply-adds.
func (n neon) peak() {
	sums := n.newTile(12, neonWidth)
	x, steps := n.zeros(neonWidth), n.Int("steps")
	n.Label("step")
	for _, sum := range sums {
		n.addProduct(sum, x, x)
	}
	n.Count(steps, 1)
	n.Jump("BNE", "step")
	n.Return()
}
