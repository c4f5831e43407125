// Package audio reads sound: WAV and FLAC files, raw PCM, any rate and channel count, as mono float32 samples.
//
// Decode turns bytes into a Source, Resample turns a Source into one of another rate, ReadAll gathers a Source
// into a Clip. All three hold a bounded piece of the sound at a time, whatever a header claims.
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

// What can be wrong with a sound. Errors of this package wrap one of these with the fact, or pass on what the
// reader returned.
var (
	ErrFormat  = errors.New("sound format not supported") // not a sound file, or a dialect that is not read
	ErrCorrupt = errors.New("damaged sound file")         // a file of a known kind that contradicts itself
	ErrEmpty   = errors.New("no samples")
	ErrTooLong = errors.New("sound too long")
)

// Clip is a piece of mono sound. Samples are in [-1, 1] full scale; Rate is in hertz.
type Clip struct {
	Rate    int
	Samples []float32
}

// Duration returns the clip's length.
func (c Clip) Duration() time.Duration {
	return time.Duration(float64(len(c.Samples)) / float64(c.Rate) * float64(time.Second))
}

// Source returns a Source that delivers the clip once, from its beginning.
func (c Clip) Source() Source { return &clipSource{c} }

type clipSource struct{ rest Clip }

func (s *clipSource) Rate() int { return s.rest.Rate }

func (s *clipSource) Read(dst []float32) (int, error) {
	n := copy(dst, s.rest.Samples)
	s.rest.Samples = s.rest.Samples[n:]
	if len(s.rest.Samples) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Source delivers mono samples in [-1, 1]. It is an io.Reader that counts samples:
//
//   - n > 0, err == nil: n samples; fewer than len(dst) says nothing about the end;
//   - n ≥ 0, err == io.EOF: the n samples are the last ones;
//   - n ≥ 0, any other err: the n samples are good and nothing follows.
//
// Read never returns 0, nil for a non-empty dst.
type Source interface {
	Rate() int
	Read(dst []float32) (n int, err error)
}

// ReadAll reads s to its end. With max > 0 it reads at most max samples, and where s holds more it returns the
// first max together with ErrTooLong. Memory grows with the samples that arrive. On an error from s, the clip holds
// what came before it.
func ReadAll(s Source, max int) (Clip, error) {
	const least = 1 << 14
	c := Clip{Rate: s.Rate()}
	for {
		if len(c.Samples) == cap(c.Samples) {
			c.Samples = slices.Grow(c.Samples, least)
		}
		n, err := s.Read(c.Samples[len(c.Samples):cap(c.Samples)])
		c.Samples = c.Samples[:len(c.Samples)+n]
		switch {
		case max > 0 && len(c.Samples) > max:
			c.Samples = c.Samples[:max]
			return c, fmt.Errorf("%w: more than %d samples", ErrTooLong, max)
		case err == io.EOF:
			return c, nil
		case err != nil:
			return c, err
		}
	}
}

// ReadFile reads the whole WAV or FLAC file at path, mixed down to mono and resampled to rate hertz; rate 0 keeps
// the file's own. Errors name the path. A truncated file gives what is there; Decode tells of that, in Warning.
func ReadFile(path string, rate int) (Clip, error) {
	f, err := os.Open(path)
	if err != nil {
		return Clip{}, err
	}
	defer f.Close()
	c, err := readFrom(f, rate)
	if pathError := (*fs.PathError)(nil); err != nil && !errors.As(err, &pathError) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	if err != nil {
		return Clip{}, err
	}
	return c, nil
}

func readFrom(r io.Reader, rate int) (Clip, error) {
	d, err := Decode(r)
	if err != nil {
		return Clip{}, err
	}
	s := Source(d)
	if rate != 0 {
		if s, err = Resample(d, rate); err != nil {
			return Clip{}, err
		}
	}
	return ReadAll(s, 0)
}

// IsAudio tells by its extension (.wav, .wave, .flac, in any case) whether name is a file that Decode reads.
func IsAudio(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".wav", ".wave", ".flac":
		return true
	}
	return false
}

// ReadFull reads until dst is full or s ends: n < len(dst) comes with the error that ended s, and n == len(dst) with the
// error of the last samples, or nil.
func ReadFull(s Source, dst []float32) (n int, err error) {
	for n < len(dst) && err == nil {
		var got int
		got, err = s.Read(dst[n:])
		n += got
	}
	return n, err
}
