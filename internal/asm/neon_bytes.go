package main

import "github.com/polyphon/polyphon/internal/asm/arm64"

// byteTile generates ByteTile, whose vectors are four columns of four signed bytes each.
func (n neon) byteTile() {
	rows, vectors := n.Int("rows"), n.Int("vectors")
	n.Compare(vectors, 2)
	n.Jump("BNE", "one_vector")
	n.eachRows("two", rows, func(rows int, label string) { n.byteProduct(rows, 2, label) })
	n.Label("one_vector")
	n.eachRows("one", rows, func(rows int, label string) { n.byteProduct(rows, 1, label) })
}

// halves are the sums of two columns each: for each column those of the first and of the last two bytes of words.
type halves [2]*arm64.Register

// byteProduct generates the computation of a tile. Words of 16 bits hold the products of two words of bytes: at most
// 2·128·127.
func (n neon) byteProduct(rows, vectors int, label string) {
	sums := make([][]halves, rows)
	for r := range sums {
		for range vectors {
			sums[r] = append(sums[r], halves{n.Zero(), n.Zero()})
		}
	}
	a, starts, b := n.Base("a"), n.Int("starts"), n.Base("b")
	row := make([]*arm64.Register, rows)
	for r := range row {
		row[r] = n.Sum(a, n.LoadInt(arm64.Place{Base: starts, Offset: 8 * r}, 8), 2)
	}
	// steps generates the loop over so many words of a row at a time, one or two.
	steps := func(name, next string, left *arm64.Register, count int) {
		n.JumpIfZero(left, next)
		n.Label(name)
		panel := n.new(4 * count * vectors)
		n.LoadNext(b, 16, panel...)
		for r := range sums {
			words, bytes := n.Vector(), make(registers, count)
			n.LoadNext(row[r], 4*count, words)
			for i := range bytes {
				bytes[i] = n.Broadcast(words, i)
			}
			for v, sum := range sums[r] {
				for half, suffix := range []string{"", "2"} {
					products := n.Vector()
					n.Op("smull"+suffix, products, bytes[0], panel[v], 0)
					if count == 2 {
						n.Op("smlal"+suffix, products, bytes[1], panel[vectors+v], 0)
					}
					n.Op("sadalp", sum[half], products, nil, 0)
				}
			}
		}
		n.Count(left, 1)
		n.Jump("BNE", name)
		n.Label(next)
	}
	left := n.Int("depth")
	n.Shift("LSR", left, 1)
	steps(label+"_two", label+"_rest", left, 2)
	left = n.Int("depth")
	n.And(left, 1)
	steps(label+"_step", label+"_store", left, 1)
	c, stride := n.Base("c"), n.Bytes("cStride")
	for _, vectors := range sums {
		out := make(registers, len(vectors))
		for i, sum := range vectors {
			out[i] = n.Vector()
			n.Op("addp", out[i], sum[0], sum[1], 0)
		}
		n.Store(at(c), 16, out...)
		n.Add(c, stride, 0)
	}
}
