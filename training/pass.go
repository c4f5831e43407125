package training

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// Activation is a tensor of a run: Groups clips of Rows rows of Cols channels, time-major.
//
// Where a convolution may read it, Pass.pad rows of zeros lie before the first clip, between two clips and after the
// last one, so that windows are read in place, the padding included. Kernels write only a View's rows: those rows stay
// zero.
type Activation struct {
	device.View
	padded device.Buffer // the clips with the rows around them
	pad    int           // their number, or 0
}

// windows returns the View of rows overlapping windows of taps rows a clip. Window r starts at row first + r·stride; it
// may reach pad rows out of the clip.
func (a Activation) windows(first, rows, taps, stride int) device.View {
	last := first + (rows-1)*stride + taps
	if first < -a.pad || last > a.Rows+a.pad {
		panic(fmt.Sprintf("training: windows over rows [%d,%d) of %d with %d rows of padding", first, last, a.Rows, a.pad))
	}
	return device.View{
		Data: a.padded.Slice((a.pad+first)*a.Cols, a.padded.Len()), Groups: a.Groups, Rows: rows, Cols: taps * a.Cols,
		GroupStride: a.GroupStride, RowStride: stride * a.Cols,
	}
}

// every returns the View of each clip's rows first, first+stride, first+2·stride, ...
func (a Activation) every(first, stride int) device.View {
	v := a.View
	v.Data = a.padded.Slice((a.pad+first)*a.Cols, a.padded.Len())
	v.Rows = device.CeilDiv(a.Rows-first, stride)
	v.RowStride = stride * a.Cols
	return v
}

// matrix returns the rows of all clips as one contiguous matrix. The activation must have no padding.
func (a Activation) matrix() device.View {
	if a.pad > 0 {
		panic(fmt.Sprintf("training: %v has padding between its clips", a.View))
	}
	return device.Matrix(a.Data, a.Count(), a.Cols)
}

// saved is what one operation's forward saves for its backward.
type saved struct {
	x, y           Activation
	mean, variance device.Buffer
	weight         device.Buffer // what a convolution multiplied by
	limit          float32       // of what a narrow one read, beyond which it was clamped
}

// Pass is the state of one run through a network: its tensors and gradients, what operations save for the backward run,
// and the choice between training and evaluation. A Pass is used by one goroutine; its memory is reused from step to
// step.
type Pass struct {
	// Train selects batch statistics (which move the running ones) and dropout. Without it, norms use their running
	// statistics, and Backward cannot follow.
	Train bool

	frozen  bool // norms use their running statistics and are constants of a backward run, which may follow without Train
	dev     device.Trainer
	rng     *rand.Rand // of dropout
	pad     int
	pooled  poolRange
	locate  func(p *Pass, x Activation, stride int) (shifts []int) // rows by which each clip's range moves; nil: none do
	shifts  []int                                                  // what locate returned
	records []saved

	memory   arena         // until the next Input, or the end of a part's backward
	padded   arena         // of activations with padding; stays zero between steps of equal shapes
	shapes   []shape       // of those in padded whose padding is known to be zero, in order
	laidOut  int           // how many of them this step has
	hostRows []float32     // the input with its padding, before its upload
	losses   device.Buffer // of the latest LossGradient

	steps          []polynet.Step // of the program that runs
	tensors        []Activation   // by polynet.Tensor
	gradients      []gradient     // by polynet.Tensor
	gradientMemory arena          // of persistent gradients
	part           string         // whose operations run backward
	inputGradient  bool           // is wanted

	packs    []*device.Packed
	packsUse int // how many of them this step has used
}

// shape is an activation's.
type shape struct{ batch, rows, channels int }

// NewPass returns a Pass for n. rng draws dropout's masks; it may be nil where none are drawn.
func NewPass(n *Network, rng *rand.Rand) *Pass { return newPass(n.dev, n.program.Padding(), rng) }

func newPass(d device.Trainer, pad int, rng *rand.Rand) *Pass {
	return &Pass{dev: d, rng: rng, pad: pad, memory: arena{dev: d}, padded: arena{dev: d}, gradientMemory: arena{dev: d}}
}

// Close gives the Pass's memory back to the device. The Pass may be used again.
func (p *Pass) Close() {
	p.reset()
	p.memory.close()
	p.padded.close()
	p.gradientMemory.close()
	p.shapes = nil
	for _, w := range p.packs {
		p.dev.Free(w.Data)
	}
	p.packs = nil
}

// reset frees what earlier steps used.
func (p *Pass) reset() {
	p.memory.reset()
	p.gradientMemory.reset()
	if !p.padded.reset() {
		p.shapes = p.shapes[:0]
	}
	p.laidOut, p.packsUse, p.records = 0, 0, p.records[:0]
}

// Input begins a step and uploads its clips: rows holds batch clips of frames rows of normalised features, (batch,
// frames, features). What earlier steps of this Pass returned becomes invalid.
func (p *Pass) Input(rows []float32, batch, frames int) Activation {
	if batch < 1 || frames < 1 || len(rows) == 0 || len(rows)%(batch*frames) != 0 {
		panic(fmt.Sprintf("training: %d values for %d clips of %d frames", len(rows), batch, frames))
	}
	p.reset()
	p.pooled, p.locate = poolRange{}, nil
	x := p.activation(batch, frames, len(rows)/(batch*frames))
	clip := frames * x.Cols
	if host := x.Data.Host(); host != nil {
		for g := range batch {
			copy(host[g*x.GroupStride:][:clip], rows[g*clip:])
		}
		return x
	}
	p.hostRows = slices.Grow(p.hostRows[:0], x.padded.Len())[:x.padded.Len()]
	clear(p.hostRows)
	for g := range batch {
		copy(p.hostRows[p.pad*x.Cols+g*x.GroupStride:][:clip], rows[g*clip:])
	}
	p.dev.Upload(x.padded, p.hostRows)
	return x
}

// pool, called after Input, restricts the mean over time to count frames of the input from first on: to the window that
// the labels are about, without its context. Row r of the last stage belongs to frame r times the product of all
// strides.
func (p *Pass) pool(first, count int) { p.pooled = poolRange{first, count} }

// activation returns memory for (batch, rows, channels), with zero padding and undefined rows, until the next Input.
func (p *Pass) activation(batch, rows, channels int) Activation {
	stride := (rows + p.pad) * channels
	padded := p.padded.alloc(p.pad*channels + batch*stride)
	a := Activation{
		View: device.View{
			Data: padded.Slice(p.pad*channels, padded.Len()), Groups: batch, Rows: rows, Cols: channels,
			GroupStride: stride, RowStride: channels,
		},
		padded: padded, pad: p.pad,
	}
	if s := (shape{batch, rows, channels}); p.laidOut == len(p.shapes) || p.shapes[p.laidOut] != s {
		p.shapes = append(p.shapes[:p.laidOut], s)
		if p.pad > 0 {
			padding := device.View{Data: padded, Groups: batch + 1, Rows: p.pad, Cols: channels,
				GroupStride: stride, RowStride: channels}
			p.dev.Fill(padding, 0)
		}
	}
	p.laidOut++
	return a
}

// plain returns memory for (batch, rows, channels) without padding, undefined.
func (a *arena) plain(batch, rows, channels int) Activation {
	b := a.alloc(batch * rows * channels)
	return Activation{
		View: device.View{
			Data: b, Groups: batch, Rows: rows, Cols: channels, GroupStride: rows * channels, RowStride: channels,
		},
		padded: b,
	}
}

// plainLike returns memory of x's shape without padding, undefined.
func (a *arena) plainLike(x Activation) Activation { return a.plain(x.Groups, x.Rows, x.Cols) }

// matrix returns memory for a contiguous (rows, cols) matrix, undefined.
func (p *Pass) matrix(rows, cols int) device.View {
	return device.Matrix(p.memory.alloc(rows*cols), rows, cols)
}

// add computes dst = x + y, or dst = x where y is empty.
func (p *Pass) add(dst, x, y device.View) {
	p.dev.Affine(dst, x, y, device.Buffer{}, device.Buffer{}, device.Buffer{}, false)
}

// pack returns the memory for the step's next packed matrix. Weights change with every step, so each use packs them
// anew, into the memory of the same use in the step before.
func (p *Pass) pack() *device.Packed {
	if p.packsUse == len(p.packs) {
		p.packs = append(p.packs, new(device.Packed))
	}
	p.packsUse++
	return p.packs[p.packsUse-1]
}

// save keeps r for the backward of the operation that calls it. Operations run backward in the opposite order.
func (p *Pass) save(r saved) {
	if p.Train || p.frozen {
		p.records = append(p.records, r)
	}
}

// restore removes and returns the record saved last.
func (p *Pass) restore() saved {
	if len(p.records) == 0 {
		panic("training: Backward without a Forward in training")
	}
	r := p.records[len(p.records)-1]
	p.records = p.records[:len(p.records)-1]
	return r
}

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
		p.add(dst.View, dy.View, device.View{})
	}
}
