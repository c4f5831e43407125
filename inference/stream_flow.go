package polynet

import (
	"math"

	"github.com/polyphon/polyphon/device"
)

// flow is the memory in which a network works on sounds that arrive bit by bit, several at once: from each it takes so many
// frames, and each step of the network computes the rows that those complete, of all sounds together. A step's rows lie
// behind its input by its lookahead, always as far, so that sounds at different places are computed alike; rows before a
// sound's beginning and behind its end, which count as zero, are cleared. What a flow gives is what one run over the
// whole recording gives, up to rounding.
//
// From one run to the next nothing stays in a flow: the rows that are read again lie in a tide.
type flow struct {
	config Config
	dev    device.Trainer
	memory device.Buffer
	ahead  int // the network's lookahead in frames

	lines    []line        // the values, by their numbers
	readings [][4]reading  // of each step, in the order of its operands
	logits   device.Buffer // (sounds, rows, Classes)
	out      []float32     // the same

	sounds, frames int        // of the run that is being prepared
	views          []operands // of each step in such a run
	results        []device.View
	places         []place // of the sounds
	edges          []int   // those of them of which some rows lie outside of the sound
}

// line is a value of a flow. Of each sound it has the rows that later runs read again, those of the last one in front, and
// behind them this run's.
type line struct {
	data   device.Buffer // lines that do not live at the same time share it
	cols   int
	stride int // frames a row
	lag    int // rows that are missing of those that the frames so far would make, because of the lookahead
	kept   int // rows that the next run reads again
	at     int // where they lie in a sound's part of a tide
}

// reading is how a step reads a value: for each of its rows the given number of rows, which lie stride further on from one to the
// next, the first ones begin behind in the line.
type reading struct {
	line                *line
	begin, taps, stride int
}

// tide is what flows keep of sounds between runs: for each the last rows of every line, and where it is.
type tide struct {
	dev    device.Trainer
	memory device.Buffer
	size   int // values of a sound
	places []place
}

// place is where a sound is, in frames.
type place struct {
	sound int // of the tide
	begin int // those before count as zero; a multiple of the last stage's stride
	next  int // the first one that the flow has not taken; the same
	end   int // the sound's length, or a very large number while it is not known
}

// endless stands for the length of a sound that goes on.
const endless = math.MaxInt / 2

// flowShape says how much a flow takes at once: a step's frames of all its sounds, or most frames of one.
type flowShape struct{ sounds, step, most int }

// newFlow returns a flow for p.
func newFlow(p *Plan, shape flowShape) *flow {
	_, ahead, _ := p.config.reach()
	f := &flow{config: p.config, dev: p.single, ahead: ahead}
	f.lines, f.readings = p.lines()
	f.views, f.results = make([]operands, len(p.steps)), make([]device.View, len(p.steps))
	f.memory = allocTogether(p.dev, func(alloc func(n int) device.Buffer) { f.layOut(p, shape, alloc) })
	f.out = make([]float32, f.logits.Len())
	return f
}

// lines returns the lines of p's values and how its steps read them.
func (p *Plan) lines() ([]line, [][4]reading) {
	g := p.program.geometries()
	lines, readings := make([]line, len(g)), make([][4]reading, len(p.steps))
	for v := input; int(v) < len(g); v++ {
		lines[v] = line{cols: p.config.Inputs, stride: g[v].stride, lag: g[v].ahead / g[v].stride}
	}
	for i := range p.steps {
		s, y := &p.program.steps[i], &lines[made(i)]
		y.cols = s.width
		for j, v := range s.operands() {
			if v == none {
				continue
			}
			left, ahead := s.reach(v)
			r := reading{line: &lines[v], taps: left + 1 + ahead, stride: s.strideOver(v)}
			r.begin = r.line.lag - y.lag*r.stride - left // of rows of this run
			r.line.kept = max(r.line.kept, -r.begin)
			readings[i][j] = r
		}
	}
	at := 0
	for v := range lines {
		lines[v].at = at
		at += alignUp(lines[v].kept * lines[v].cols)
	}
	for i := range readings {
		for j := range readings[i] {
			if r := &readings[i][j]; r.line != nil {
				r.begin += r.line.kept
			}
		}
	}
	return lines, readings
}

// layOut places the lines and the logits in what alloc returns.
func (f *flow) layOut(p *Plan, shape flowShape, alloc func(n int) device.Buffer) {
	lasts, free := p.program.lasts(), map[int][]device.Buffer{}
	take := func(v value) {
		l := &f.lines[v]
		n := l.cols * max(shape.sounds*(l.kept+shape.step/l.stride), l.kept+shape.most/l.stride)
		if list := free[n]; len(list) > 0 {
			l.data, free[n] = list[len(list)-1], list[:len(list)-1]
			return
		}
		l.data = alloc(n)
	}
	take(input)
	for i := range p.steps {
		take(made(i))
		for _, v := range p.program.steps[i].operands() {
			if v != none && lasts[v] == i {
				free[f.lines[v].data.Len()] = append(free[f.lines[v].data.Len()], f.lines[v].data)
				lasts[v] = -1 // once
			}
		}
	}
	last := f.last()
	f.logits = alloc(max(shape.sounds*shape.step, shape.most) / last.stride * p.config.Classes)
}

// newTide returns a tide for so many sounds, each at its beginning.
func (p *Plan) newTide(sounds int) *tide {
	lines, _ := p.lines()
	last := lines[len(lines)-1] // which keeps nothing
	t := &tide{dev: p.single, size: last.at, places: make([]place, sounds)}
	t.memory = p.dev.Alloc(sounds * t.size)
	for i := range t.places {
		t.places[i] = place{sound: i, end: endless}
	}
	return t
}

// restart forgets a sound. Its next frame is the given one, a multiple of the last stage's stride; those before it count as
// zero.
func (t *tide) restart(sound, frame int) {
	t.dev.Fill(device.Matrix(t.memory.Slice(sound*t.size, (sound+1)*t.size), 1, t.size), 0)
	t.places[sound] = place{sound: sound, begin: frame, next: frame, end: endless}
}

// end says that a sound has so many frames.
func (t *tide) end(sound, frames int) { t.places[sound].end = frames }

// close gives the memory back to the device.
func (t *tide) close() { t.dev.Free(t.memory) }

// begin prepares a run over so many frames, a multiple of the last stage's stride, of each of so many sounds.
func (f *flow) begin(sounds, frames int) {
	if sounds == f.sounds && frames == f.frames {
		return
	}
	f.sounds, f.frames = sounds, frames
	for i := range f.views {
		y, r := &f.lines[made(i)], &f.readings[i]
		n := frames / y.stride
		f.views[i] = operands{x: f.read(r[0], n), y: f.read(r[1], n), skip: f.read(r[2], n), add: f.read(r[3], n)}
		f.results[i] = f.read(reading{line: y, begin: y.kept, taps: 1, stride: 1}, n)
	}
}

// load adds rows of normalised features to the run's i-th sound, from the given frame of the run on.
func (f *flow) load(i, frame int, rows []float32) {
	l := &f.lines[input]
	at := i*f.size(l) + (l.kept+frame)*l.cols
	f.dev.Upload(l.data.Slice(at, at+len(rows)), rows)
}

// run computes what the frames that have been loaded complete: of sounds of t, in the order of their loading. p is the
// flow's network, compiled for whatever numbers. The result is valid until the next run.
func (f *flow) run(p *Plan, t *tide, sounds []int) {
	f.meet(t, sounds)
	for v := input; int(v) < len(f.lines); v++ {
		l := &f.lines[v]
		f.exchange(l, t, false)
		if i := int(v - made(0)); i >= 0 {
			p.steps[i].run(f.dev, f.results[i], &f.views[i], device.Buffer{})
		}
		for _, i := range f.edges {
			f.clear(l, i)
		}
		f.exchange(l, t, true)
	}
	rows := f.results[len(f.results)-1]
	out := device.View{
		Data: f.logits, Groups: f.sounds, Rows: rows.Rows, Cols: f.config.Classes,
		GroupStride: rows.Rows * f.config.Classes, RowStride: f.config.Classes,
	}
	f.dev.MatMul(out, rows, p.head.weight, device.Epilogue{Shift: p.head.shift})
	f.dev.Download(f.out[:out.Extent()], f.logits.Slice(0, out.Extent()))
}

// meet takes the sounds' places down and moves them on.
func (f *flow) meet(t *tide, sounds []int) {
	f.places, f.edges = f.places[:0], f.edges[:0]
	for i, sound := range sounds {
		p := &t.places[sound]
		if p.next < p.begin+f.ahead || p.next+f.frames > p.end {
			f.edges = append(f.edges, i)
		}
		f.places = append(f.places, *p)
		p.next += f.frames
	}
}

// answer returns the rows of logits that the run gave for its i-th sound, and the first one's index.
func (f *flow) answer(i int) (logits []float32, first int) {
	last := f.last()
	n := f.frames / last.stride * f.config.Classes
	return f.out[i*n : (i+1)*n], f.places[i].row(last)
}

// last returns the last stage's rows.
func (f *flow) last() *line { return &f.lines[len(f.lines)-1] }

// row returns the first row of a line that the next run gives.
func (p *place) row(l *line) int { return p.next/l.stride - l.lag }

// exchange copies the rows of a line that the last run has kept from the tide to where they are in front of this run's, or with
// keep set those that the next run reads to the tide.
func (f *flow) exchange(l *line, t *tide, keep bool) {
	if l.kept == 0 {
		return
	}
	at, size, n := 0, f.size(l), l.kept*l.cols
	if keep {
		at = size - n
	}
	for i, p := range f.places {
		line, tide := i*size+at, p.sound*t.size+l.at
		if lined, kept := l.data.Slice(line, line+n), t.memory.Slice(tide, tide+n); keep {
			copyValues(f.dev, kept, lined)
		} else {
			copyValues(f.dev, lined, kept)
		}
	}
}

// copyValues sets dst's values to src's.
func copyValues(d device.Trainer, dst, src device.Buffer) {
	if to := dst.Host(); to != nil {
		copy(to, src.Host())
		return
	}
	n := dst.Len()
	copyRows(d, device.Matrix(dst, 1, n), device.Matrix(src, 1, n))
}

// clear sets the rows of this run that lie outside of the i-th sound to zero.
func (f *flow) clear(l *line, i int) {
	p, n := &f.places[i], f.frames/l.stride
	first := p.row(l)
	begin, end := min(max(0, p.begin/l.stride-first), n), min(max(0, ceilDiv(p.end, l.stride)-first), n)
	for _, rows := range [...][2]int{{0, begin}, {end, n}} {
		if count := rows[1] - rows[0]; count > 0 {
			at := i*f.size(l) + (l.kept+rows[0])*l.cols
			f.dev.Fill(device.Matrix(l.data.Slice(at, at+count*l.cols), count, l.cols), 0)
		}
	}
}

// size returns how many values of a line a sound has in this run.
func (f *flow) size(l *line) int { return (l.kept + f.frames/l.stride) * l.cols }

// read returns what a step reads for n rows of each sound.
func (f *flow) read(r reading, n int) device.View {
	l := r.line
	if l == nil {
		return device.View{}
	}
	return device.View{
		Data: l.data.Slice(r.begin*l.cols, l.data.Len()), Groups: f.sounds, Rows: n, Cols: r.taps * l.cols,
		GroupStride: f.size(l), RowStride: r.stride * l.cols,
	}
}
