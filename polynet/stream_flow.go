package polynet

import (
	"math"

	"github.com/polyphon/polyphon/device"
)

// flow is a network at work on rows that arrive bit by bit. Each convolution computes its rows as soon as those that they
// depend on have arrived; of its input only the rows are kept that later windows reach back to. What a flow gives is what
// one run over the whole recording gives, up to rounding.
type flow struct {
	config Config
	dev    device.Device
	memory device.Buffer
	most   int // frames that come at a time

	lines    []line        // the values, by their numbers
	readings [][]reading   // of each step
	logits   device.Buffer // (rows, Classes)
	out      []float32     // the same
}

// reading is a value that a step reads: for its row t, the rows t·stride−left to t·stride+ahead.
type reading struct {
	line                *line
	stride, left, ahead int
}

// newFlow returns a flow for p that takes at most so many frames at a time.
func newFlow(p *Plan, most int) *flow {
	f := &flow{config: p.config, dev: p.single, most: most}
	f.memory = allocTogether(p.dev, func(alloc func(n int) device.Buffer) { f.layOut(p, alloc) })
	f.out = make([]float32, f.logits.Len())
	f.restart(0)
	return f
}

// layOut places everything that p computes in what alloc returns.
func (f *flow) layOut(p *Plan, alloc func(n int) device.Buffer) {
	g := p.program.geometries()
	last := g[len(g)-1]
	most := max(f.most, last.ahead) // frames that come at a time: as many as wait for the last ones' lookahead, at the end
	f.lines, f.readings = make([]line, len(g)), make([][]reading, len(p.steps))
	for v := input; int(v) < len(g); v++ {
		f.lines[v] = line{cols: p.config.Inputs, stride: g[v].stride}
	}
	for i := range p.steps {
		s := &p.steps[i]
		f.lines[made(i)].cols = s.width
		for _, v := range s.operands() {
			if v == none {
				continue
			}
			left, ahead := s.reach(v)
			l := &f.lines[v]
			f.readings[i] = append(f.readings[i], reading{l, s.strideOver(v), left, ahead})
			// What a step gives waits for the lookahead of all that it reads.
			l.kept = max(l.kept, ceilDiv(g[made(i)].ahead-g[v].ahead, l.stride)+left)
			l.behind = max(l.behind, ahead)
		}
	}
	for v := input; int(v) < len(g); v++ {
		l := &f.lines[v]
		l.room = 2*l.kept + ceilDiv(most, l.stride) + 1
		l.data = alloc((l.room + l.behind) * l.cols)
	}
	f.logits = alloc(f.last().room * p.config.Classes)
}

// close gives the flow's memory back to the device.
func (f *flow) close() { f.dev.Free(f.memory) }

// restart forgets everything. The next frame is the given one, a multiple of the last stage's stride; those before it
// count as zero.
func (f *flow) restart(frame int) {
	f.dev.Fill(device.Matrix(f.memory, 1, f.memory.Len()), 0)
	for v := input; int(v) < len(f.lines); v++ {
		f.lines[v].restart(frame)
	}
}

// push takes the next rows of normalised features, no more than the flow's most before they are computed.
func (f *flow) push(rows []float32) {
	if len(rows) > 0 {
		in := &f.lines[input]
		f.dev.Upload(in.grow(f.dev, len(rows)/in.cols).Data, rows)
	}
}

// run computes what can be computed of the frames that have been pushed and returns the rows that the last stage gives, as
// logits, and the first one's index. The logits are valid until the next run. final says that the recording has ended;
// no frames may have been pushed since the last run then. p is the flow's network, compiled for whatever number of frames.
func (f *flow) run(p *Plan, final bool) (logits []float32, first int) {
	d, last := f.dev, f.last()
	first = last.next
	f.lines[input].end(d, final)
	for i := range p.steps {
		f.step(&p.steps[i], i, final)
	}
	for v := range f.lines {
		f.lines[v].keep = f.lines[v].next
	}
	for i, list := range f.readings {
		for _, r := range list {
			r.line.keep = min(r.line.keep, f.lines[made(i)].next*r.stride-r.left)
		}
	}
	n := last.next - first
	if n == 0 {
		return nil, first
	}
	out := device.Matrix(f.logits.Slice(0, n*f.config.Classes), n, f.config.Classes)
	d.MatMul(out, last.rows(first, n), p.head.weight, device.Epilogue{Shift: p.head.shift})
	logits = f.out[:out.Data.Len()]
	d.Download(logits, out.Data)
	return logits, first
}

// last returns the last stage's rows.
func (f *flow) last() *line { return &f.lines[len(f.lines)-1] }

// step computes what step s, the i-th, can.
func (f *flow) step(s *instruction, i int, final bool) {
	y := &f.lines[made(i)]
	first := y.next
	if n := f.due(i, final) - first; n > 0 {
		var o operands
		x := &f.readings[i][0]
		o.x = x.line.windows(first*x.stride-x.left, n, x.left+1+x.ahead, x.stride)
		for _, other := range [...]struct {
			v    value
			view *device.View
		}{{s.y, &o.y}, {s.skip, &o.skip}, {s.add, &o.add}} {
			if other.v != none {
				*other.view = f.lines[other.v].rows(first, n)
			}
		}
		s.run(f.dev, y.grow(f.dev, n), &o, device.Buffer{})
	}
	y.end(f.dev, final)
}

// due returns how many rows step i can have computed now, from the first one on. final says that what it reads has ended.
func (f *flow) due(i int, final bool) int {
	n := math.MaxInt
	for _, r := range f.readings[i] {
		have := r.line.next
		if !final {
			have -= r.ahead
		}
		n = min(n, ceilDiv(have, r.stride))
	}
	return n
}

// line is an activation that arrives bit by bit, of which the last rows are kept. Rows are counted from the recording's
// first one.
type line struct {
	data   device.Buffer
	cols   int
	stride int // frames a row
	kept   int // how many rows are still read, at most, when those have been computed that can be
	behind int // zero rows that the recording's end takes
	room   int // rows that data holds, without those behind

	base int // the row at the beginning of data
	keep int // the first row that is still read
	next int // the row that comes next
}

// restart begins a recording, its rows before the frame all zero as data is.
func (l *line) restart(frame int) {
	l.next = frame / l.stride
	l.base = l.next - l.kept
	l.keep = l.base
}

// windows returns the View of n overlapping windows of taps rows, stride apart, from row first on.
func (l *line) windows(first, n, taps, stride int) device.View {
	begin := (first - l.base) * l.cols
	return device.View{
		Data: l.data.Slice(begin, begin+((n-1)*stride+taps)*l.cols), Groups: 1, Rows: n, Cols: taps * l.cols,
		GroupStride: n * stride * l.cols, RowStride: stride * l.cols,
	}
}

// rows returns rows first up to first+n.
func (l *line) rows(first, n int) device.View { return l.windows(first, n, 1, 1) }

// grow returns memory for the next n rows. Where there is none left, the rows that are still read move to the front.
func (l *line) grow(d device.Device, n int) device.View {
	if l.next-l.base+n > l.room {
		keep := min(l.keep, l.next)
		if count := l.next - keep; count > 0 {
			none := device.Buffer{}
			to := device.Matrix(l.data.Slice(0, count*l.cols), count, l.cols)
			d.Affine(to, l.rows(keep, count), device.View{}, none, none, none, false)
		}
		l.base = keep
	}
	l.next += n
	return l.rows(l.next-n, n)
}

// end lays the zero rows behind the last one that the network's padding has there, if final is set.
func (l *line) end(d device.Device, final bool) {
	if final && l.behind > 0 {
		d.Fill(l.rows(l.next, l.behind), 0)
	}
}
