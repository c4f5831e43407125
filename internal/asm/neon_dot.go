package main

// neonAudio generates the kernels of package audio.
func neonAudio() *neonFile {
	g := new(neonFile)
	g.kernel(dotSpec, neon.dot)
	return g
}

// dot generates the kernel of the inner product, with four sums, which do not wait for each other.
func (n neon) dot() {
	a, b, left := n.Base("a"), n.Base("b"), n.Len("a")
	sums := n.zeros(16)
	n.eachFloats("floats", left, 16, func(floats int, _ string) {
		x := n.loadNext(a, floats)
		n.addProduct(sums[:len(x)], x, n.loadNext(b, floats))
	})
	pairs := n.add(sums[:2], sums[2:]).(registers)
	total := n.result("faddp", pairs[:1], pairs[1:])
	total = n.result("faddp", total, total)
	total = n.result("faddp", total, total)
	n.Result(total.(registers)[0])
	n.Return()
}
