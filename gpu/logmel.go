//go:build cuda || hostcuda

package gpu

import (
	"fmt"
	"math"

	"github.com/polyphon/polyphon/device"
)

// maxPoints is the largest FFT for which a block has enough shared memory.
const maxPoints = 4096

// SupportsLogMel implements device.LogMeler: FFTs of up to 4096 points.
func (d *Device) SupportsLogMel(s device.LogMelSpec) bool { return s.FFT <= maxPoints }

// LogMel implements device.LogMeler.
func (d *Device) LogMel(dst, samples device.View, s device.LogMelSpec) {
	if dst.Groups != samples.Groups || samples.Rows != 1 || dst.Cols != s.Mean.Len() || !d.SupportsLogMel(s) {
		panic(fmt.Sprintf("gpu: LogMel: samples %v do not give %v with an FFT of %d points and %d mels",
			samples, dst, s.FFT, s.Mean.Len()))
	}
	kernel := "logmel_4096"
	if s.FFT <= 512 {
		kernel = "logmel_512"
	}
	limit := float64(s.Limit)
	if limit == 0 {
		limit = math.MaxFloat32
	}
	a := newArgs().views(dst, samples).shape(dst).ints(samples.Cols, s.FFT, s.Hop, s.Before, s.Window.Len()).
		buffers(s.Window, s.Roots, s.Spans, s.Bank, s.Mean, s.Std).floats(float64(s.Floor), limit)
	d.g.launch(kernel, size{dst.Groups * dst.Rows, 1, 1}, size{min(256, max(32, s.FFT/4)), 1, 1}, a)
}
