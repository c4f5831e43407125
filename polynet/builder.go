package polynet

import (
	"fmt"
	"slices"
	"strings"
)

// builder puts a program together.
type builder struct {
	program
	kind   BlockKind
	degree int
	maps   []value // dpoly: the second-order maps of the blocks so far, in the latest one's shape
}

// blockSpec is the geometry of one block.
type blockSpec struct {
	in, width     int  // channels
	kernel, ahead int  // rows, of the branch's convolutions or of the factors of z
	stride        int  // rows
	last          bool // of the last stage
}

// reshapes reports whether the block's output has another shape than its input.
func (g blockSpec) reshapes() bool { return g.in != g.width || g.stride != 1 }

// begin begins a part.
func (b *builder) begin(name string) { b.parts = append(b.parts, name) }

// name returns the name of something in the part.
func (b *builder) name(suffix string) string { return b.parts[len(b.parts)-1] + "." + suffix }

// plain adds a step without weights.
func (b *builder) plain(s step) value {
	s.part = len(b.parts) - 1
	b.steps = append(b.steps, s)
	return made(len(b.steps) - 1)
}

// conv adds a convolution of the part, whose norm has the same name with "norm" for "conv".
func (b *builder) conv(name string, x value, c convStep, width int) value {
	c.conv = b.name(name)
	c.norm = b.name(normName(name))
	v := b.plain(step{op: opConv, name: c.conv, width: width, x: x, convStep: c})
	b.order = append(b.order, weighted{step: len(b.steps) - 1})
	return v
}

// normName returns conv1's norm1, skip.conv's skip.norm, and so on.
func normName(conv string) string {
	i := strings.LastIndex(conv, "conv")
	return conv[:i] + "norm" + conv[i+len("conv"):]
}

// pointwise returns a conv1x1.
func pointwise(in int) convStep { return convStep{in: in, kernel: 1, stride: 1} }

// product adds x∘y, or x∘y + x.
func (b *builder) product(name string, x, y value, width int, plus bool) value {
	return b.plain(step{op: opProduct, name: b.name(name), width: width, x: x, y: y, plus: plus})
}

// block adds a block and returns its output. See BlockKind for the equations.
func (b *builder) block(g blockSpec, x value) value {
	switch b.kind {
	case CCP:
		return b.coupled(g, x)
	case NCP, NCPSkip:
		return b.nested(g, x)
	}
	return b.residual(g, x)
}

func (b *builder) residual(g blockSpec, x value) value {
	rectified, skip := b.kind.Rectified(), x
	if g.reshapes() {
		skip = b.conv("skip.conv", x, convStep{in: g.in, kernel: 1, stride: g.stride}, g.width)
	}
	first := convStep{in: g.in, kernel: g.kernel, ahead: g.ahead, stride: g.stride, relu: rectified}
	second := convStep{in: g.width, kernel: g.kernel, ahead: g.ahead, stride: 1}
	mix := pointwise(g.width)
	if b.kind.regularised() {
		const gain = 16
		first.gain, second.gain, mix.gain = gain, gain, gain
		if !g.last {
			first.instance = g.width * 4 / 5
		}
	}
	hidden := b.conv("conv1", x, first, g.width)
	switch b.kind {
	case Linear, ReLU:
		second.skip, second.relu = skip, rectified
	case Pi, PiReLU:
		second.skip, second.relu, second.product = skip, rectified, b.name("product")
	}
	f := b.conv("conv2", hidden, second, g.width)
	if skip != x {
		b.weightsLast(skip)
	}
	if second.product != "" {
		b.order = append(b.order, weighted{step: len(b.steps) - 1, product: true})
	}
	if second.skip != none {
		return f
	}
	z := b.product("product", f, skip, g.width, false)
	switch b.kind {
	case PiTanh:
		z = b.plain(step{op: opTanh, name: b.name("product.tanh"), width: g.width, x: z})
	case DPoly:
		z = b.dense(g, z)
	}
	mix.skip, mix.add, mix.relu, mix.factor = f, skip, rectified, b.name("product.scale")
	return b.conv("product.conv", z, mix, g.width)
}

// weightsLast puts a step's weights behind those of all others so far: the order that checkpoints and seeds depend on.
func (b *builder) weightsLast(v value) {
	w := weighted{step: int(v - made(0))}
	b.order = append(slices.DeleteFunc(b.order, func(o weighted) bool { return o == w }), w)
}

// dense multiplies the second-order map F∘S by the earlier ones, and returns the block's own.
func (b *builder) dense(g blockSpec, z value) value {
	if len(b.maps) > 0 {
		if g.reshapes() {
			for i := range b.maps {
				b.maps[i] = b.conv("dense.skip.conv", b.maps[i], convStep{in: g.in, kernel: 1, stride: g.stride}, g.width)
				if i > 0 {
					b.steps[len(b.steps)-1].name += fmt.Sprintf(".%d", i+1)
					b.order = b.order[:len(b.order)-1] // the first one's weights
				}
			}
		}
		h := b.maps[0]
		for i, m := range b.maps[1:] {
			h = b.product(fmt.Sprintf("dense.product%d", i+2), h, m, g.width, false)
		}
		c := pointwise(g.width)
		c.factor, c.whitens = b.name("dense.scale"), true
		h = b.conv("dense.conv", h, c, g.width)
		z = b.product("dense.product", z, h, g.width, true)
	}
	b.maps = append(b.maps, z)
	return z
}

func (b *builder) coupled(g blockSpec, z value) value {
	x := b.conv("conv1", z, b.factorOf(g), g.width)
	for n := 2; n <= b.degree; n++ {
		c := b.factorOf(g)
		c.factor = b.name(fmt.Sprintf("scale%d", n))
		u := b.conv(fmt.Sprintf("conv%d", n), z, c, g.width)
		x = b.product(fmt.Sprintf("product%d", n), x, u, g.width, true)
	}
	return b.conv("out.conv", x, pointwise(g.width), g.width)
}

func (b *builder) nested(g blockSpec, z value) value {
	x := b.conv("conv1", z, b.factorOf(g), g.width)
	for n := 2; n <= b.degree; n++ {
		a := b.conv(fmt.Sprintf("conv%d", n), z, b.factorOf(g), g.width)
		c := pointwise(g.width)
		c.startsAtOne = true
		s := b.conv(fmt.Sprintf("nest%d.conv", n), x, c, g.width)
		product := b.product(fmt.Sprintf("product%d", n), a, s, g.width, false)
		if b.kind == NCP {
			x = product
			continue
		}
		c = pointwise(g.width)
		c.skip = product
		x = b.conv(fmt.Sprintf("skip%d.conv", n), x, c, g.width)
	}
	return b.conv("out.conv", x, pointwise(g.width), g.width)
}

// factorOf returns the convolution that is a factor of the polynomial of z.
func (b *builder) factorOf(g blockSpec) convStep {
	return convStep{in: g.in, kernel: g.kernel, ahead: g.ahead, stride: g.stride}
}
