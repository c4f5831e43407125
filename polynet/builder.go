package polynet

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// builder puts a Program together.
type builder struct {
	Program
	kind      BlockKind
	degree    int
	expansion int
	names     []string // Config.innerSteps
	inner     [][]int  // Config.Inner
	part      string
	blocks    int // that are complete
}

// Program returns what the network computes. c must be valid.
func (c Config) Program() *Program {
	b := &builder{
		Program: Program{Inputs: c.Inputs}, kind: c.Block, degree: c.Degree, expansion: cmp.Or(c.Expansion, StarExpansion),
		names: c.innerSteps(), inner: c.Inner,
	}
	b.part = "stem"
	s := c.Stem
	x := b.conv("conv", s.Width, Step{
		X: Input, In: c.Inputs, Kernel: s.Kernel, Ahead: s.Ahead, Stride: s.Stride, ReLU: c.Block.Rectified(),
	})
	b.weightsOf(x)
	in := s.Width
	for i, s := range c.Stages {
		for j := range s.Blocks {
			b.part = fmt.Sprintf("stages.%d.%d", i, j)
			x = b.block(s, in, x)
			b.blocks++
			in, s.Stride = s.Width, 1
		}
	}
	b.head(c, x)
	if c.Narrow != nil {
		b.narrow(c.Narrow)
	}
	return &b.Program
}

// head adds the mean over time, dropout and the linear layer.
func (b *builder) head(c Config, x Tensor) {
	b.part = "head"
	width := b.Steps[len(b.Steps)-1].Width
	x = b.add(Step{Op: OpMean, Name: "pool", Width: width, X: x})
	if c.Dropout > 0 {
		x = b.add(Step{Op: OpDropout, Name: "dropout", Width: width, X: x, Dropout: c.Dropout})
	}
	b.add(Step{
		Op: OpLinear, Name: "head", Width: c.Classes, X: x, In: width, Kernel: 1, Stride: 1,
		Weight: "head.weight", Bias: "head.bias",
	})
	b.Weights = append(b.Weights,
		Weight{Name: "head.weight", Shape: []int{width, c.Classes}, Kind: Decayed},
		Weight{Name: "head.bias", Shape: []int{c.Classes}, Kind: Undecayed})
}

// name returns the name of something in the part.
func (b *builder) name(suffix string) string { return b.part + "." + suffix }

// add adds a step and returns its output.
func (b *builder) add(s Step) Tensor {
	s.Part = b.part
	b.Steps = append(b.Steps, s)
	return Output(len(b.Steps) - 1)
}

// innerWidth returns the width of a step that Config.Inner may give another one.
func (b *builder) innerWidth(step string, width int) int {
	if b.inner == nil {
		return width
	}
	return b.inner[b.blocks][slices.Index(b.names, step)]
}

// conv adds a convolution of the part. Its norm has the same name with "norm" for "conv".
func (b *builder) conv(name string, width int, s Step) Tensor {
	at := strings.LastIndex(name, "conv")
	s.Op, s.Name, s.Width = OpConv, b.name(name), width
	s.Weight = s.Name + ".weight"
	s.Norm.Name = b.name(name[:at] + "norm" + name[at+len("conv"):])
	return b.add(s)
}

// depthwise adds a convolution of each channel of x.
func (b *builder) depthwise(x Tensor, g Stage) Tensor {
	y := b.conv("depthwise.conv", g.Width, Step{X: x, In: 1, Kernel: g.Kernel, Ahead: g.Ahead, Stride: 1})
	b.Steps[y-Output(0)].Op = OpDepthwise
	b.weightsOf(y)
	return y
}

// conv1x1 returns a convolution of one row.
func conv1x1(x Tensor, in int) Step { return Step{X: x, In: in, Kernel: 1, Stride: 1} }

// product adds x∘y, or x∘y + x.
func (b *builder) product(name string, x, y Tensor, width int, plus bool) Tensor {
	return b.add(Step{Op: OpProduct, Name: b.name(name), Width: width, X: x, Y: y, Plus: plus})
}

// weightsOf lists the weights of a convolution and its norm. The order of the calls is that of files, checkpoints and
// seeds.
func (b *builder) weightsOf(x Tensor) {
	b.weightsWith(x, 1, 0)
}

// weightsWith is weightsOf where the norm's weight and bias start at other values than 1 and 0.
func (b *builder) weightsWith(x Tensor, weight, bias float32) {
	s := &b.Steps[x-Output(0)]
	w := Weight{
		Name: s.Weight, Shape: []int{s.Kernel, s.In, s.Width}, Kind: Decayed, FanOut: s.Kernel * s.Width,
	}
	if s.Op == OpDepthwise {
		w.FanOut = s.Kernel
	}
	b.Weights = append(b.Weights, w)
	if s.Norm.Name != "" {
		b.normWeights(s.Norm, s.Width, weight, bias)
	}
}

func (b *builder) normWeights(n Norm, width int, weight, bias float32) {
	shape := []int{width}
	b.Weights = append(b.Weights,
		Weight{Name: n.Name + ".weight", Shape: shape, Kind: Undecayed, Init: weight},
		Weight{Name: n.Name + ".bias", Shape: shape, Kind: Undecayed, Init: bias},
		Weight{Name: n.Name + ".running_mean", Shape: shape, Kind: Running},
		Weight{Name: n.Name + ".running_var", Shape: shape, Kind: Running, Init: 1})
	if n.Factor != "" {
		b.Weights = append(b.Weights, Weight{Name: n.Factor, Shape: []int{1}, Kind: Undecayed})
	}
}

// block adds a block of a stage, of in input channels, and returns its output. See BlockKind for the equations.
func (b *builder) block(g Stage, in int, x Tensor) Tensor {
	switch b.kind {
	case CCP:
		return b.coupled(g, in, x)
	case NCP, NCPSkip:
		return b.nested(g, in, x)
	case Star:
		x = b.front(g, in, x)
		return b.modulated("", x, b.depthwise(x, g), g.Width, b.expansion*g.Width, 0)
	case Mu:
		x, rank := b.front(g, in, x), max(2, g.Width/MuRank)
		x = b.modulated("time.", x, b.depthwise(x, g), g.Width, g.Width, rank)
		return b.modulated("mix.", x, x, g.Width, MuExpansion*g.Width, rank)
	}
	return b.residual(g, in, x)
}

func (b *builder) residual(g Stage, in int, x Tensor) Tensor {
	rectified, skip := b.kind.Rectified(), x
	if in != g.Width || g.Stride != 1 {
		skip = b.conv("skip.conv", g.Width, Step{X: x, In: in, Kernel: 1, Stride: g.Stride})
	}
	hidden := b.conv("conv1", b.innerWidth("conv1", g.Width), Step{
		X: x, In: in, Kernel: g.Kernel, Ahead: g.Ahead, Stride: g.Stride, ReLU: rectified,
	})
	second := Step{X: hidden, In: b.widthOf(hidden), Kernel: g.Kernel, Ahead: g.Ahead, Stride: 1}
	factor := b.name("product.scale")
	mixed := false // by a conv1x1 after the product
	switch b.kind {
	case Linear, ReLU:
		second.Skip, second.ReLU = skip, rectified
	case Pi, PiReLU:
		second.Skip, second.ReLU, second.ProductNorm = skip, rectified, Norm{b.name("product.norm"), factor}
	default:
		mixed = true
	}
	f := b.conv("conv2", g.Width, second)
	b.weightsOf(hidden)
	b.weightsOf(f)
	if skip != x {
		b.weightsOf(skip)
	}
	if second.HasProduct() {
		b.normWeights(second.ProductNorm, g.Width, 1, 0)
	}
	if !mixed {
		return f
	}
	z := b.product("product", f, skip, g.Width, false)
	if b.kind == PiTanh {
		z = b.add(Step{Op: OpTanh, Name: b.name("product.tanh"), Width: g.Width, X: z})
	}
	mix := conv1x1(z, g.Width)
	mix.Skip, mix.Add, mix.ReLU, mix.Norm.Factor = f, skip, rectified, factor
	y := b.conv("product.conv", g.Width, mix)
	b.weightsOf(y)
	return y
}

func (b *builder) coupled(g Stage, in int, z Tensor) Tensor {
	width, factors := g.Width, g
	factors.Width = b.innerWidth("conv1", width)
	x := b.factorOf(z, factors, in, 1, "")
	for n := 2; n <= b.degree; n++ {
		u := b.factorOf(z, factors, in, n, b.name(fmt.Sprintf("scale%d", n)))
		x = b.product(fmt.Sprintf("product%d", n), x, u, factors.Width, true)
	}
	return b.projection(x, width)
}

func (b *builder) nested(g Stage, in int, z Tensor) Tensor {
	out := g.Width
	g.Width = b.innerWidth("conv1", out)
	x := b.factorOf(z, g, in, 1, "")
	for n := 2; n <= b.degree; n++ {
		before := g.Width
		g.Width = b.innerWidth(fmt.Sprintf("conv%d", n), out)
		a := b.factorOf(z, g, in, n, "")
		s := b.conv(fmt.Sprintf("nest%d.conv", n), g.Width, conv1x1(x, before))
		b.weightsWith(s, 0, 1) // the constant 1, so that a network starts as a linear one
		product := b.product(fmt.Sprintf("product%d", n), a, s, g.Width, false)
		if b.kind == NCP {
			x = product
			continue
		}
		skip := conv1x1(x, before)
		skip.Skip = product
		x = b.conv(fmt.Sprintf("skip%d.conv", n), g.Width, skip)
		b.weightsOf(x)
	}
	return b.projection(x, out)
}

// factorOf adds the n-th convolution that is a factor of the polynomial of z.
func (b *builder) factorOf(z Tensor, g Stage, in, n int, factor string) Tensor {
	x := b.conv(fmt.Sprintf("conv%d", n), g.Width, Step{
		X: z, In: in, Kernel: g.Kernel, Ahead: g.Ahead, Stride: g.Stride, Norm: Norm{Factor: factor},
	})
	b.weightsOf(x)
	return x
}

// front adds the convolution that brings x to the stage's width and stride, where it has others.
func (b *builder) front(g Stage, in int, x Tensor) Tensor {
	if in == g.Width && g.Stride == 1 {
		return x
	}
	y := b.conv("front.conv", g.Width, Step{
		X: x, In: in, Kernel: min(3, g.Kernel), Ahead: min(1, g.Ahead), Stride: g.Stride,
	})
	b.weightsOf(y)
	return y
}

// modulated adds x + BN(C·(a + a∘b)), a and b being two maps of u to hidden channels. A rank above 0 is that of b's.
// Config.Inner may give others.
func (b *builder) modulated(prefix string, x, u Tensor, width, hidden, rank int) Tensor {
	hidden = b.innerWidth(prefix+"a.conv", hidden)
	a := b.conv(prefix+"a.conv", hidden, conv1x1(u, width))
	b.weightsOf(a)
	low := conv1x1(u, width)
	if rank > 0 {
		rank = b.innerWidth(prefix+"low", rank)
		low.Op, low.Name, low.Width = OpConv, b.name(prefix+"low"), rank
		low.Weight = low.Name + ".weight"
		x := b.add(low)
		b.weightsOf(x)
		low = conv1x1(x, rank)
	}
	f := b.conv(prefix+"b.conv", hidden, low)
	b.weightsOf(f)
	out := conv1x1(b.product(prefix+"product", a, f, hidden, true), hidden)
	out.Skip = x
	y := b.conv(prefix+"out.conv", width, out)
	b.weightsWith(y, b.residualScale(), 0)
	return y
}

// residualScale returns the initial scale of what the present block adds to its input.
func (b *builder) residualScale() float32 { return float32(math.Ldexp(1, -1-b.blocks/3)) }

// widthOf returns the channels of a step's output.
func (b *builder) widthOf(x Tensor) int { return b.Steps[x-Output(0)].Width }

// projection adds C, the conv1x1 that ends a decomposition.
func (b *builder) projection(x Tensor, width int) Tensor {
	y := b.conv("out.conv", width, conv1x1(x, b.widthOf(x)))
	b.weightsOf(y)
	return y
}
