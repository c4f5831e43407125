package polynet

import "fmt"

// program is what a network computes between its input and the mean over time: a list of steps, each of which makes an
// activation of earlier ones. Weights and shapes, training, inference, streams, degree and costs all follow from it.
type program struct {
	steps []step
	parts []string   // the stem and the blocks, by the prefix of their weights' names
	order []weighted // the steps' weights, in the order of files and checkpoints
}

// weighted is the weights of a step: those of its convolution and norm, or of its product.
type weighted struct {
	step    int
	product bool
}

// value is an activation: what step i gives is value i+2.
type value int

const (
	none  value = 0 // an operand that is left out
	input value = 1 // of the program
)

func made(step int) value { return value(step + 2) }

// step is one operation.
type step struct {
	op    op
	name  string // of its own
	part  int    // of the program
	width int    // channels that it gives
	x, y  value  // operands; y of opProduct only
	plus  bool   // see opProduct
	convStep
}

// op says what a step computes of its operands.
type op int

const (
	opConv     op = iota // see convStep
	opProduct            // x∘y, or x∘y + x with plus
	opTanh               // tanh x
	opMaxPool            // the largest of x's rows t−1, t and t+1
	opDropRows           // x; in training DropBlock
)

// convStep is a convolution with what comes behind it. With f = norm(conv(x)), times factor, it gives
//
//	f                        without skip
//	f + skip (+ add)         with skip (and add)
//	f + skip + a·BN(f∘skip)  with product
//
// and of that max(·, 0) with relu.
type convStep struct {
	conv, norm                string // prefixes of the weights' names; steps may share them
	in, kernel, ahead, stride int
	skip, add                 value
	factor                    string // the name of the factor of the norm
	product                   string // the prefix of the names of the product's norm and factor
	relu                      bool
	instance                  int     // channels, from the first one on, that the norm treats clip by clip
	gain                      float64 // the variance that weights start with, times the fan-in; 0: 2/fan-out
	whitens                   bool    // the norm is IterNorm
	startsAtOne               bool    // the norm starts as the constant 1: scale 0, shift 1
}

// operands returns the values that the step reads, and none for those that it has not.
func (s *step) operands() [4]value { return [4]value{s.x, s.y, s.skip, s.add} }

// reach returns how many rows of v before and behind its own one a row of the step depends on.
func (s *step) reach(v value) (left, ahead int) {
	switch {
	case v != s.x:
		return 0, 0
	case s.op == opConv:
		return s.kernel - 1 - s.ahead, s.ahead
	case s.op == opMaxPool:
		return poolReach, poolReach
	}
	return 0, 0
}

// strideOver returns how many rows of v lie between two rows of the step.
func (s *step) strideOver(v value) int {
	if s.op == opConv && v == s.x {
		return s.stride
	}
	return 1
}

// rows returns how many rows the step makes of its operand's n.
func (s *step) rows(n int) int { return ceilDiv(n, s.strideOver(s.x)) }

// program returns what the network computes. c must be valid.
func (c Config) program() *program {
	b := &builder{kind: c.Block, degree: c.Degree}
	b.begin("stem")
	s := c.Stem
	x := b.conv("conv", input, convStep{
		in: c.Inputs, kernel: s.Kernel, ahead: s.Ahead, stride: s.Stride, relu: c.Block.Rectified(),
	}, s.Width)
	in := s.Width
	for i, s := range c.Stages {
		for j := range s.Blocks {
			g := blockSpec{
				in: in, width: s.Width, kernel: s.Kernel, ahead: s.Ahead, stride: 1, last: i == len(c.Stages)-1,
			}
			if j == 0 {
				g.stride = s.Stride
			}
			b.begin(fmt.Sprintf("stages.%d.%d", i, j))
			x = b.block(g, x)
			in = s.Width
		}
		if c.Block.regularised() && i < len(c.Stages)-1 {
			x = b.plain(step{op: opMaxPool, name: b.name("pool"), width: in, x: x})
			if i < 2 {
				x = b.plain(step{op: opDropRows, name: b.name("drop"), width: in, x: x})
			}
		}
	}
	return &b.program
}

// width returns the channels of the last step.
func (p *program) width() int { return p.steps[len(p.steps)-1].width }

// geometry is where the rows of a value lie.
type geometry struct {
	back, ahead int // rows of the input before and behind its own one that a row depends on
	stride      int // rows of the input from one row to the next
}

// geometries returns those of all values.
func (p *program) geometries() []geometry {
	g := make([]geometry, made(len(p.steps)))
	g[input].stride = 1
	for i := range p.steps {
		s, own := &p.steps[i], &g[made(i)]
		own.stride = g[s.x].stride * s.strideOver(s.x)
		for _, v := range s.operands() {
			left, ahead := s.reach(v)
			own.back = max(own.back, g[v].back+left*g[v].stride)
			own.ahead = max(own.ahead, g[v].ahead+ahead*g[v].stride)
		}
	}
	return g
}

// settled returns the program as it runs once it is trained: without the steps that then do nothing.
func (p *program) settled() *program {
	q := &program{parts: p.parts}
	values := make([]value, made(len(p.steps))) // of q, by those of p
	values[input] = input
	for i, s := range p.steps {
		if s.op == opDropRows {
			values[made(i)] = values[s.x]
			continue
		}
		s.x, s.y, s.skip, s.add = values[s.x], values[s.y], values[s.skip], values[s.add]
		q.steps = append(q.steps, s)
		values[made(i)] = made(len(q.steps) - 1)
	}
	return q
}
