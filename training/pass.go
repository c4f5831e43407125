package polynet

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/device"
)

// Activation is a batch of clips between two layers, time-major: Groups clips of Rows frames of Cols channels.
//
// Where a convolution may read it, Pass.pad rows of zeros lie in front of the first clip, between two clips and behind the last
// one, so that windows are read in place, the padding included. Kernels write a View's rows only, so those rows stay zero.
type Activation struct {
	device.View
	padded device.Buffer // the clips with the rows around them
	pad    int           // their number, or 0
}

// windows returns the View of rows overlapping windows of taps frames a clip. Window r starts at frame first + r·stride;
// it may reach pad frames out of the clip.
func (a Activation) windows(first, rows, taps, stride int) device.View {
	last := first + (rows-1)*stride + taps
	if first < -a.pad || last > a.Rows+a.pad {
		panic(fmt.Sprintf("polynet: windows over frames [%d,%d) of %d with %d rows of padding", first, last, a.Rows, a.pad))
	}
	return device.View{
		Data: a.padded.Slice((a.pad+first)*a.Cols, a.padded.Len()), Groups: a.Groups, Rows: rows, Cols: taps * a.Cols,
		GroupStride: a.GroupStride, RowStride: stride * a.Cols,
	}
}

// every returns the View of each clip's frames first, first+stride, first+2·stride, ...
func (a Activation) every(first, stride int) device.View {
	v := a.View
	v.Data = a.padded.Slice((a.pad+first)*a.Cols, a.padded.Len())
	v.Rows = ceilDiv(a.Rows-first, stride)
	v.RowStride = stride * a.Cols
	return v
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// poolRange is the frames of the input that the mean over time is taken over: count of them from first on. A count of 0
// stands for all frames.
type poolRange struct{ first, count int }

// of returns x's rows whose frames are in the range; stride is the frames of the input for each row. At least
// one must be.
func (r poolRange) of(x Activation, stride int) Activation {
	if r.count == 0 {
		return x
	}
	first, end := ceilDiv(r.first, stride), min(ceilDiv(r.first+r.count, stride), x.Rows)
	if r.first < 0 || end <= first {
		panic(fmt.Sprintf("polynet: the mean over frames [%d,%d) of %v, one row in %d frames", r.first, r.first+r.count, x.View, stride))
	}
	x.Data = x.padded.Slice((x.pad+first)*x.Cols, x.padded.Len())
	x.Rows = end - first
	return x
}

// record is what one layer's Forward leaves for its Backward.
type record struct {
	x, y           Activation
	mean, variance device.Buffer
	mask           device.View
}

// Pass is the state of one run through a network: memory, what the layers remember for the backward run, and the
// choice between training and evaluation. A Pass is used by one goroutine; its memory is reused from step to step.
type Pass struct {
	// Train selects batch statistics (which move the running ones) and dropout. Without it, norms use their
	// running statistics, and Backward cannot follow.
	Train bool

	dev    device.Trainer
	rng    *rand.Rand // of dropout
	pad    int
	arena  arena
	zeros  arena   // of activations with padding, which stays zero from step to step where they are the same
	shapes []shape // of those in zeros that are known to have their padding, in order
	laid   int     // how many of them this step has
	pooled poolRange
	staged []float32     // the input with its padding, before its upload
	losses device.Buffer // of the latest CrossEntropy
	tape   []record

	// Of the graph that runs.
	program   *program
	values    []Activation
	gradients []gradient
	kept      arena // of gradients that outlive their part
	part      int   // that runs backward
	wantInput bool  // the input's gradient

	packs  []*device.Packed
	packed int // packs in use
}

// shape is an activation's.
type shape struct{ batch, frames, channels int }

// NewPass returns a Pass for n. rng draws dropout's masks; it may be nil where none are drawn.
func NewPass(n *Network, rng *rand.Rand) *Pass {
	return newPass(n.dev, n.config.padding(), rng)
}

func newPass(d device.Trainer, pad int, rng *rand.Rand) *Pass {
	return &Pass{dev: d, rng: rng, pad: pad, arena: arena{dev: d}, zeros: arena{dev: d}, kept: arena{dev: d}}
}

// Close gives the Pass's memory back to the device. The Pass may be used again.
func (p *Pass) Close() {
	p.reset()
	p.arena.free()
	p.zeros.free()
	p.kept.free()
	p.shapes = nil
	for _, w := range p.packs {
		p.dev.Free(w.Data)
	}
	p.packs = nil
}

// reset begins a new step: whatever earlier steps were given is free again.
func (p *Pass) reset() {
	p.arena.reset()
	p.kept.reset()
	if !p.zeros.reset() {
		p.shapes = p.shapes[:0]
	}
	p.laid = 0
	p.tape = p.tape[:0]
	p.packed = 0
}

// Input begins a step and uploads its clips: rows holds batch clips of frames rows of features, (batch, frames,
// features). What earlier steps of this Pass returned becomes invalid.
func (p *Pass) Input(rows []float32, batch, frames int) Activation {
	if batch < 1 || frames < 1 || len(rows) == 0 || len(rows)%(batch*frames) != 0 {
		panic(fmt.Sprintf("polynet: %d values for %d clips of %d frames", len(rows), batch, frames))
	}
	p.reset()
	p.pooled = poolRange{}
	x := p.activation(batch, frames, len(rows)/(batch*frames))
	clip := frames * x.Cols
	if host := x.Data.Host(); host != nil {
		for g := range batch {
			copy(host[g*x.GroupStride:][:clip], rows[g*clip:])
		}
		return x
	}
	p.staged = slices.Grow(p.staged[:0], x.padded.Len())[:x.padded.Len()]
	clear(p.staged)
	for g := range batch {
		copy(p.staged[p.pad*x.Cols+g*x.GroupStride:][:clip], rows[g*clip:])
	}
	p.dev.Upload(x.padded, p.staged)
	return x
}

// Pool says, behind Input, that the mean over time is to be taken over count frames of the input from first on, not over
// all of them: over the window that the labels are about, between others that are its context. Row r of the last stage
// belongs to frame r times the product of all strides.
func (p *Pass) Pool(first, count int) { p.pooled = poolRange{first, count} }

// activation returns memory for (batch, frames, channels), its padding zero and its rows undefined. It is the step's: what
// rewinds the arena does not take it back.
func (p *Pass) activation(batch, frames, channels int) Activation {
	stride := (frames + p.pad) * channels
	padded := p.zeros.alloc(p.pad*channels + batch*stride)
	a := Activation{
		View: device.View{
			Data: padded.Slice(p.pad*channels, padded.Len()), Groups: batch, Rows: frames, Cols: channels,
			GroupStride: stride, RowStride: channels,
		},
		padded: padded, pad: p.pad,
	}
	if s := (shape{batch, frames, channels}); p.laid == len(p.shapes) || p.shapes[p.laid] != s {
		p.shapes = append(p.shapes[:p.laid], s)
		p.fillPadding(a)
	}
	p.laid++
	return a
}

func (p *Pass) fillPadding(a Activation) {
	if p.pad > 0 {
		p.dev.Fill(device.View{
			Data: a.padded, Groups: a.Groups + 1, Rows: p.pad, Cols: a.Cols,
			GroupStride: a.GroupStride, RowStride: a.RowStride,
		}, 0)
	}
}

// like returns memory of x's shape, with padding.
func (p *Pass) like(x Activation) Activation { return p.activation(x.Groups, x.Rows, x.Cols) }

// plain returns memory for (batch, frames, channels) without padding, undefined.
func (p *Pass) plain(batch, frames, channels int) Activation {
	return plainIn(&p.arena, batch, frames, channels)
}

func plainIn(a *arena, batch, frames, channels int) Activation {
	b := a.alloc(batch * frames * channels)
	return Activation{
		View: device.View{
			Data: b, Groups: batch, Rows: frames, Cols: channels, GroupStride: frames * channels, RowStride: channels,
		},
		padded: b,
	}
}

// plainLike returns memory of x's shape without padding.
func (p *Pass) plainLike(x Activation) Activation { return p.plain(x.Groups, x.Rows, x.Cols) }

// copy sets dst's rows to src's.
func (p *Pass) copy(dst, src Activation) {
	p.dev.Affine(dst.View, src.View, device.View{}, device.Buffer{}, device.Buffer{}, device.Buffer{}, false)
}

// vector returns memory for n values, undefined.
func (p *Pass) vector(n int) device.Buffer { return p.arena.alloc(n) }

// matrix returns memory for a contiguous (rows, cols) matrix, undefined.
func (p *Pass) matrix(rows, cols int) device.View {
	return device.Matrix(p.arena.alloc(rows*cols), rows, cols)
}

// pack lays out the (k, n) matrix w for MatMul. Weights change with every step, so each use packs them anew; the
// memory is the one that the same use had in the step before.
func (p *Pass) pack(w device.Buffer, k, n int) *device.Packed {
	packed := p.nextPack()
	p.dev.Pack(packed, w, k, n)
	return packed
}

func (p *Pass) nextPack() *device.Packed {
	if p.packed == len(p.packs) {
		p.packs = append(p.packs, new(device.Packed))
	}
	p.packed++
	return p.packs[p.packed-1]
}

// packWindows is pack for products with such windows.
func (p *Pass) packWindows(w device.Buffer, n int, windows device.View) *device.Packed {
	packed := p.nextPack()
	p.dev.PackWindows(packed, w, n, windows)
	return packed
}

// save keeps r for the Backward of the layer that calls it; layers go backward in the opposite order.
func (p *Pass) save(r record) {
	if p.Train {
		p.tape = append(p.tape, r)
	}
}

// restore returns the record saved last and forgets it.
func (p *Pass) restore() record {
	if len(p.tape) == 0 {
		panic("polynet: Backward without a Forward in training")
	}
	r := p.tape[len(p.tape)-1]
	p.tape = p.tape[:len(p.tape)-1]
	return r
}
