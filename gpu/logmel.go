//go:build cuda || hostcuda

package gpu

import (
	"fmt"
	"math"

	"github.com/polyphon/polyphon/device"
)

type logMelArgs struct {
	dst, sound                  view
	shape                       shape
	samples                     int64
	fft, hop, before, window    int64
	weights, roots, spans, bank uint64
	mean, std                   uint64
	floor, limit                float64
}

// mostPoints is the largest FFT that a block has the shared memory for.
const mostPoints = 4096

// SupportsLogMel implements device.LogMeler: FFTs of up to 4096 points.
func (d *Device) SupportsLogMel(s device.LogMelSpec) bool { return s.FFT <= mostPoints }

// LogMel implements device.LogMeler.
func (d *Device) LogMel(dst, sound device.View, s device.LogMelSpec) {
	if dst.Groups != sound.Groups || sound.Rows != 1 || dst.Cols != s.Mean.Len() || !d.SupportsLogMel(s) {
		panic(fmt.Sprintf("gpu: LogMel: sound %v does not give %v with an FFT of %d points and %d mels", sound, dst, s.FFT, s.Mean.Len()))
	}
	kernel := "logmel_4096"
	if s.FFT <= 512 {
		kernel = "logmel_512"
	}
	limit := float64(s.Limit)
	if limit == 0 {
		limit = math.MaxFloat32
	}
	launch(d.g, kernel, size{dst.Groups * dst.Rows, 1, 1}, size{min(threads, max(32, s.FFT/4)), 1, 1}, &logMelArgs{
		dst: viewOf(dst), sound: viewOf(sound), shape: shapeOf(dst), samples: int64(sound.Cols),
		fft: int64(s.FFT), hop: int64(s.Hop), before: int64(s.Before), window: int64(s.Window.Len()),
		weights: s.Window.Addr(), roots: s.Roots.Addr(), spans: s.Spans.Addr(), bank: s.Bank.Addr(),
		mean: s.Mean.Addr(), std: s.Std.Addr(), floor: float64(s.Floor), limit: limit,
	})
}
