package inference

import (
	"math"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// executor runs a Program on several streams at once. Each run takes the same number of new frames of every stream and
// computes the rows of each tensor that these complete. A whole clip is a stream that begins and ends in one run,
// between rows of zeros. In a stream that continues, rows are late by the lookahead, and a history keeps the last rows
// of each tensor from one run to the next; rows before the stream's beginning and after its end count as zero.
//
// The runs over a stream give what one run over the whole stream gives, up to rounding.
type executor struct {
	layout
	dev      device.Device
	memory   device.Buffer
	run      runSize    // the size of the next run
	operands []operands // of each step in such a run
	before   *boundStep // the first of the steps of the latest run, if that was of the same size
}

// newExecutor returns an executor with memory for each of the runs and for what more allocates.
func newExecutor(p *Plan, whole bool, runs []runSize, more func(allocator)) executor {
	e := executor{layout: newLayout(p.program, whole), dev: p.dev}
	e.operands = make([]operands, len(e.inPlace))
	e.memory = allocTogether(p.dev, func(alloc allocator) {
		e.assign(runs, alloc)
		more(alloc)
	})
	return e
}

func (e *executor) close() { e.dev.Free(e.memory) }

// prepare sets the size of the next runs.
func (e *executor) prepare(run runSize) {
	if run == e.run {
		return
	}
	e.run, e.before = run, nil
	for i := range e.operands {
		s, dst := &e.program.Steps[i], e.tensors[polynet.Output(i)].computed(run)
		rows := e.tensors[polynet.Output(i)].rows(run.frames)
		view := func(t polynet.Tensor) device.View {
			if t == polynet.NoTensor || e.written[i] {
				return device.View{}
			}
			begin, taps, stride := e.window(i, t)
			return e.tensors[t].view(begin, taps, stride, rows, run)
		}
		o := operands{dst, view(s.X), view(s.Y), view(s.Skip), view(s.Add), device.View{}, e.inPlace[i], e.written[i]}
		if e.writes(i) {
			o.bytes = e.tensors[polynet.Output(i+1)].computed(run)
		}
		e.operands[i] = o
	}
}

// checked returns d for a run of the steps, without checks where a run like it came before.
func (e *executor) checked(d device.Device, steps []boundStep) device.Device {
	if e.before == &steps[0] {
		return device.Unchecked(d)
	}
	e.before = &steps[0]
	return d
}

// capacity is how much a streamExecutor can run at once: step frames of so many streams, or maxFrames of one.
type capacity struct{ streams, step, maxFrames int }

// streamExecutor is an executor for streams that continue from run to run.
type streamExecutor struct {
	executor
	capacity
	classes int
	ahead   int           // the network's lookahead in frames
	logits  device.Buffer // (streams, rows, classes)
	out     []float32     // the same
}

// cursor is the position of a stream, in frames. begin and next are multiples of the stride of the last tensor.
type cursor struct {
	begin int // frames before it count as zero
	next  int // the first one that no run has taken
	end   int // the stream's length, or endless while it is not known
}

// endless stands for the length of a stream that has not ended.
const endless = math.MaxInt / 2

// row returns the first row of a tensor that the next run computes.
func (c *cursor) row(p *placement) int { return c.next/p.stride - p.lag }

// history keeps of each stream of a group, between runs, the last rows of every tensor and the cursor.
type history struct {
	dev     device.Device
	memory  device.Buffer
	size    int // values of a stream
	cursors []cursor
}

func newStreamExecutor(p *Plan, c capacity) *streamExecutor {
	e := &streamExecutor{capacity: c, classes: p.model.Net.Classes, ahead: p.reach.After}
	runs := []runSize{{c.streams, c.step}, {1, c.maxFrames}}
	e.executor = newExecutor(p, false, runs, func(alloc allocator) {
		e.logits = alloc(max(c.streams*c.step, c.maxFrames) / p.reach.Stride * e.classes)
	})
	e.out = make([]float32, e.logits.Len())
	e.dev = p.serial
	return e
}

// newHistory returns a history of so many streams, each at its beginning.
func newHistory(p *Plan, streams int) *history {
	h := &history{dev: p.serial, size: newLayout(p.program, false).history, cursors: make([]cursor, streams)}
	h.memory = p.dev.Alloc(streams * h.size)
	for i := range h.cursors {
		h.restart(i, 0)
	}
	return h
}

// restart begins a stream anew at the given frame. Frames before it count as zero.
func (h *history) restart(stream, frame int) {
	h.dev.Fill(device.Matrix(h.memory.Slice(stream*h.size, (stream+1)*h.size), 1, h.size), 0)
	h.cursors[stream] = cursor{begin: frame, next: frame, end: endless}
}

// copyRows copies the rows that are kept of a stream's tensor to its memory from the given value on or, with save set,
// from there.
func (h *history) copyRows(p *placement, stream, at int, save bool) {
	n, kept := p.gap*p.cols, stream*h.size+p.history
	if n == 0 {
		return
	}
	if memory := h.memory.Host(); memory != nil {
		dst, src := p.data.Host()[at:at+n], memory[kept:kept+n]
		if save {
			dst, src = src, dst
		}
		copy(dst, src)
		return
	}
	dst, src := p.data.Slice(at, at+n), h.memory.Slice(kept, kept+n)
	if save {
		dst, src = src, dst
	}
	copyRows(h.dev, device.Matrix(dst, 1, n), device.Matrix(src, 1, n))
}

func (h *history) close() { h.dev.Free(h.memory) }

// load adds rows of normalised features to the run's i-th stream, from the given frame of the run on.
func (e *streamExecutor) load(i, frame int, rows []float32) {
	in := &e.tensors[polynet.Input]
	at := i*in.size(e.run.frames) + (in.gap+frame)*in.cols
	e.dev.Upload(in.data.Slice(at, at+len(rows)), rows)
}

// compute runs the steps over the loaded frames of the given streams of h, after which the caller moves the cursors.
func (e *streamExecutor) compute(steps []boundStep, h *history, streams []int) {
	d := e.checked(e.dev, steps)
	inside := true // all rows of the streams
	for _, stream := range streams {
		c := &h.cursors[stream]
		inside = inside && c.next >= c.begin+e.ahead && c.next+e.run.frames <= c.end
	}
	for t := polynet.Input; int(t) < len(e.tensors); t++ {
		p := &e.tensors[t]
		size := p.size(e.run.frames)
		for i, stream := range streams {
			h.copyRows(p, stream, i*size, false)
		}
		if i := int(t - polynet.Output(0)); i >= 0 {
			steps[i].run(d, &e.operands[i])
		}
		for i, stream := range streams {
			if !inside && !p.unread {
				e.clearOutside(p, i, &h.cursors[stream])
			}
			h.copyRows(p, stream, (i+1)*size-p.gap*p.cols, true)
		}
	}
	rows := e.last().computed(e.run)
	logits := device.View{
		Data: e.logits, Groups: rows.Groups, Rows: rows.Rows, Cols: e.classes,
		GroupStride: rows.Rows * e.classes, RowStride: e.classes,
	}
	steps[len(steps)-1].run(d, &operands{dst: logits, x: rows})
	e.dev.Download(e.out[:logits.Extent()], e.logits.Slice(0, logits.Extent()))
}

// logitsOf returns the logits that the run computed for its i-th stream, row by row.
func (e *streamExecutor) logitsOf(i int) []float32 {
	n := e.last().rows(e.run.frames) * e.classes
	return e.out[i*n : (i+1)*n]
}

// clearOutside sets the rows of the run's i-th stream that lie before its beginning or after its end to zero.
func (e *streamExecutor) clearOutside(p *placement, i int, c *cursor) {
	first, n := c.row(p), p.rows(e.run.frames)
	begin, end := min(max(0, c.begin/p.stride-first), n), min(max(0, device.CeilDiv(c.end, p.stride)-first), n)
	for _, rows := range [...][2]int{{0, begin}, {end, n}} {
		if count := rows[1] - rows[0]; count > 0 {
			at := i*p.size(e.run.frames) + (p.gap+rows[0])*p.cols
			e.dev.Fill(device.Matrix(p.data.Slice(at, at+count*p.cols), count, p.cols), 0)
		}
	}
}
