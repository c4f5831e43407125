package features

// Framer computes rows of samples that arrive in pieces: the same, to the bit, as Rows of all of them. It keeps one
// window of samples and the rows that the kernels compute at a time. It is used by one goroutine.
type Framer struct {
	e       *Extractor
	pending []float32 // samples; those of the next frame begin at next
	next    int
	rows    []float32 // room for a row per lane
	ready   []float32 // the part of rows that Next has not returned
	ended   bool
}

// Framer returns a Framer at the beginning of a recording.
func (e *Extractor) Framer() *Framer {
	f := &Framer{e: e, rows: make([]float32, e.kernels.Lanes*e.config.Mels)}
	f.Reset()
	return f
}

// Reset begins a new recording.
func (f *Framer) Reset() {
	f.pending = append(f.pending[:0], make([]float32, f.e.config.before())...)
	f.ready, f.next, f.ended = nil, 0, false
}

// Push adds the recording's next samples. Memory grows until Next has used them. Push after Flush panics.
func (f *Framer) Push(samples []float32) {
	if f.ended {
		panic("features: Push after Flush; Reset begins a new recording")
	}
	f.pending = append(f.pending[:copy(f.pending, f.pending[f.next:])], samples...)
	f.next = 0
}

// Flush ends the recording: zeros follow, as far as the last of 1 + samples/Hop rows reaches. Again, it does nothing.
func (f *Framer) Flush() {
	if !f.ended {
		f.pending = append(f.pending, make([]float32, f.e.config.Window/2)...)
		f.ended = true
	}
}

// Next writes the next row, Mels values, and reports whether there was one.
func (f *Framer) Next(row []float32) bool {
	if len(f.ready) == 0 && !f.makeReady() {
		return false
	}
	f.ready = f.ready[copy(row[:f.e.config.Mels], f.ready):]
	return true
}

// makeReady computes as many rows as there are samples for and the kernels compute at a time.
func (f *Framer) makeReady() bool {
	c := f.e.config
	rest := len(f.pending) - f.next - c.Window
	if rest < 0 {
		return false
	}
	count := min(1+rest/c.Hop, f.e.kernels.Lanes)
	f.ready = f.rows[:count*c.Mels]
	scratch := f.e.scratch.Get().(*Scratch)
	f.e.energies(f.ready, f.pending, f.next, scratch)
	f.e.scratch.Put(scratch)
	f.e.Log(f.ready)
	f.next += count * c.Hop
	return true
}
