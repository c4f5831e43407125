// Package audio reads sound: WAV and FLAC files, raw PCM, any rate and channel count, as mono float32 samples.
package audio

import "time"

// Clip is a piece of mono sound. Samples are in [-1, 1] full scale; Rate is in hertz.
type Clip struct {
	Rate    int
	Samples []float32
}

// Duration returns the clip's length.
func (c Clip) Duration() time.Duration {
	return time.Duration(float64(len(c.Samples)) / float64(c.Rate) * float64(time.Second))
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
