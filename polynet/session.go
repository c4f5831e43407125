package polynet

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
)

// Session is a Plan's working memory for clips of one length. It is used by one goroutine.
type Session struct {
	plan   *Plan
	frames int
	batch  int           // the most clips a Run
	memory device.Buffer // all of it

	input  Activation
	host   []float32 // the input before its upload; the input itself where the device works in the host's memory
	stem   Activation
	blocks []blockMemory
	pooled device.View // (batch, features)
	logits device.View // (batch, Classes)
	out    []float32
	mean   poolRange
}

// blockMemory is where a block's results go. Blocks of the same shape share hidden and branch; one without a skip
// convolution works in its input's memory.
type blockMemory struct {
	hidden, branch, out Activation // branch: pi1x1 only
}

// Session returns a Session for up to batch clips of frames rows each.
func (p *Plan) Session(batch, frames int) *Session {
	if batch < 1 || frames < 1 {
		panic(fmt.Sprintf("polynet: a session for %d clips of %d frames", batch, frames))
	}
	s := &Session{plan: p, frames: frames, batch: batch, out: make([]float32, batch*p.config.Classes)}
	s.memory = allocTogether(p.dev, s.layOut)
	if s.host = s.input.padded.Host(); s.host == nil {
		s.host = make([]float32, s.input.padded.Len())
	}
	return s
}

// allocTogether calls layOut twice, to learn how much memory it asks for and to give it that, as slices of one buffer.
func allocTogether(d device.Device, layOut func(alloc func(n int) device.Buffer)) device.Buffer {
	size := 0
	layOut(func(n int) device.Buffer {
		size += alignUp(n)
		return device.AddrBuffer(0, n)
	})
	memory, begin := d.Alloc(size), 0
	layOut(func(n int) device.Buffer {
		b := memory.Slice(begin, begin+n)
		begin += alignUp(n)
		return b
	})
	return memory
}

// layOut places everything that a Run computes in what alloc returns.
func (s *Session) layOut(alloc func(n int) device.Buffer) {
	p := s.plan
	activation := func(rows, cols int) Activation {
		pad := p.config.padding() // zero rows around each clip
		stride := (rows + pad) * cols
		padded := alloc(pad*cols + s.batch*stride)
		return Activation{
			View: device.View{
				Data: padded.Slice(pad*cols, padded.Len()), Groups: s.batch, Rows: rows, Cols: cols,
				GroupStride: stride, RowStride: cols,
			},
			padded: padded, pad: pad,
		}
	}
	s.input = activation(s.frames, p.config.Inputs)
	s.stem = activation(p.stem.rows(s.frames), p.stem.out)
	x := s.stem
	s.blocks = s.blocks[:0]
	var m blockMemory
	for i := range p.blocks {
		b := &p.blocks[i]
		rows, width := b.conv1.rows(x.Rows), b.spec.width
		if m.hidden.Rows != rows || m.hidden.Cols != width { // else the one of the block before
			m.hidden = activation(rows, width)
			if b.spec.mixed {
				m.branch = activation(rows, width)
			}
		}
		m.out = x
		if b.spec.hasSkip {
			m.out = activation(rows, width)
		}
		s.blocks = append(s.blocks, m)
		x = m.out
	}
	matrix := func(cols int) device.View { return device.Matrix(alloc(s.batch*cols), s.batch, cols) }
	s.pooled = matrix(x.Cols)
	s.logits = matrix(p.config.Classes)
}

// Close gives the Session's memory back to the device.
func (s *Session) Close() {
	s.plan.dev.Free(s.memory)
}

// Pool says that the mean over time is to be taken over count frames from first on; see Pass.Pool. It holds for all Runs.
func (s *Session) Pool(first, count int) { s.mean = poolRange{first, count} }

// Run returns the logits (batch, Classes) of batch clips, whose rows (batch, frames, mels) are log-mel energies as
// features.Extractor gives them, not normalised. The logits are valid until the next Run, which allocates nothing.
func (s *Session) Run(rows []float32, batch int) []float32 {
	p := s.plan
	if batch < 1 || batch > s.batch || len(rows) != batch*s.frames*p.config.Inputs {
		panic(fmt.Sprintf("polynet: %d values for %d clips of (%d,%d) in a session of %d", len(rows), batch, s.frames, p.config.Inputs, s.batch))
	}
	d := p.dev
	if batch == 1 {
		d = p.single
	}
	s.load(rows, batch)
	relu := p.config.Block == ReLU
	x := clips(s.stem, batch)
	d.MatMul(x.View, p.stem.windows(clips(s.input, batch)), p.stem.weight, device.Epilogue{Shift: p.stem.shift, ReLU: relu})
	for i := range p.blocks {
		x = p.blocks[i].run(d, &s.blocks[i], x)
	}
	pooled, logits := s.pooled, s.logits
	pooled.Rows, logits.Rows = batch, batch
	d.MeanRows(asGroups(pooled), s.mean.of(x, p.config.totalStride()).View)
	d.MatMul(logits, pooled, p.head.weight, device.Epilogue{Shift: p.head.shift})
	out := s.out[:batch*p.config.Classes]
	p.dev.Download(out, logits.Data.Slice(0, len(out)))
	return out
}

// load puts the normalised rows between the input's padding.
func (s *Session) load(rows []float32, batch int) {
	clip := s.frames * s.input.Cols
	for g := range batch {
		dst := s.host[s.input.pad*s.input.Cols+g*s.input.GroupStride:][:clip]
		copy(dst, rows[g*clip:])
		s.plan.norm.Apply(dst)
	}
	if s.input.padded.Host() == nil {
		s.plan.dev.Upload(s.input.padded, s.host)
	}
}

// run computes the block for x and returns its output.
func (b *foldedBlock) run(d device.Device, m *blockMemory, x Activation) Activation {
	relu := b.spec.relu
	hidden, y := clips(m.hidden, x.Groups), clips(m.out, x.Groups)
	d.MatMul(hidden.View, b.conv1.windows(x), b.conv1.weight, device.Epilogue{Shift: b.conv1.shift, ReLU: relu})
	if b.spec.hasSkip {
		d.MatMul(y.View, b.skip.windows(x), b.skip.weight, device.Epilogue{Shift: b.skip.shift})
	}
	b.join(d, y.View, y.View, b.conv2.windows(hidden), clips(m.branch, x.Groups).View, hidden.View)
	return y
}

// join computes the block's output y from the skip S and the windows that conv2 multiplies. S may be y itself, which it is for
// pi1x1; that also takes room for F and for F∘S, which may be what lies under the windows.
func (b *foldedBlock) join(d device.Device, y, s, windows, f, z device.View) {
	if !b.spec.mixed {
		d.MatMul(y, windows, b.conv2.weight, device.Epilogue{
			Shift: b.conv2.shift, Skip: s, Scale: b.scale, Offset: b.offset, ReLU: b.spec.relu,
		})
		return
	}
	d.MatMul(f, windows, b.conv2.weight, device.Epilogue{Shift: b.conv2.shift})
	d.Hadamard(z, f, s, false)
	d.MatMul(y, z, b.mix.weight, device.Epilogue{Accumulate: true, Shift: b.mix.shift, Skip: f})
}

// clips returns the first n clips of a.
func clips(a Activation, n int) Activation {
	a.Groups = n
	return a
}
