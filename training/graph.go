package polynet

import (
	"fmt"
	"slices"

	"github.com/polyphon/polyphon/device"
)

// graph is a program that can be trained: a Layer of many operations.
type graph struct {
	program *program
	ops     []operator
	params  []*Param
}

// operator computes one step of a program and its gradients.
type operator interface {
	// forward returns the step's value. v holds those of earlier steps.
	forward(p *Pass, v []Activation) Activation
	// backward adds the gradients of the parameters and, through p, those of the step's operands. It undoes the latest
	// forward that has not been undone.
	backward(p *Pass, dy gradient)
}

func newGraph(prog *program) *graph {
	g := &graph{program: prog, ops: make([]operator, len(prog.steps))}
	convs := map[string]*convolved{} // by the names of their weights, which steps may share
	for i := range prog.steps {
		s := &prog.steps[i]
		switch s.op {
		case opConv:
			c := newConvolved(s)
			if first := convs[s.conv]; first != nil {
				c.conv, c.norm = first.conv, first.norm
			}
			convs[s.conv] = c
			g.ops[i] = c
		case opProduct:
			g.ops[i] = &hadamard{s}
		case opTanh:
			g.ops[i] = &hyperbolic{s}
		case opMaxPool:
			g.ops[i] = &maxPool{s}
		case opDropRows:
			g.ops[i] = &dropRows{s}
		}
	}
	for _, w := range prog.order {
		g.params = append(g.params, g.ops[w.step].(*convolved).params(w.product)...)
	}
	return g
}

func (g *graph) Params() []*Param { return g.params }

func (g *graph) Forward(p *Pass, x Activation) Activation {
	p.values = append(p.values[:0], Activation{}, x)
	for _, o := range g.ops {
		p.values = append(p.values, o.forward(p, p.values))
	}
	return p.values[len(p.values)-1]
}

func (g *graph) Backward(p *Pass, dy Activation) Activation {
	g.backward(p, dy, true)
	return p.gradients[input].Activation
}

// backward is Backward that computes the input's gradient only where it is wanted.
func (g *graph) backward(p *Pass, dy Activation, wantInput bool) {
	p.gradients = slices.Grow(p.gradients[:0], len(p.values))[:len(p.values)]
	clear(p.gradients)
	p.program, p.wantInput = g.program, wantInput
	p.gradients[len(p.gradients)-1] = gradient{dy, true}
	for i := len(g.ops) - 1; i >= 0; {
		start := p.arena.at
		for p.part = g.program.steps[i].part; i >= 0 && g.program.steps[i].part == p.part; i-- {
			dy := p.gradients[made(i)]
			if dy.Empty() {
				panic(fmt.Sprintf("polynet: nothing reads %s", g.program.steps[i].name))
			}
			g.ops[i].backward(p, dy)
		}
		p.arena.rewind(start)
	}
}

// gradient is that of a value. Kept says that it lies in memory that outlives the part whose operations run backward.
type gradient struct {
	Activation
	kept bool
}

// wanted reports whether v's gradient is.
func (p *Pass) wanted(v value) bool { return v != none && (v != input || p.wantInput) }

// into returns where an operation's gradient with respect to v goes, and whether it is to be added to what is there.
func (p *Pass) into(v value) (dst Activation, add bool) {
	g := &p.gradients[v]
	if add = !g.Empty(); !add {
		x := p.values[v]
		if g.kept = !p.inPart(v); g.kept {
			g.Activation = plainIn(&p.kept, x.Groups, x.Rows, x.Cols)
		} else {
			g.Activation = p.plainLike(x)
		}
	}
	return g.Activation, add
}

// give adds dy to the gradient of v. With last, nobody needs dy's memory any more, so that it becomes the gradient where nothing
// else has come yet.
func (p *Pass) give(v value, dy gradient, last bool) {
	if !p.wanted(v) {
		return
	}
	if last && p.gradients[v].Empty() && (dy.kept || p.inPart(v)) {
		p.gradients[v] = dy
		return
	}
	dst, add := p.into(v)
	if !add {
		p.copy(dst, dy.Activation)
		return
	}
	none := device.Buffer{}
	p.dev.Affine(dst.View, dst.View, dy.View, none, none, none, false)
}

// inPart reports whether v is made in the part that runs.
func (p *Pass) inPart(v value) bool {
	return v >= made(0) && p.program.steps[v-made(0)].part == p.part
}
