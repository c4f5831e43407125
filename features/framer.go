package features

import (
	"io"

	"github.com/polyphon/polyphon/audio"
)

// Framer makes rows of samples that arrive bit by bit: the same rows, to the bit, that Rows makes of the whole. It keeps one
// window of samples, and the rows that the kernels make at a time. It is used by one goroutine.
type Framer struct {
	e       *Extractor
	pending []float32 // samples; those of the next frame begin at next
	next    int
	rows    []float32 // room for a row a lane
	ready   []float32 // the rows of them that Next has not given out
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

// Push takes the recording's next samples. Memory grows until Next has used them. To push behind Flush is a bug and panics.
func (f *Framer) Push(samples []float32) {
	if f.ended {
		panic("features: Push behind Flush; Reset begins a new recording")
	}
	f.pending = f.pending[:copy(f.pending, f.pending[f.next:])]
	f.next = 0
	f.pending = append(f.pending, samples...)
}

// Flush says that the recording is over: zeros follow, as far as a frame on its last sample's end reaches, which makes
// 1 + samples/Hop rows in all. A second Flush does nothing.
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
	mels := f.e.config.Mels
	copy(row[:mels], f.ready)
	f.ready = f.ready[mels:]
	return true
}

// makeReady makes as many rows as there are samples for and the kernels make at a time.
func (f *Framer) makeReady() bool {
	c := f.e.config
	rest := len(f.pending) - f.next - c.Window
	if rest < 0 {
		return false
	}
	count := min(1+rest/c.Hop, f.e.kernels.Lanes)
	f.ready = f.rows[:count*c.Mels]
	scratch := f.e.framers.Get().(*Scratch)
	f.e.energies(f.ready, f.pending, f.next, scratch)
	f.e.framers.Put(scratch)
	f.e.Log(f.ready)
	f.next += count * c.Hop
	return true
}

// Stream makes the rows of a Source.
type Stream struct {
	source audio.Source
	framer *Framer
	buffer []float32
	err    error
}

// Stream returns the rows of s. Where s has another rate than the Config, Next says so.
func (e *Extractor) Stream(s audio.Source) *Stream {
	return &Stream{source: s, framer: e.Framer(), buffer: make([]float32, e.config.Hop), err: e.checkRate(s.Rate())}
}

// Next writes the next row, Mels values. Behind the last one it returns io.EOF; any other error is the Source's, and
// comes once the rows that its samples complete have been returned.
func (s *Stream) Next(row []float32) error {
	for !s.framer.Next(row) {
		if s.err != nil {
			return s.err
		}
		n, err := s.source.Read(s.buffer)
		s.framer.Push(s.buffer[:n])
		if s.err = err; err == io.EOF {
			s.framer.Flush()
		}
	}
	return nil
}
