package polynet

import (
	"fmt"
	"slices"

	"github.com/polyphon/polyphon/device"
)

// Session is a Plan's working memory for clips of one length. It is used by one goroutine.
type Session struct {
	plan   *Plan
	frames int
	batch  int           // the most clips a Run
	memory device.Buffer // all of it

	sounds  device.Buffer // of RunSounds; empty until it is used
	host    []float32     // the input before its upload; the input itself where the device works in the host's memory
	values  []Activation  // by their numbers; some share memory
	inPlace []bool        // by the steps: the result takes an operand's memory
	scratch device.Buffer // of instance norms
	pooled  device.View   // (batch, features)
	logits  device.View   // (batch, Classes)
	out     []float32
	mean    poolRange
}

// Session returns a Session for up to batch clips of frames rows each.
func (p *Plan) Session(batch, frames int) *Session {
	if batch < 1 || frames < 1 {
		panic(fmt.Sprintf("polynet: a session for %d clips of %d frames", batch, frames))
	}
	s := &Session{plan: p, frames: frames, batch: batch, out: make([]float32, batch*p.config.Classes)}
	s.memory = allocTogether(p.dev, s.layOut)
	padded := s.values[input].padded
	if s.host = padded.Host(); s.host == nil {
		s.host = make([]float32, padded.Len())
	}
	return s
}

// allocTogether calls layOut twice, to learn how much memory it asks for and to give it that, as slices of one buffer.
func allocTogether(d device.Trainer, layOut func(alloc func(n int) device.Buffer)) device.Buffer {
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

// layOut places everything that a Run computes in what alloc returns. Values of one shape share memory where they do not live
// at the same time, and a result takes an operand's memory where that is done with and the step allows it.
func (s *Session) layOut(alloc func(n int) device.Buffer) {
	p := s.plan
	lasts, rows := p.program.lasts(), p.program.rows(s.frames)
	l := layout{alloc: alloc, batch: s.batch, pad: p.program.padding()}
	s.values = append(s.values[:0], Activation{}, l.activation(s.frames, p.config.Inputs))
	s.inPlace = s.inPlace[:0]
	channels := 0
	for i := range p.steps {
		step := &p.program.steps[i]
		home := step.home()
		inPlace := home > input && lasts[home] == i && (home != step.x || step.op != opConv)
		if inPlace {
			s.values = append(s.values, s.values[home])
		} else {
			s.values = append(s.values, l.take(rows[made(i)], step.width))
		}
		s.inPlace = append(s.inPlace, inPlace)
		for _, v := range step.operands() {
			if v > input && lasts[v] == i && !(inPlace && v == home) {
				l.free = append(l.free, s.values[v])
				lasts[v] = -1 // once
			}
		}
		channels = max(channels, step.instance)
	}
	s.scratch = alloc(4 * channels)
	matrix := func(cols int) device.View { return device.Matrix(alloc(s.batch*cols), s.batch, cols) }
	s.pooled = matrix(p.program.width())
	s.logits = matrix(p.config.Classes)
}

// lasts returns for each value the last step that reads it.
func (p *program) lasts() []int {
	lasts := make([]int, made(len(p.steps)))
	for i := range p.steps {
		for _, v := range p.steps[i].operands() {
			lasts[v] = i
		}
	}
	lasts[len(lasts)-1] = len(p.steps)
	return lasts
}

// layout hands out a Session's activations.
type layout struct {
	alloc      func(n int) device.Buffer
	batch, pad int
	free       []Activation
}

// take returns memory that is free, the latest first, or new.
func (l *layout) take(rows, cols int) Activation {
	for i, a := range slices.Backward(l.free) {
		if a.Rows == rows && a.Cols == cols {
			l.free = slices.Delete(l.free, i, i+1)
			return a
		}
	}
	return l.activation(rows, cols)
}

// activation returns new memory, with zero rows around each clip.
func (l *layout) activation(rows, cols int) Activation {
	stride := (rows + l.pad) * cols
	padded := l.alloc(l.pad*cols + l.batch*stride)
	return Activation{
		View: device.View{
			Data: padded.Slice(l.pad*cols, padded.Len()), Groups: l.batch, Rows: rows, Cols: cols,
			GroupStride: stride, RowStride: cols,
		},
		padded: padded, pad: l.pad,
	}
}

// Close gives the Session's memory back to the device.
func (s *Session) Close() {
	s.plan.dev.Free(s.memory)
	s.plan.dev.Free(s.sounds)
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
	s.load(rows, batch)
	return s.compute(batch)
}

// RunSounds is Run on sounds of equal length, as many samples as make the Session's frames, one after the other. It needs a
// Plan whose device makes features.
func (s *Session) RunSounds(samples []float32, batch int) []float32 {
	p := s.plan
	if batch < 1 || batch > s.batch || len(samples)%batch != 0 || p.listener == nil {
		panic(fmt.Sprintf("polynet: %d samples for %d sounds in a session of %d", len(samples), batch, s.batch))
	}
	length := len(samples) / batch
	if most := s.batch * length; s.sounds.Len() < most {
		p.dev.Free(s.sounds)
		s.sounds = p.dev.Alloc(most)
	}
	sounds := s.sounds.Slice(0, len(samples))
	p.dev.Upload(sounds, samples)
	p.listener.LogMel(clips(s.values[input], batch).View, device.View{
		Data: sounds, Groups: batch, Rows: 1, Cols: length, GroupStride: length, RowStride: length,
	}, p.sound)
	return s.compute(batch)
}

// compute returns the logits of the first batch clips of the input.
func (s *Session) compute(batch int) []float32 {
	p := s.plan
	d := p.dev
	if batch == 1 {
		d = p.single
	}
	for i := range p.steps {
		s.step(d, i, batch)
	}
	x := clips(s.values[len(s.values)-1], batch)
	pooled, logits := s.pooled, s.logits
	pooled.Rows, logits.Rows = batch, batch
	d.AvgPool(asGroups(pooled), s.mean.of(x, p.config.totalStride()).View)
	d.MatMul(logits, pooled, p.head.weight, device.Epilogue{Shift: p.head.shift})
	out := s.out[:batch*p.config.Classes]
	p.dev.Download(out, logits.Data.Slice(0, len(out)))
	return out
}

// load puts the normalised rows between the input's padding.
func (s *Session) load(rows []float32, batch int) {
	x := s.values[input]
	clip := s.frames * x.Cols
	for g := range batch {
		dst := s.host[x.pad*x.Cols+g*x.GroupStride:][:clip]
		copy(dst, rows[g*clip:])
		s.plan.norm.Apply(dst)
	}
	if x.padded.Host() == nil {
		s.plan.dev.Upload(x.padded, s.host)
	}
}

// step computes step i for the first clips.
func (s *Session) step(d device.Trainer, i, batch int) {
	n := &s.plan.steps[i]
	x := clips(s.values[n.x], batch)
	o := operands{x: x.View, inPlace: s.inPlace[i]}
	if n.op == opConv {
		left, _ := n.reach(n.x)
		o.x = x.windows(-left, n.rows(x.Rows), n.kernel, n.stride)
	}
	o.y, o.skip, o.add = s.view(n.y, batch), s.view(n.skip, batch), s.view(n.add, batch)
	n.run(d, s.view(made(i), batch), &o, s.scratch)
}

// view returns the value's first clips, or nothing where there is no such value.
func (s *Session) view(v value, batch int) device.View { return clips(s.values[v], batch).View }

// clips returns the first n clips of a.
func clips(a Activation, n int) Activation {
	a.Groups = n
	return a
}
