// Package audio reads sound: WAV, AIFF, FLAC, MP3, Ogg Vorbis and Opus, and raw PCM, of any rate and number of
// channels, as mono float32 samples. It writes WAV.
//
// Decode makes a Source of bytes, Resample converts a Source to another rate, and ReadAll collects a Source in a Clip.
// Each holds a bounded piece of the sound at a time, whatever a header claims.
package audio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Errors of this package wrap one of these, or are those of the reader or writer.
var (
	ErrFormat  = errors.New("sound format not supported") // not a sound file, or a dialect that is not read
	ErrCorrupt = errors.New("damaged sound file")         // a file of a known kind that contradicts itself
	ErrEmpty   = errors.New("no samples")
	ErrTooLong = errors.New("sound too long")
)

// Clip is a piece of mono sound. Samples are in [-1, 1], full scale; Rate is in hertz. Warning is what was wrong with a
// sound that could be read all the same: Decoder.Warning, "" where nothing was.
type Clip struct {
	Rate    int
	Samples []float32
	Warning string
}

// Duration returns the clip's length.
func (c Clip) Duration() time.Duration {
	return time.Duration(float64(len(c.Samples)) / float64(c.Rate) * float64(time.Second))
}

// Source returns a Source that delivers the clip once, from its beginning.
func (c Clip) Source() Source { return &clipSource{c} }

type clipSource struct{ rest Clip }

func (s *clipSource) Rate() int { return s.rest.Rate }

// Warning returns the clip's.
func (s *clipSource) Warning() string { return s.rest.Warning }

func (s *clipSource) Read(dst []float32) (int, error) {
	n := copy(dst, s.rest.Samples)
	s.rest.Samples = s.rest.Samples[n:]
	if len(s.rest.Samples) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Source delivers mono samples in [-1, 1]. Samples that are NaN, infinite or beyond ±2³² count as 0 everywhere
// (ReplaceOdd); a Decoder delivers none. It is an io.Reader that counts samples:
//
//   - n > 0, err == nil: n samples; fewer than len(dst) do not mean that the end is near;
//   - n ≥ 0, err == io.EOF: the n samples are the last ones;
//   - n ≥ 0, any other err: the n samples are good and nothing follows.
//
// Read never returns 0, nil for a non-empty dst.
type Source interface {
	Rate() int // hertz
	Read(dst []float32) (n int, err error)
}

// maxFloat is the largest magnitude of a sample: beyond any integer scale that a writer may have forgotten to divide
// by, and its square is an ordinary float32.
const maxFloat = 1 << 32

// ReplaceOdd replaces by 0 the samples that no sound has, those that are NaN, infinite or beyond ±2³², and returns
// their number. One of them would spoil every sum that it is part of.
func ReplaceOdd(samples []float32) (n int) {
	for i, v := range samples {
		if !(v >= -maxFloat && v <= maxFloat) {
			samples[i] = 0
			n++
		}
	}
	return n
}

// ReadFull reads until dst is full or s ends:
//
//   - n == len(dst), err == nil: dst is full;
//   - n ≤ len(dst), err == io.EOF: s has ended, the n samples are the last ones;
//   - n ≤ len(dst), any other err: that of s, after n good samples.
func ReadFull(s Source, dst []float32) (n int, err error) {
	for n < len(dst) && err == nil {
		var got int
		got, err = s.Read(dst[n:])
		n += got
	}
	return n, err
}

// ReadAll reads s to its end. With limit > 0 it reads at most limit samples, and returns ErrTooLong together with them
// where s holds more. Memory grows with the samples that arrive. On an error of s, the clip holds what came before it.
// The clip's warning is that of s where s is a Decoder or what Resample makes of one.
func ReadAll(s Source, limit int) (c Clip, err error) {
	c.Rate = s.Rate()
	defer func() { c.Warning = warning(s) }()
	for {
		if len(c.Samples) == cap(c.Samples) {
			c.Samples = slices.Grow(c.Samples, 1<<14)
		}
		n, err := s.Read(c.Samples[len(c.Samples):cap(c.Samples)])
		c.Samples = c.Samples[:len(c.Samples)+n]
		switch {
		case limit > 0 && len(c.Samples) > limit:
			c.Samples = c.Samples[:limit]
			return c, fmt.Errorf("%w: more than %d samples", ErrTooLong, limit)
		case err == io.EOF:
			return c, nil
		case err != nil:
			return c, err
		}
	}
}

// ReadFile reads the whole sound file at path, mixed down to mono and resampled to rate hertz; rate 0 keeps the
// file's own. Errors name the path. A truncated or damaged file gives what is there, and Clip.Warning says so.
func ReadFile(path string, rate int) (Clip, error) {
	f, err := os.Open(path)
	if err != nil {
		return Clip{}, err
	}
	defer f.Close()
	c, err := readFrom(f, rate)
	if err == nil {
		return c, nil
	}
	if _, named := errors.AsType[*fs.PathError](err); !named {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return Clip{}, err
}

// warning returns what was wrong with the sound of s, "" where s gives none.
func warning(s Source) string {
	if w, ok := s.(interface{ Warning() string }); ok {
		return w.Warning()
	}
	return ""
}

func readFrom(r io.Reader, rate int) (Clip, error) {
	d, err := Decode(r)
	if err != nil {
		return Clip{}, err
	}
	if rate == 0 {
		rate = d.Rate()
	}
	defer d.Close()
	s, err := Resample(d, rate)
	if err != nil {
		return Clip{}, err
	}
	return ReadAll(s, 0)
}

// IsAudio reports whether name has one of the Extensions, in any case.
func IsAudio(name string) bool {
	return slices.Contains(Extensions(), strings.ToLower(filepath.Ext(name)))
}
