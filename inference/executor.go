package inference

import (
	"math"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// executor is the memory in which a Program runs on several streams at once. A run takes the same number of new frames of every
// stream and computes the rows of each tensor that these complete. A clip is a stream that begins and ends in one run,
// between rows of zeros. Of a stream that goes on, rows lag behind by the lookahead, and the last rows of each tensor are
// saved in a history from one run to the next; rows before its beginning and after its end count as zero.
//
// What runs over a stream give is what one run over the whole stream gives, up to rounding.
type executor struct {
	dev     device.Device
	memory  device.Buffer
	tensors []placement
	windows [][4]window
	inPlace []bool

	run     runSize       // that is prepared
	reads   []operands    // of each step in such a run
	results []device.View // the same
}

// newExecutor returns an executor with memory for each of the runs and for what more asks for.
func newExecutor(p *Plan, whole bool, runs []runSize, more func(l *layout, alloc func(n int) device.Buffer)) executor {
	l := newLayout(p.program, whole)
	l.place(p.dev, p.program, whole, runs, func(alloc func(n int) device.Buffer) { more(l, alloc) })
	return executor{
		dev: p.dev, memory: l.memory, tensors: l.tensors, windows: l.windows, inPlace: l.inPlace,
		reads: make([]operands, len(l.windows)), results: make([]device.View, len(l.windows)),
	}
}

func (e *executor) close() { e.dev.Free(e.memory) }

// prepare sets the size of the next runs.
func (e *executor) prepare(run runSize) {
	if run == e.run {
		return
	}
	e.run = run
	for i := range e.windows {
		out := &e.tensors[polynet.Output(i)]
		n := out.rows(run.frames)
		view := func(w window) device.View {
			if w.tensor == polynet.NoTensor {
				return device.View{}
			}
			return e.tensors[w.tensor].view(w.begin, w.taps, w.stride, n, run)
		}
		w := &e.windows[i]
		e.reads[i] = operands{x: view(w[0]), y: view(w[1]), skip: view(w[2]), add: view(w[3]), inPlace: e.inPlace[i]}
		e.results[i] = out.own(run)
	}
}

// step computes step i of a run.
func (e *executor) step(d device.Device, w *weights, i int) {
	w.steps[i].run(d, e.results[i], &e.reads[i])
}

// last returns the rows that the mean over time is taken of.
func (e *executor) last() *placement { return &e.tensors[len(e.tensors)-1] }

// capacity says how much a streamExecutor takes at once: a step's frames of all its streams, or most frames of one.
type capacity struct{ streams, step, most int }

// streamExecutor is an executor for streams that go on.
type streamExecutor struct {
	executor
	classes int
	ahead   int           // the network's lookahead in frames
	logits  device.Buffer // (streams, rows, classes)
	out     []float32     // the same
	cursors []cursor      // of the streams of this run
	edges   []int         // those of them of which some rows lie outside of the stream
}

// cursor is where a stream stands, in frames.
type cursor struct {
	slot  int // of the history
	begin int // frames before it count as zero; a multiple of the last rows' stride
	next  int // the first one that no run has taken; the same
	end   int // the stream's length, or endless while it is not known
}

// endless stands for the length of a stream that goes on.
const endless = math.MaxInt / 2

// row returns the first row of a tensor that the next run computes.
func (c *cursor) row(p *placement) int { return c.next/p.stride - p.lag }

// history is what is kept of a group of streams between runs: for each the last rows of every tensor, and its cursor.
type history struct {
	dev     device.Device
	memory  device.Buffer
	size    int // values of a stream
	cursors []cursor
}

func newStreamExecutor(p *Plan, c capacity) *streamExecutor {
	e := &streamExecutor{classes: p.model.Net.Classes, ahead: p.reach.After}
	runs := []runSize{{c.streams, c.step}, {1, c.most}}
	e.executor = newExecutor(p, false, runs, func(l *layout, alloc func(n int) device.Buffer) {
		e.logits = alloc(max(c.streams*c.step, c.most) / l.tensors[len(l.tensors)-1].stride * e.classes)
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
		h.cursors[i] = cursor{slot: i, end: endless}
	}
	return h
}

// restart forgets a stream. Its next frame is the given one, a multiple of the last rows' stride; those before it count as zero.
func (h *history) restart(stream, frame int) {
	h.dev.Fill(device.Matrix(h.memory.Slice(stream*h.size, (stream+1)*h.size), 1, h.size), 0)
	h.cursors[stream] = cursor{slot: stream, begin: frame, next: frame, end: endless}
}

func (h *history) close() { h.dev.Free(h.memory) }

// load adds rows of normalised features to the run's i-th stream, from the given frame of the run on.
func (e *streamExecutor) load(i, frame int, rows []float32) {
	in := &e.tensors[polynet.Input]
	at := i*in.size(e.run.frames) + (in.gap+frame)*in.cols
	e.dev.Upload(in.data.Slice(at, at+len(rows)), rows)
}

// compute runs over the frames that have been loaded: of streams of h, in the order of their loading. The logits are valid
// until the next run.
func (e *streamExecutor) compute(w *weights, h *history, streams []int) {
	e.advance(h, streams)
	for t := polynet.Input; int(t) < len(e.tensors); t++ {
		p := &e.tensors[t]
		e.restore(p, h)
		if i := int(t - polynet.Output(0)); i >= 0 {
			e.step(e.dev, w, i)
		}
		for _, i := range e.edges {
			e.clearOutside(p, i)
		}
		e.save(p, h)
	}
	rows := e.last().own(e.run)
	out := device.View{
		Data: e.logits, Groups: e.run.streams, Rows: rows.Rows, Cols: e.classes,
		GroupStride: rows.Rows * e.classes, RowStride: e.classes,
	}
	head := w.head()
	e.dev.MatMul(out, rows, head.weight, device.Epilogue{Shift: head.bias})
	e.dev.Download(e.out[:out.Extent()], e.logits.Slice(0, out.Extent()))
}

// advance notes where the streams stand and moves their cursors on.
func (e *streamExecutor) advance(h *history, streams []int) {
	e.cursors, e.edges = e.cursors[:0], e.edges[:0]
	for i, stream := range streams {
		c := &h.cursors[stream]
		if c.next < c.begin+e.ahead || c.next+e.run.frames > c.end {
			e.edges = append(e.edges, i)
		}
		e.cursors = append(e.cursors, *c)
		c.next += e.run.frames
	}
}

// rowsOf returns the rows of logits that the run gave for its i-th stream, and the first one's index.
func (e *streamExecutor) rowsOf(i int) (logits []float32, first int) {
	last := e.last()
	n := last.rows(e.run.frames) * e.classes
	return e.out[i*n : (i+1)*n], e.cursors[i].row(last)
}

// restore copies the rows of a tensor that the last run saved into the gaps.
func (e *streamExecutor) restore(p *placement, h *history) {
	n, size := p.gap*p.cols, p.size(e.run.frames)
	for i := range e.cursors {
		saved := e.cursors[i].slot*h.size + p.history
		copyValues(e.dev, p.data.Slice(i*size, i*size+n), h.memory.Slice(saved, saved+n))
	}
}

// save copies the last rows of a tensor, which the next run reads, to the history.
func (e *streamExecutor) save(p *placement, h *history) {
	n, size := p.gap*p.cols, p.size(e.run.frames)
	for i := range e.cursors {
		saved := e.cursors[i].slot*h.size + p.history
		copyValues(e.dev, h.memory.Slice(saved, saved+n), p.data.Slice((i+1)*size-n, (i+1)*size))
	}
}

// copyValues sets dst's values to src's.
func copyValues(d device.Device, dst, src device.Buffer) {
	n := dst.Len()
	if n == 0 {
		return
	}
	if to := dst.Host(); to != nil {
		copy(to, src.Host())
		return
	}
	copyRows(d, device.Matrix(dst, 1, n), device.Matrix(src, 1, n))
}

// clearOutside sets the rows of this run that lie outside of the i-th stream to zero.
func (e *streamExecutor) clearOutside(p *placement, i int) {
	c, n := &e.cursors[i], p.rows(e.run.frames)
	first := c.row(p)
	begin, end := min(max(0, c.begin/p.stride-first), n), min(max(0, ceilDiv(c.end, p.stride)-first), n)
	for _, rows := range [...][2]int{{0, begin}, {end, n}} {
		if count := rows[1] - rows[0]; count > 0 {
			at := i*p.size(e.run.frames) + (p.gap+rows[0])*p.cols
			e.dev.Fill(device.Matrix(p.data.Slice(at, at+count*p.cols), count, p.cols), 0)
		}
	}
}
