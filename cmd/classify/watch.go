package main

import (
	"fmt"
	"math"

	"github.com/polyphon/polyphon/audio"
)

// watch looks for signs that what arrives is not what was declared, or no good sound. Each kind of problem is told once, with what
// to do about it.
type watch struct {
	tell func(problem string)

	format audio.Format // as declared
	bytes  byteWatch
	levels levelWatch
	speed  speedometer
}

func newWatch(tell func(string)) *watch { return &watch{tell: tell} }

// begin says how the sound is read.
func (w *watch) begin(f audio.Format) {
	w.format = f
	if f.Container == "raw" {
		w.bytes = newByteWatch(f.Encoding, f.Channels)
	} else {
		w.speed.done, w.bytes.done = true, true // a header knows
	}
	w.levels = levelWatch{rate: f.Rate}
}

// Write implements io.Writer: it looks at raw bytes, in order.
func (w *watch) Write(data []byte) (int, error) {
	if problem := w.bytes.push(data); problem != audio.Plausible {
		w.tell(w.explain(problem))
		w.levels.rate = 0 // what is read wrongly has no levels
	}
	return len(data), nil
}

// heard looks at samples, in order, as they come.
func (w *watch) heard(samples []float32) {
	for _, problem := range w.levels.push(samples) {
		w.tell(problem)
	}
}

// caughtUp takes the sound's speed.
func (w *watch) caughtUp(m mark) {
	speed, ok := w.speed.caughtUp(m)
	if !ok {
		return
	}
	if hertz, other := actualRate(float64(w.format.Rate), speed); other {
		w.tell(fmt.Sprintf("sound for %.0f Hz arrives where --rate %d, --channels %d and --encoding %v were declared: one of them is wrong",
			math.Round(hertz), w.format.Rate, w.format.Channels, w.format.Encoding))
	}
}

// explain says what to do about a suspicion.
func (w *watch) explain(s audio.Suspicion) string {
	const record = "arecord -t raw -f S16_LE -r 16000 -c 1"
	switch s {
	case audio.Unsigned8:
		return "this looks like unsigned 8-bit sound, which arecord records (at 8000 Hz) unless it is told otherwise: " +
			"use --encoding u8 --rate 8000, or better record with " + record
	case audio.Floats:
		return "this looks like 32-bit float samples: use --encoding f32le"
	case audio.BigEndian:
		return "this looks like big-endian samples, or a byte is missing: convert them to little-endian (arecord -f S16_LE, sox -L, ffmpeg -f s16le)"
	case audio.Interleaved:
		return "this looks like two channels read as one: use --channels 2, or record one (" + record + ")"
	}
	return fmt.Sprintf("this sounds like noise at full scale: is it %v, and not another encoding (s24le, s32le, f32le) or compressed, such as MP3?", w.format.Encoding)
}

// byteWatch gathers raw bytes to pieces that can be judged.
type byteWatch struct {
	encoding audio.Encoding
	channels int
	piece    []byte
	judged   int                     // pieces
	suspects map[audio.Suspicion]int // how many of these gave rise to each suspicion
	done     bool
}

const (
	pieceFrames   = 4096
	piecesSuspect = 3    // make a suspicion certain,
	shareSuspect  = 0.25 // if they are such a part of all
	piecesMost    = 200  // after which nothing is suspected any more
)

func newByteWatch(e audio.Encoding, channels int) byteWatch {
	return byteWatch{
		encoding: e, channels: channels, piece: make([]byte, 0, pieceFrames*channels*e.Bytes()), suspects: map[audio.Suspicion]int{},
	}
}

// push returns a suspicion when it has become certain, once.
func (b *byteWatch) push(data []byte) audio.Suspicion {
	for len(data) > 0 && !b.done {
		n := copy(b.piece[len(b.piece):cap(b.piece)], data)
		b.piece, data = b.piece[:len(b.piece)+n], data[n:]
		if len(b.piece) < cap(b.piece) {
			break
		}
		s := audio.Suspect(b.piece, b.encoding, b.channels)
		b.piece = b.piece[:0]
		if s == audio.TooQuiet {
			continue
		}
		b.judged++
		b.suspects[s]++
		b.done = b.judged == piecesMost
		if n := b.suspects[s]; s != audio.Plausible && n >= piecesSuspect && float64(n) >= shareSuspect*float64(b.judged) {
			b.done = true
			return s
		}
	}
	return audio.Plausible
}

// levelWatch finds sound that is constant, and sound that is clipped.
type levelWatch struct {
	rate int // hertz; 0: there is nothing to look for

	constant int     // samples in a row
	value    float32 // of these
	muted    bool    // told

	count, full int // samples of the present second, and those at full scale
	clipped     int // seconds
}

const (
	mutedSeconds   = 10
	fullScale      = 0.999
	clippedShare   = 0.02 // of a second's samples
	clippedSeconds = 3
)

// push returns the problems that have become certain, each once.
func (l *levelWatch) push(samples []float32) (problems []string) {
	if l.rate == 0 {
		return nil
	}
	for _, v := range samples {
		if l.constant++; v != l.value {
			l.constant, l.value = 1, v
		}
		if l.constant == mutedSeconds*l.rate && !l.muted {
			l.muted = true
			problems = append(problems, fmt.Sprintf("nothing but digital silence for %d s: is the microphone muted, or another one to be recorded? (arecord -l lists them)", mutedSeconds))
		}
		if v >= fullScale || v <= -fullScale {
			l.full++
		}
		if l.count++; l.count < l.rate {
			continue
		}
		if float64(l.full) > clippedShare*float64(l.count) {
			if l.clipped++; l.clipped == clippedSeconds {
				problems = append(problems, "the sound is clipped: turn the recording level down (alsamixer)")
			}
		}
		l.count, l.full = 0, 0
	}
	return problems
}

// watched is a source whose samples are looked at on their way.
type watched struct {
	audio.Source
	watch *watch
}

func (s watched) Read(dst []float32) (int, error) {
	n, err := s.Source.Read(dst)
	s.watch.heard(dst[:n])
	return n, err
}
