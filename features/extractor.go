package features

import (
	"fmt"
	"slices"
	"sync"

	"github.com/mjibson/go-dsp/window"
	"github.com/polyphon/polyphon/features/internal/simd"
	"github.com/polyphon/polyphon/internal/isa"
)

// Extractor computes log-mel rows. It holds tables only and may be shared by goroutines.
type Extractor struct {
	config  Config
	kernels *simd.Kernels
	window  []float32
	fft     *powerFFT
	bank    *melBank
	few     *Extractor // with fewer lanes, for the same rows; nil where there is none
	scratch *sync.Pool // of *Scratch: many Framers that take turns share one, which stays in the cache
}

// Scratch is the work memory of one goroutine. All but padded and rows are as many lanes wide as the kernels.
type Scratch struct {
	padded  []float32 // the samples of the frames at hand, where some are outside the recording
	samples []float32 // FFT weighted samples per frame, zero after the window
	points  []float32
	power   []float32
	rows    []float32 // a row per lane, each stride values
	stride  int
	few     *Scratch // of the Extractor with fewer lanes
}

// New returns an Extractor for c, or an error that wraps ErrConfig. It uses the fastest kernels that the machine can
// run, or those that the environment variable POLYPHON_CPU names: generic, avx2, avx512 or neon.
func New(c Config) (*Extractor, error) {
	set, err := isa.Chosen()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return newExtractor(c, simd.Of(set))
}

// NewReference returns an Extractor with the kernels in plain Go, whatever the environment says, as a reference.
func NewReference(c Config) (*Extractor, error) { return newExtractor(c, simd.Of(isa.Generic)) }

func newExtractor(c Config, kernels *simd.Kernels) (*Extractor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &Extractor{
		config: c, kernels: kernels, window: make([]float32, c.Window), fft: newPowerFFT(c.FFT, kernels), bank: newMelBank(c),
	}
	for i, w := range window.Hann(c.Window + 1)[:c.Window] { // go-dsp's window is symmetric, the field's is periodic
		e.window[i] = float32(w)
	}
	if kernels.Narrow != nil {
		few := *e
		few.kernels, few.fft = kernels.Narrow, newPowerFFT(c.FFT, kernels.Narrow)
		e.few = &few
	}
	e.scratch = &sync.Pool{New: func() any { return e.Scratch() }}
	return e, nil
}

// Config returns the configuration of the rows.
func (e *Extractor) Config() Config { return e.config }

// Scratch returns work memory for Rows.
func (e *Extractor) Scratch() *Scratch {
	c, lanes := e.config, e.kernels.Lanes
	stride := (c.Mels + lanes - 1) / lanes * lanes
	s := &Scratch{
		padded:  make([]float32, (lanes-1)*c.Hop+c.Window),
		samples: make([]float32, c.FFT*lanes),
		points:  make([]float32, c.FFT*lanes),
		power:   make([]float32, (c.FFT/2+1)*lanes),
		rows:    make([]float32, stride*lanes),
		stride:  stride,
	}
	if e.few != nil {
		s.few = e.few.Scratch()
	}
	return s
}

// Rows appends the samples' log-mel rows to dst, frames·Mels values. It allocates only where dst is too short.
func (e *Extractor) Rows(dst, samples []float32, s *Scratch) []float32 {
	begin := len(dst)
	dst = e.Energies(dst, samples, s)
	e.Log(dst[begin:])
	return dst
}

// Energies appends the mel energies of the samples to dst, frames·Mels values: Rows before the logarithm.
func (e *Extractor) Energies(dst, samples []float32, s *Scratch) []float32 {
	c := e.config
	frames := c.Frames(len(samples))
	begin := len(dst)
	dst = slices.Grow(dst, frames*c.Mels)[:begin+frames*c.Mels]
	for t := 0; t < frames; t += e.kernels.Lanes {
		count := min(frames-t, e.kernels.Lanes)
		e.energies(dst[begin+t*c.Mels:][:count*c.Mels], samples, t*c.Hop-c.before(), s)
	}
	return dst
}

// Log replaces mel energies by log-mel values, which are finite: what overflowed counts as the largest float32.
func (e *Extractor) Log(energies []float32) { e.kernels.Log(energies, e.config.Floor) }

// energies computes rows, at most one per lane, of the frames from sample at on, which may lie partly outside samples.
func (e *Extractor) energies(rows, samples []float32, at int, s *Scratch) {
	if e.few != nil && len(rows) <= e.few.kernels.Lanes*e.config.Mels {
		e.few.energies(rows, samples, at, s.few)
		return
	}
	if at >= 0 && at+len(s.padded) <= len(samples) {
		samples = samples[at:]
	} else {
		samples = s.pad(samples, at)
	}
	e.kernels.Window(s.samples, samples, e.window, e.config.Hop)
	e.fft.run(s.power, s.samples, s.points)
	e.kernels.Mels(s.rows, s.power, e.bank.weights, e.bank.spans, s.stride)
	mels := e.config.Mels
	for from := s.rows; len(rows) > 0; rows = rows[mels:] {
		copy(rows[:mels], from)
		from = from[s.stride:]
	}
}

// pad returns as many samples from at on as the kernels' frames reach, with zeros around those that there are.
func (s *Scratch) pad(samples []float32, at int) []float32 {
	clear(s.padded)
	begin := max(at, 0)
	copy(s.padded[begin-at:], samples[begin:])
	return s.padded
}
