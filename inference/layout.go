package inference

import (
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// placement says where the rows of a tensor lie in an executor's memory: for each stream of a run gap rows, then the
// rows that the run computes. The gap holds those rows of earlier runs that this run reads again. For whole clips it
// holds zeros, and as many zero rows follow the last clip.
type placement struct {
	data    device.Buffer
	unread  bool // no memory is needed: the step that makes it writes its bytes to the next tensor
	cols    int
	stride  int // frames of the input from one row to the next
	lag     int // how many rows, for the lookahead, the latest one lags the latest frame; 0 for whole clips
	gap     int // rows before those of each stream
	history int // where a stream's part of a history keeps the rows for the gap
}

// rows returns how many rows of the tensor a run over so many frames computes.
func (p *placement) rows(frames int) int { return device.CeilDiv(frames, p.stride) }

// size returns how many values of memory each stream takes in a run over so many frames.
func (p *placement) size(frames int) int { return (p.gap + p.rows(frames)) * p.cols }

// view returns windows of taps rows for each stream of a run: n of them, stride rows apart, the first of which begins
// at the given row, counted from the first one that the run computes.
func (p *placement) view(begin, taps, stride, n int, run runSize) device.View {
	return device.View{
		Data: p.data.Slice((p.gap+begin)*p.cols, p.data.Len()), Groups: run.streams, Rows: n, Cols: taps * p.cols,
		GroupStride: p.size(run.frames), RowStride: stride * p.cols,
	}
}

// computed returns the rows that a run computes.
func (p *placement) computed(run runSize) device.View {
	if p.unread {
		return device.View{}
	}
	return p.view(0, 1, 1, p.rows(run.frames), run)
}

// layout places a program's tensors for whole clips or for streams. Tensors that are not needed at the same time share
// memory.
type layout struct {
	program *polynet.Program
	whole   bool        // for whole clips
	tensors []placement // by their numbers, up to the operand of the mean over time
	inPlace []bool      // by the steps before the mean: the result takes the memory of inPlaceOperand
	written []bool      // the same: an OpRound that the step before it computes, with its own result
	history int         // values that are kept of a stream between runs
}

// newLayout returns the geometry of a program's tensors, without memory.
func newLayout(p *polynet.Program, whole bool) layout {
	geometry := p.Geometry()
	l := layout{program: p, whole: whole, tensors: make([]placement, len(p.Steps)), inPlace: make([]bool, len(p.Steps)-2)}
	for t := polynet.Input; int(t) < len(l.tensors); t++ {
		pl := &l.tensors[t]
		pl.stride, pl.cols = geometry[t].Stride, p.Inputs
		if t > polynet.Input {
			pl.cols = p.Steps[t-polynet.Output(0)].Width
		}
		if whole {
			pl.gap = p.Padding()
		} else {
			pl.lag = geometry[t].After / pl.stride
		}
	}
	l.written = make([]bool, len(l.inPlace))
	readers := make([]int, len(p.Steps)+2)
	for i := range p.Steps {
		for _, t := range p.Steps[i].Operands() {
			readers[t]++
		}
	}
	for i := range l.inPlace {
		if i+1 < len(l.inPlace) && writesBytes(p, i) {
			l.written[i+1] = true
			l.tensors[polynet.Output(i)].unread = readers[polynet.Output(i)] == 1
		}
		for _, t := range p.Steps[i].Operands() {
			if t != polynet.NoTensor {
				begin, _, _ := l.window(i, t)
				l.tensors[t].gap = max(l.tensors[t].gap, -begin)
			}
		}
	}
	for t := range l.tensors {
		l.tensors[t].history = l.history
		l.history += device.AlignUp(l.tensors[t].gap * l.tensors[t].cols)
	}
	return l
}

// window returns how step i reads its operand t, as placement.view takes it.
func (l *layout) window(i int, t polynet.Tensor) (begin, taps, stride int) {
	s := &l.program.Steps[i]
	before, after := s.Reach(t)
	stride = s.StrideOver(t)
	return l.tensors[t].lag - l.tensors[polynet.Output(i)].lag*stride - before, before + 1 + after, stride
}

// writes reports whether step i computes the OpRound after it.
func (l *layout) writes(i int) bool { return i+1 < len(l.written) && l.written[i+1] }

// last returns the rows that the mean over time is taken of.
func (l *layout) last() *placement { return &l.tensors[len(l.tensors)-1] }

// allocator returns memory for so many values.
type allocator func(values int) device.Buffer

// assign gives every tensor memory from alloc that is enough for each of the runs. Only tensors of the same shape share
// memory, so that the padding of whole clips stays zero from run to run. In whole clips a result also overwrites an
// operand where the step allows it and no later one reads the operand.
func (l *layout) assign(runs []runSize, alloc allocator) {
	type shape struct{ values, cols int }
	free, last := map[shape][]device.Buffer{}, l.program.LastUses()
	take := func(t polynet.Tensor) {
		p, n := &l.tensors[t], 0
		for _, r := range runs {
			n = max(n, r.streams*p.size(r.frames))
		}
		if l.whole {
			n += p.gap * p.cols
		}
		key := shape{n, p.cols}
		if list := free[key]; len(list) > 0 {
			p.data, free[key] = list[len(list)-1], list[:len(list)-1]
			return
		}
		p.data = alloc(n)
	}
	take(polynet.Input)
	for i := range l.inPlace {
		s, out := &l.program.Steps[i], polynet.Output(i)
		x := inPlaceOperand(s)
		l.inPlace[i] = l.whole && x > polynet.Input && last[x] == i && (x != s.X || s.Op != polynet.OpConv) &&
			!l.tensors[out].unread
		switch {
		case l.inPlace[i]:
			l.tensors[out].data = l.tensors[x].data
			last[x] = -1 // not free
		case !l.written[i] && !l.tensors[out].unread:
			take(out)
		}
		if l.writes(i) {
			take(out + 1) // while the step still reads its operands
		}
		for _, t := range s.Operands() {
			if t == polynet.NoTensor || last[t] != i || l.tensors[t].unread {
				continue
			}
			p := &l.tensors[t]
			key := shape{p.data.Len(), p.cols}
			free[key] = append(free[key], p.data)
			last[t] = -1 // once
		}
	}
}

// bytes returns how much memory assign needs for runs of one stream, computed without allocating any.
func (l *layout) bytes(runs ...runSize) (sum int64) {
	l.assign(runs, func(n int) device.Buffer {
		sum += 4 * int64(device.AlignUp(n))
		return device.AddrBuffer(0, n)
	})
	return sum
}

// allocTogether returns one buffer for all that place allocates. It calls place twice: to add up the sizes, and to give
// it slices of the buffer.
func allocTogether(d device.Device, place func(allocator)) device.Buffer {
	size := 0
	place(func(n int) device.Buffer {
		size += device.AlignUp(n)
		return device.AddrBuffer(0, n)
	})
	memory, begin := d.Alloc(size), 0
	place(func(n int) device.Buffer {
		b := memory.Slice(begin, begin+n)
		begin += device.AlignUp(n)
		return b
	})
	return memory
}
