package polynet

import "github.com/polyphon/polyphon/device"

// flow is a network at work on rows that arrive bit by bit. Each convolution computes its rows as soon as those that they
// depend on have arrived; of its input only the rows are kept that later windows reach back to. What a flow gives is what
// one run over the whole recording gives, up to rounding.
type flow struct {
	config Config
	dev    device.Device
	memory device.Buffer
	most   int // frames that come at a time

	input, stem line
	blocks      []flowBlock
	f, z        device.Buffer // pi1x1: F and F∘S
	logits      device.Buffer // (rows, Classes)
	out         []float32     // the same
}

// flowBlock is where a block's results go.
type flowBlock struct {
	hidden, out line
}

// newFlow returns a flow for p that takes at most so many frames at a time.
func newFlow(p *Plan, most int) *flow {
	f := &flow{config: p.config, dev: p.single, most: most, blocks: make([]flowBlock, len(p.blocks))}
	f.memory = allocTogether(p.dev, func(alloc func(n int) device.Buffer) { f.layOut(p, alloc) })
	f.out = make([]float32, f.logits.Len())
	f.restart(0)
	return f
}

// layOut places everything that p computes in what alloc returns.
func (f *flow) layOut(p *Plan, alloc func(n int) device.Buffer) {
	_, ahead, _ := p.config.reach()
	most, stride := max(f.most, ahead), 1 // rows that come at a time: as many as wait for the last ones' lookahead, at the end
	place := func(cols, kept, behind int) line {
		room := 2*kept + ceilDiv(most, stride) + 1
		return line{data: alloc((room + behind) * cols), cols: cols, stride: stride, kept: kept, behind: behind, room: room}
	}
	stem := &p.stem
	f.input = place(stem.in, stem.kernel-1, stem.ahead)
	stride *= stem.stride
	x, wide := &f.stem, 0
	width := stem.out
	for i := range p.blocks {
		b := &p.blocks[i]
		spec := &b.spec
		// conv1 reaches back over its kernel; the skip waits for the lookahead of both convolutions.
		*x = place(width, max(spec.kernel-1, spec.ahead*(1+spec.stride)), spec.ahead)
		stride *= spec.stride
		width = spec.width
		f.blocks[i].hidden = place(width, spec.kernel-1, spec.ahead)
		x = &f.blocks[i].out
		if spec.mixed {
			wide = max(wide, f.blocks[i].hidden.data.Len())
		}
	}
	*x = place(width, 0, 0)
	f.f, f.z = alloc(wide), alloc(wide)
	f.logits = alloc(x.data.Len() / width * p.config.Classes)
}

// close gives the flow's memory back to the device.
func (f *flow) close() { f.dev.Free(f.memory) }

// restart forgets everything. The next frame is the given one, a multiple of the last stage's stride; those before it
// count as zero.
func (f *flow) restart(frame int) {
	f.dev.Fill(device.Matrix(f.memory, 1, f.memory.Len()), 0)
	f.input.restart(frame)
	f.stem.restart(frame)
	for i := range f.blocks {
		f.blocks[i].hidden.restart(frame)
		f.blocks[i].out.restart(frame)
	}
}

// push takes the next rows of normalised features, no more than the flow's most before they are computed.
func (f *flow) push(rows []float32) {
	if len(rows) > 0 {
		f.dev.Upload(f.input.grow(f.dev, len(rows)/f.input.cols).Data, rows)
	}
}

// run computes what can be computed of the frames that have been pushed and returns the rows that the last stage gives, as
// logits, and the first one's index. The logits are valid until the next run. final says that the recording has ended;
// no frames may have been pushed since the last run then. p is the flow's network, compiled for whatever number of frames.
func (f *flow) run(p *Plan, final bool) (logits []float32, first int) {
	d, last := f.dev, f.last()
	first = last.next
	f.input.end(d, final)
	if n := p.stem.due(&f.input, &f.stem, final); n > 0 {
		windows := p.stem.over(&f.input, f.stem.next, n)
		d.MatMul(f.stem.grow(d, n), windows, p.stem.weight, device.Epilogue{Shift: p.stem.shift, ReLU: f.config.Block == ReLU})
	}
	f.input.keep = p.stem.reads(f.stem.next)
	x := &f.stem
	for i := range p.blocks {
		f.block(&p.blocks[i], &f.blocks[i], x, final)
		x = &f.blocks[i].out
	}
	last.keep = last.next
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
func (f *flow) last() *line { return &f.blocks[len(f.blocks)-1].out }

// block computes what block b can of x.
func (f *flow) block(b *foldedBlock, m *flowBlock, x *line, final bool) {
	d, hidden, y := f.dev, &m.hidden, &m.out
	x.end(d, final)
	if n := b.conv1.due(x, hidden, final); n > 0 {
		windows := b.conv1.over(x, hidden.next, n)
		d.MatMul(hidden.grow(d, n), windows, b.conv1.weight, device.Epilogue{Shift: b.conv1.shift, ReLU: b.spec.relu})
	}
	hidden.end(d, final)
	if n := b.conv2.due(hidden, y, final); n > 0 {
		first := y.next
		out := y.grow(d, n)
		skip := out
		none := device.Buffer{}
		switch {
		case b.spec.hasSkip:
			d.MatMul(out, b.skip.over(x, first, n), b.skip.weight, device.Epilogue{Shift: b.skip.shift})
		case b.spec.mixed:
			d.Affine(out, x.rows(first, n), device.View{}, none, none, none, false)
		default:
			skip = x.rows(first, n)
		}
		b.join(d, out, skip, b.conv2.over(hidden, first, n), scratch(f.f, n, y.cols), scratch(f.z, n, y.cols))
	}
	x.keep = min(b.conv1.reads(hidden.next), y.next*b.spec.stride)
	hidden.keep = b.conv2.reads(y.next)
}

// scratch returns a matrix at the beginning of b, or nothing where b is empty.
func scratch(b device.Buffer, rows, cols int) device.View {
	if b.Empty() {
		return device.View{}
	}
	return device.Matrix(b.Slice(0, rows*cols), rows, cols)
}

// due returns how many rows of y the convolution can compute now of x, which has ended if final is set.
func (c *foldedConv) due(x, y *line, final bool) int {
	n := x.next
	if !final {
		n -= c.ahead
	}
	return max(0, ceilDiv(n, c.stride)-y.next)
}

// reads returns the first row of its input that the convolution reads for a row.
func (c *foldedConv) reads(row int) int { return row*c.stride - (c.kernel - 1 - c.ahead) }

// over returns the windows of x that the convolution multiplies for n rows from first on.
func (c *foldedConv) over(x *line, first, n int) device.View {
	return x.windows(c.reads(first), n, c.kernel, c.stride)
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
