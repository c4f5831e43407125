package main

import "github.com/polyphon/polyphon/internal/asm/arm64"

// neonLanes frames are computed at a time: a real number is a vector, a complex one two vectors side by side.
const (
	neonLanes      = 4
	neonPointBytes = 8 * neonLanes
	neonPointShift = 5
)

// neonFeatures generates the kernels of package features.
func neonFeatures() *neonFile {
	g := new(neonFile)
	g.kernel(windowSpec, neon.window)
	g.kernel(first2Spec, neon.first2)
	g.kernel(first4Spec, neon.first4)
	g.kernel(butterfliesSpec, neon.butterflies)
	g.kernel(powerSpec, neon.power)
	g.kernel(melsSpec, neon.mels)
	g.kernel(logSpec, neon.logarithm)
	g.kernel(normalise.spec(), widths(16, normalise.neon)...)
	return g
}

func (n neon) readPoint(p arm64.Place) point {
	z := n.load(p, 2*neonLanes)
	return point{z[:1], z[1:]}
}

func (n neon) writePoint(z point, p arm64.Place) {
	n.store(append(z.re.(registers)[:1:1], z.im.(registers)...), p, 2*neonLanes)
}

// factors returns so many complex numbers from w on, which are the same in all lanes: elements of vectors.
func (n neon) factors(w *arm64.Register, count int) []point {
	var factors []point
	for place := at(w); count > 0; {
		pair := min(count, 2)
		v := n.load(place, 2*pair)[0]
		for i := range pair {
			factors = append(factors, point{element{v, 2 * i}, element{v, 2*i + 1}})
		}
		place, count = place.After(8*pair), count-pair
	}
	return factors
}

// gather generates a first stage: a loop over order, in which rows are pointers to the points that it names.
func (n neon) gather(radix int, body func(inputs []point) []point) {
	dst, src, order, left := n.Base("dst"), n.Base("src"), n.Base("order"), n.Len("order")
	distance := n.Copy(left)
	n.Shift("LSL", distance, neonPointShift)
	n.Label("points")
	first := n.Sum(src, n.LoadInt(at(order), 2), neonPointShift)
	inputs := make([]point, radix)
	for i, p := range n.rowsFrom(first, distance, radix) {
		inputs[i] = n.readPoint(at(p))
	}
	for _, z := range body(inputs) {
		n.storeNext(append(z.re.(registers)[:1:1], z.im.(registers)...), dst, 2*neonLanes)
	}
	n.AddInt(order, 2)
	n.Count(left, 1)
	n.Jump("BNE", "points")
	n.Return()
}

// first2 and first4 generate the first stages.
func (n neon) first2() {
	n.gather(2, func(z []point) []point { return []point{plus(n, z[0], z[1]), minus(n, z[0], z[1])} })
}

func (n neon) first4() {
	n.gather(4, func(z []point) []point {
		joined := butterfly(n, z[0], z[1], z[2], z[3])
		return joined[:]
	})
}

// butterflies generates the later stages.
func (n neon) butterflies() {
	work, left, length := n.Base("work"), n.Len("work"), n.Int("length")
	distance := n.Copy(length)
	n.Shift("LSL", distance, neonPointShift)
	whole := n.Copy(length) // floats of four transforms
	n.Shift("LSL", whole, neonPointShift)
	n.Label("transforms")
	w, points := n.Base("twiddles"), n.Copy(length)
	p := n.rowsFrom(work, distance, 4)
	n.Label("points")
	factors := n.factors(w, 3)
	z := make([]point, 4)
	for i := range z {
		if z[i] = n.readPoint(at(p[i])); i > 0 {
			z[i] = times(n, z[i], factors[i-1])
		}
	}
	for i, joined := range butterfly(n, z[0], z[1], z[2], z[3]) {
		n.storeNext(append(joined.re.(registers)[:1:1], joined.im.(registers)...), p[i], 2*neonLanes)
	}
	n.AddInt(w, 24)
	n.Count(points, 1)
	n.Jump("BNE", "points")
	n.Set(work, p[3])
	n.Subtract(left, whole, 0)
	n.Compare(left, 0)
	n.Jump("BGT", "transforms")
	n.Return()
}

// power generates the last step, which separates the spectra of even and odd samples.
func (n neon) power() {
	low, z, size := n.Base("power"), n.Base("z"), n.Len("z")
	high, mirror := n.Sum(low, size, 1), n.Sum(z, size, 2)
	w, left := n.Base("half"), n.Len("half")
	n.Shift("LSR", left, 1)
	first := n.readPoint(at(z))
	n.AddInt(z, neonPointBytes)
	lowest, highest := pair(n, first.re, first.im)
	n.storeNext(n.mul(lowest, lowest), low, neonLanes)
	n.store(n.mul(highest, highest), at(high), neonLanes)
	quarter := n.factor(0.25)
	n.Jump("B", "next")
	n.Label("bins")
	n.AddInt(mirror, -neonPointBytes)
	n.AddInt(high, -4*neonLanes)
	a := n.loadNext(z, 2*neonLanes)
	bin, mirrored := powerBins(n, point{a[:1], a[1:]}, n.readPoint(at(mirror)), n.factors(w, 1)[0], quarter)
	n.storeNext(bin, low, neonLanes)
	n.store(mirrored, at(high), neonLanes)
	n.Label("next")
	n.AddInt(w, 8)
	n.Count(left, 1)
	n.Jump("BNE", "bins")
	n.Return()
}
