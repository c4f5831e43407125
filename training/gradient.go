package training

import (
	"fmt"
	"slices"

	"github.com/polyphon/polyphon/polynet"
)

// gradient is the loss's gradient with respect to a tensor. It is persistent where its memory outlives the part (stem,
// block or head) whose operations run backward.
type gradient struct {
	Activation
	persistent bool
}

// backward runs the operations in the opposite order, given the gradient of the last tensor. It adds the gradients of
// all parameters, and returns that of the input where it is wanted.
func (n *Network) backward(p *Pass, dy Activation, inputGradient bool) Activation {
	p.gradients = slices.Grow(p.gradients[:0], len(p.tensors))[:len(p.tensors)]
	clear(p.gradients)
	p.steps, p.inputGradient = n.program.Steps, inputGradient
	p.gradients[len(p.gradients)-1] = gradient{dy, true}
	for i := len(n.ops) - 1; i >= 0; {
		start := p.memory.next
		for p.part = p.steps[i].Part; i >= 0 && p.steps[i].Part == p.part; i-- {
			dy := p.gradients[polynet.Output(i)]
			if dy.Empty() {
				panic(fmt.Sprintf("training: nothing reads %s", p.steps[i].Name))
			}
			n.ops[i].backward(p, dy)
		}
		p.memory.next = start
	}
	return p.gradients[polynet.Input].Activation
}

// wanted reports whether the gradient of x is needed.
func (p *Pass) wanted(x polynet.Tensor) bool {
	return x != polynet.NoTensor && (x != polynet.Input || p.inputGradient)
}

// inPart reports whether x is an output of the part that runs backward.
func (p *Pass) inPart(x polynet.Tensor) bool {
	return x >= polynet.Output(0) && p.steps[x-polynet.Output(0)].Part == p.part
}

// gradientOf returns where an operation writes the gradient of x, and whether it must add to what is there.
func (p *Pass) gradientOf(x polynet.Tensor) (dst Activation, add bool) {
	g := &p.gradients[x]
	if add = !g.Empty(); !add {
		memory := &p.memory
		if g.persistent = !p.inPart(x); g.persistent {
			memory = &p.gradientMemory
		}
		g.Activation = memory.plainLike(p.tensors[x])
	}
	return g.Activation, add
}

// accumulate adds dy to the gradient of x. With reuse, dy's memory is not needed any more: it becomes the gradient
// where there is none yet.
func (p *Pass) accumulate(x polynet.Tensor, dy gradient, reuse bool) {
	if !p.wanted(x) {
		return
	}
	if reuse && p.gradients[x].Empty() && (dy.persistent || p.inPart(x)) {
		p.gradients[x] = dy
		return
	}
	if dst, add := p.gradientOf(x); add {
		p.add(dst.View, dst.View, dy.View)
	} else {
		p.copy(dst.View, dy.View)
	}
}
