package inference

import (
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// placement is where the rows of a tensor lie in an executor's memory: for each stream of a run gap rows, then the rows that the run
// computes. The gap holds rows of earlier runs that later rows read again or, where streams begin and end in the run,
// zeros, of which there are as many after the last stream.
type placement struct {
	data    device.Buffer
	cols    int
	stride  int // frames of the input from one row to the next
	lag     int // rows that a run computes less far than its input reaches, because of the lookahead; 0 for whole clips
	gap     int // rows before a stream's
	history int // where the gap's values lie in a stream's part of a history
}

// rows returns how many rows of the tensor a run over so many frames computes.
func (p *placement) rows(frames int) int { return ceilDiv(frames, p.stride) }

// size returns how many values a stream has in a run over so many frames.
func (p *placement) size(frames int) int { return (p.gap + p.rows(frames)) * p.cols }

// view returns windows of taps rows for each stream of a run: n of them, stride rows apart, the first of which begins at
// the given row of the gap.
func (p *placement) view(begin, taps, stride, n int, run runSize) device.View {
	return device.View{
		Data: p.data.Slice(begin*p.cols, p.data.Len()), Groups: run.streams, Rows: n, Cols: taps * p.cols,
		GroupStride: p.size(run.frames), RowStride: stride * p.cols,
	}
}

// own returns the rows that a run computes.
func (p *placement) own(run runSize) device.View { return p.view(p.gap, 1, 1, p.rows(run.frames), run) }

// window is how a step reads an operand: for each output row taps rows, stride rows apart, the first ones from begin on.
type window struct {
	tensor              polynet.Tensor
	begin, taps, stride int
}

// layout places a program's tensors. Tensors that are not needed at the same time share memory.
type layout struct {
	tensors []placement // by their numbers, up to the operand of the mean over time
	windows [][4]window // of each step before the mean, in the order of its operands
	inPlace []bool      // by the steps: the result takes the memory of inPlaceOperand
	history int         // values of a stream between runs
	memory  device.Buffer
}

// newLayout returns the geometry of a program's tensors without memory: for whole clips, or for streams that go on.
func newLayout(p *polynet.Program, whole bool) *layout {
	body := len(p.Steps) - 2
	geometry := p.Geometry()
	l := &layout{tensors: make([]placement, body+2), windows: make([][4]window, body), inPlace: make([]bool, body)}
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
	for i := range body {
		s, out := &p.Steps[i], &l.tensors[polynet.Output(i)]
		for j, t := range s.Operands() {
			if t == polynet.NoTensor {
				continue
			}
			before, after := s.Reach(t)
			in, stride := &l.tensors[t], s.StrideOver(t)
			begin := in.lag - out.lag*stride - before // counted from the rows of this run
			l.windows[i][j] = window{t, begin, before + 1 + after, stride}
			in.gap = max(in.gap, -begin)
		}
	}
	for i := range l.windows {
		for j := range l.windows[i] {
			w := &l.windows[i][j]
			w.begin += l.tensors[w.tensor].gap
		}
	}
	for t := range l.tensors {
		l.tensors[t].history = l.history
		l.history += alignUp(l.tensors[t].gap * l.tensors[t].cols)
	}
	return l
}

// place gives the tensors memory of d, enough for each of the runs, and the extra buffers that more asks for.
func (l *layout) place(d device.Device, p *polynet.Program, whole bool, runs []runSize, more func(alloc func(n int) device.Buffer)) {
	l.memory = allocTogether(d, func(alloc func(n int) device.Buffer) {
		l.assign(p, whole, runs, alloc)
		more(alloc)
	})
}

// assign places every tensor in what alloc returns. The padding of whole clips stays zero from run to run, so these share memory
// only with tensors of the same shape; there, a result also takes an operand's memory where the step allows it and
// nothing reads the operand later.
func (l *layout) assign(p *polynet.Program, whole bool, runs []runSize, alloc func(n int) device.Buffer) {
	type shape struct{ n, cols int }
	free, last := map[shape][]device.Buffer{}, p.LastUses()
	take := func(t polynet.Tensor) {
		pl := &l.tensors[t]
		n := 0
		for _, r := range runs {
			n = max(n, r.streams*pl.size(r.frames))
		}
		if whole {
			n += pl.gap * pl.cols
		}
		key := shape{n, pl.cols}
		if list := free[key]; len(list) > 0 {
			pl.data, free[key] = list[len(list)-1], list[:len(list)-1]
			return
		}
		pl.data = alloc(n)
	}
	take(polynet.Input)
	for i := range l.windows {
		s, out := &p.Steps[i], polynet.Output(i)
		home := inPlaceOperand(s)
		l.inPlace[i] = whole && home > polynet.Input && last[home] == i && (home != s.X || s.Op != polynet.OpConv)
		if l.inPlace[i] {
			l.tensors[out].data = l.tensors[home].data
		} else {
			take(out)
		}
		for _, t := range s.Operands() {
			if t == polynet.NoTensor || last[t] != i || l.inPlace[i] && t == home {
				continue
			}
			b := l.tensors[t].data
			key := shape{b.Len(), l.tensors[t].cols}
			free[key] = append(free[key], b)
			last[t] = -1 // once
		}
	}
}

// allocTogether calls place twice, to learn how much memory it asks for and to give it that, as slices of one buffer.
func allocTogether(d device.Device, place func(alloc func(n int) device.Buffer)) device.Buffer {
	size := 0
	place(func(n int) device.Buffer {
		size += alignUp(n)
		return device.AddrBuffer(0, n)
	})
	memory, begin := d.Alloc(size), 0
	place(func(n int) device.Buffer {
		b := memory.Slice(begin, begin+n)
		begin += alignUp(n)
		return b
	})
	return memory
}

// alignUp rounds a number of values up to whole cache lines.
func alignUp(n int) int { return ceilDiv(n, 16) * 16 }

func ceilDiv(a, b int) int { return (a + b - 1) / b }
