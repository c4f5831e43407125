package live

import (
	"fmt"

	"github.com/polyphon/polyphon/audio"
)

// Checks look for signs that live sound is not what was declared, or not usable: other encodings, channels and rates in
// raw sound, silence and clipping in any. Each kind of problem is reported once, with what to do about it.
type Checks struct {
	report func(problem string)
	format audio.Format
	rate   rateMeter

	piece  []byte // of raw sound, up to its capacity; nil where bytes are not checked
	judged int    // pieces
	counts map[audio.Plausibility]int

	garbled     bool    // the samples are not what was meant, so they have no levels
	equal       int     // samples in a row
	value       float32 // of these
	muted       bool    // and reported
	count, full int     // samples of the current second, and those at full scale
	clipped     int     // seconds
}

const (
	pieceFrames = 4096
	minPieces   = 3    // have to look alike before a problem is reported,
	minShare    = 0.25 // and have to be this part of all
	maxPieces   = 200  // are judged

	mutedSeconds   = 10
	fullScale      = 0.999
	clippedShare   = 0.02 // of a second's samples
	clippedSeconds = 3
)

// NewChecks returns the Checks of sound that is read as f says. They call report with each problem.
func NewChecks(f audio.Format, report func(problem string)) *Checks {
	c := &Checks{report: report, format: f, counts: map[audio.Plausibility]int{}}
	if c.rate.done = f.Container != "raw"; !c.rate.done { // else a header states the encoding and the rate
		c.piece = make([]byte, 0, pieceFrames*f.Channels*f.Encoding.Bytes())
	}
	return c
}

// Write checks the next bytes of raw sound, as an io.Writer.
func (c *Checks) Write(data []byte) (int, error) {
	for rest := data; len(rest) > 0 && c.piece != nil; {
		n := min(len(rest), cap(c.piece)-len(c.piece))
		c.piece, rest = append(c.piece, rest[:n]...), rest[n:]
		if len(c.piece) == cap(c.piece) {
			c.judge()
		}
	}
	return len(data), nil
}

// judge checks a piece, and reports what the sound looks like once that is certain.
func (c *Checks) judge() {
	p := audio.CheckPlausibility(c.piece, c.format.Encoding, c.format.Channels)
	c.piece = c.piece[:0]
	if p == audio.TooQuiet {
		return
	}
	c.judged++
	c.counts[p]++
	n := c.counts[p]
	if p != audio.Plausible && n >= minPieces && float64(n) >= minShare*float64(c.judged) {
		c.garbled = true
		c.report(c.explain(p))
	}
	if c.garbled || c.judged == maxPieces {
		c.piece = nil
	}
}

// explain says what raw sound looks like and what to do about it.
func (c *Checks) explain(p audio.Plausibility) string {
	const record = "arecord -t raw -f S16_LE -r 16000 -c 1"
	switch p {
	case audio.Unsigned8:
		return "this looks like unsigned 8-bit sound, which arecord records by default (at 8000 Hz): " +
			"use --encoding u8 --rate 8000, or better record with " + record
	case audio.Floats:
		return "this looks like 32-bit float samples: use --encoding f32le"
	case audio.BigEndian:
		return "this looks like big-endian samples, or a byte is missing: convert them to little-endian " +
			"(arecord -f S16_LE, sox -L, ffmpeg -f s16le)"
	case audio.Interleaved:
		return "this looks like two channels read as one: use --channels 2, or record one (" + record + ")"
	}
	return fmt.Sprintf("this looks like noise at full scale: it may not be %v, but another encoding "+
		"(s24le, s32le, f32le) or compressed, such as MP3", c.format.Encoding)
}

// Levels checks the levels of the next samples.
func (c *Checks) Levels(samples []float32) {
	if c.garbled {
		return
	}
	for _, v := range samples {
		if c.equal++; v != c.value {
			c.equal, c.value = 1, v
		}
		if c.equal == mutedSeconds*c.format.Rate && !c.muted {
			c.muted = true
			c.report(fmt.Sprintf("only digital silence for %d s: the microphone may be muted, or another one may be the "+
				"right one to record (arecord -l and classify listen --list-devices list them)", mutedSeconds))
		}
		if v >= fullScale || v <= -fullScale {
			c.full++
		}
		if c.count++; c.count < c.format.Rate {
			continue
		}
		if float64(c.full) > clippedShare*float64(c.count) {
			if c.clipped++; c.clipped == clippedSeconds {
				c.report("the sound is clipped: turn the recording level down (alsamixer)")
			}
		}
		c.count, c.full = 0, 0
	}
}

// CaughtUp notes that all that had arrived at m.At has been processed, and checks the rate of raw sound.
func (c *Checks) CaughtUp(m Mark) {
	ratio, ok := c.rate.caughtUp(m)
	if hertz := otherRate(float64(c.format.Rate), ratio); ok && hertz != 0 {
		c.report(fmt.Sprintf("sound arrives as fast as at %.0f Hz, but --rate %d, --channels %d and --encoding %v were "+
			"declared: one of them is wrong", hertz, c.format.Rate, c.format.Channels, c.format.Encoding))
	}
}

// Flooded notes that the sound comes faster than it is read, so that its rate cannot be checked.
func (c *Checks) Flooded() { c.rate.done = true }
