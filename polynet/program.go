package polynet

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Program is what a network computes: steps in topological order, each of which makes a tensor of earlier ones.
// Training, inference, streams, export, degree and costs all follow from it, and passes such as FoldNorms rewrite it
// together with its weights. A Program is read-only and may be shared.
type Program struct {
	Inputs  int      // channels of the input: features a row
	Steps   []Step   // the last one makes the logits
	Weights []Weight // all weights that the steps name, in the order of files, checkpoints and random draws
}

// Tensor numbers the values of a Program: NoTensor, Input, and Output(i) for what step i makes. A tensor is a batch of
// clips of rows of channels; see Config for how time maps to rows.
type Tensor int

const (
	NoTensor Tensor = 0 // an operand that is left out
	Input    Tensor = 1 // normalised features
)

// Output returns the tensor that step i makes.
func Output(i int) Tensor { return Tensor(i + 2) }

// Op says what a Step computes of its operands.
type Op int

// The operations. In the equations ∗ is a convolution over time and ∘ the Hadamard product, the product of each value.
const (
	// OpConv is a convolution with a norm and what follows it. With f = Norm(X ∗ Weight + Bias) it gives
	//
	//	f                       without Skip
	//	f + Skip (+ Add)        with Skip (and Add)
	//	f + Skip + z            with a product term: z = ProductNorm(f∘Skip), or Scale∘f∘Skip + Offset
	//
	// and of that max(·, 0) with ReLU.
	OpConv Op = iota
	// OpDepthwise is Norm(X ∗ Weight + Bias) with a kernel of its own for each channel: an output channel reads the input
	// channel of the same number alone.
	OpDepthwise
	OpProduct // X∘Y, or X∘Y + X with Plus
	OpTanh    // tanh X
	OpMean    // the mean of X over time: one row a clip
	OpDropout // X; in training each value is zero with probability Dropout, and the others are divided by 1 − Dropout
	OpLinear  // X·Weight + Bias, row by row
	OpRound   // X rounded as a narrow step's operand, to multiples of InputScale; only ExpandNarrow makes it
)

// Step is one operation of a Program.
type Step struct {
	Op    Op
	Name  string // unique among the steps
	Part  string // the stem, block or head that it belongs to: "stem", "stages.0.1", "head"
	Width int    // channels of its output

	X, Y, Skip, Add Tensor // operands; Op says which it has
	Plus, ReLU      bool   // see OpProduct and OpConv

	// In is how many channels of X an output channel reads. It, Kernel, Ahead and Stride, in rows (see Config), are those
	// of OpConv and of OpDepthwise, where In and Stride are 1. OpLinear has In, Kernel 1 and Stride 1.
	In, Kernel, Ahead, Stride int

	Weight, Bias      string // names of weights, (Kernel, In, Width) or (In, Width), and (Width); "" for no Bias
	Norm, ProductNorm Norm   // of OpConv; OpDepthwise has Norm
	Scale, Offset     string // names of the product term's weights once its norm is folded, (Width) each

	// Precision is that of an OpConv or OpLinear. A narrow OpConv has, in place of X ∗ Weight,
	// WeightScale∘InputScale·(r ∗ Weight), with r = X/InputScale rounded to the nearest whole number, ties to even, and
	// clamped to ±MaxLevel. A narrow OpLinear has WeightScale∘(X·Weight).
	Precision               Precision
	WeightScale, InputScale string // names of weights, (Width) and (1), of narrow steps; OpRound has InputScale

	Dropout float64 // probability, of OpDropout
}

// Norm names the weights of a batch norm over Width channels (Ioffe and Szegedy, 2015), times a learned factor:
//
//	Factor·(weight∘(x − running_mean)/√(running_var + NormEpsilon) + bias)
type Norm struct {
	Name   string // prefix: Name.weight, Name.bias, Name.running_mean, Name.running_var; "" stands for no norm
	Factor string // name of the factor, (1); "" stands for 1
}

// NormEpsilon is what every norm adds to the variance before the square root, as PyTorch does. It is part of the model
// format.
const NormEpsilon = 1e-5

// Weight describes one tensor among a network's weights.
type Weight struct {
	Name  string
	Shape []int
	Kind  WeightKind
	Init  float32 // initial value, unless training draws others: of convolutions, and of the head (two dimensions)
	// FanOut is, of convolutions, how many values of the output a value of the input is part of.
	FanOut int
	// Precision is that of a narrow step's weight. Its scales are float32, as all others are.
	Precision Precision
}

// WeightKind says how training treats a weight.
type WeightKind int

// The kinds, in the order in which training stores them.
const (
	Decayed   WeightKind = iota // weights of convolutions and of the head: weight decay applies
	Undecayed                   // norms' weights and biases, factors, the head's bias: it does not
	Running                     // norms' running statistics: not trained
)

// Len returns the number of values.
func (w Weight) Len() int64 {
	n := int64(1)
	for _, d := range w.Shape {
		n *= int64(d)
	}
	return n
}

// Operands returns X, Y, Skip and Add, NoTensor for those that the step has not.
func (s *Step) Operands() [4]Tensor { return [4]Tensor{s.X, s.Y, s.Skip, s.Add} }

// HasProduct reports whether an OpConv has a product term.
func (s *Step) HasProduct() bool { return s.ProductNorm.Name != "" || s.Scale != "" }

// Convolves reports whether the step computes a convolution of X, all channels together or each by itself.
func (s *Step) Convolves() bool { return s.Op == OpConv || s.Op == OpDepthwise }

// Reach returns how many rows of t before and after its own one an output row depends on.
func (s *Step) Reach(t Tensor) (before, after int) {
	if !s.Convolves() || t != s.X {
		return 0, 0
	}
	return s.Kernel - 1 - s.Ahead, s.Ahead
}

// StrideOver returns how many rows of t lie between two output rows.
func (s *Step) StrideOver(t Tensor) int {
	if !s.Convolves() || t != s.X {
		return 1
	}
	return s.Stride
}

// Geometry is where the rows of a tensor lie in time. The mean over time is left out: it counts as its operand does.
type Geometry struct {
	Before, After int // frames of the input before and after its own one that a row depends on
	Stride        int // frames of the input from one row to the next
}

// Geometry returns those of all tensors, by their numbers. The last one is the network's.
func (p *Program) Geometry() []Geometry {
	list := make([]Geometry, len(p.Steps)+2)
	list[Input].Stride = 1
	for i := range p.Steps {
		s, g := &p.Steps[i], &list[Output(i)]
		g.Stride = list[s.X].Stride * s.StrideOver(s.X)
		for _, t := range s.Operands() {
			before, after := s.Reach(t)
			g.Before = max(g.Before, list[t].Before+before*list[t].Stride)
			g.After = max(g.After, list[t].After+after*list[t].Stride)
		}
	}
	return list
}

// Reach returns the geometry of the network's last rows: of the logits before the mean over time.
func (p *Program) Reach() Geometry {
	list := p.Geometry()
	return list[len(list)-1]
}

// Padding returns how many rows a convolution reads before or after a clip at most.
func (p *Program) Padding() int {
	rows := 0
	for i := range p.Steps {
		before, after := p.Steps[i].Reach(p.Steps[i].X)
		rows = max(rows, before, after)
	}
	return rows
}

// LastUses returns for each tensor, by its number, the last step that reads it. The logits count as read by a step
// after the last one.
func (p *Program) LastUses() []int {
	last := make([]int, len(p.Steps)+2)
	for i := range p.Steps {
		for _, t := range p.Steps[i].Operands() {
			last[t] = i
		}
	}
	last[len(last)-1] = len(p.Steps)
	return last
}

// Degree returns the degree of the polynomial that the logits are of the input, or nil where they are none. It is the
// highest degree that the equations have terms of, norms being those of running statistics; weights of 0 lower it. What
// narrow steps read counts as it is before it is rounded, as float32 does.
func (p *Program) Degree() *big.Int {
	if len(p.nonPolynomial()) > 0 {
		return nil
	}
	degrees := make([]*big.Int, len(p.Steps)+2)
	degrees[Input] = big.NewInt(1)
	for i := range p.Steps {
		s := &p.Steps[i]
		d := new(big.Int).Set(degrees[s.X])
		if s.Op == OpProduct {
			d.Add(d, degrees[s.Y])
		}
		for _, t := range []Tensor{s.Skip, s.Add} {
			switch {
			case t == NoTensor:
			case s.HasProduct():
				d.Add(d, degrees[t])
			case degrees[t].Cmp(d) > 0:
				d.Set(degrees[t])
			}
		}
		degrees[Output(i)] = d
	}
	return degrees[len(degrees)-1]
}

// nonPolynomial lists the operations that keep the network from being a polynomial, each once.
func (p *Program) nonPolynomial() []string {
	var list []string
	if slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Op == OpTanh }) {
		list = append(list, "tanh")
	}
	if slices.ContainsFunc(p.Steps, func(s Step) bool { return s.ReLU }) {
		list = append(list, "ReLU")
	}
	return list
}

// DescribeDegree says in words what Degree says: "polynomial of degree 512", "not a polynomial: ReLU".
func (p *Program) DescribeDegree() string {
	if list := p.nonPolynomial(); len(list) > 0 {
		return "not a polynomial: " + strings.Join(list, ", ")
	}
	d := p.Degree()
	const digits = 40 // bits of the largest degree that is written out
	switch bits := d.BitLen(); {
	case bits <= digits:
		return fmt.Sprintf("polynomial of degree %d", d)
	case int(d.TrailingZeroBits()) == bits-1:
		return fmt.Sprintf("polynomial of degree 2^%d", bits-1)
	default:
		return fmt.Sprintf("polynomial of degree above 2^%d", bits-1)
	}
}

// Parameters returns the number of trained values; running statistics do not count.
func (p *Program) Parameters() int {
	var sum int64
	for _, w := range p.Weights {
		if w.Kind != Running {
			sum += w.Len()
		}
	}
	return int(sum)
}

// WeightBits returns the number of weights of convolutions and the head, and the bits that they take in a file with
// the scales of narrow ones.
func (p *Program) WeightBits() (weights int64, bits float64) {
	for _, w := range p.Weights {
		switch {
		case len(w.Shape) > 1:
			weights += w.Len()
			bits += w.Precision.Bits() * float64(w.Len())
		case strings.HasSuffix(w.Name, weightScale) || strings.HasSuffix(w.Name, inputScale):
			bits += Float32.Bits() * float64(w.Len())
		}
	}
	return weights, bits
}

// MACs returns the multiply-adds of the convolutions and the head in a run over a clip of so many frames. Norms,
// Hadamard products and the mean over time do not count: together they are a few multiply-adds for each value of a
// tensor.
func (p *Program) MACs(frames int) int64 {
	var sum int64
	for i, g := range p.Geometry()[Output(0):] {
		s, rows := &p.Steps[i], 1
		switch s.Op {
		case OpConv, OpDepthwise:
			rows = (frames + g.Stride - 1) / g.Stride
			fallthrough
		case OpLinear:
			sum += int64(rows) * int64(s.Kernel) * int64(s.In) * int64(s.Width)
		}
	}
	return sum
}
