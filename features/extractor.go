package features

import (
	"fmt"
	"math"
	"slices"

	"github.com/mjibson/go-dsp/window"
	"github.com/polyphon/polyphon/audio"
	"gorgonia.org/tensor"
)

// Extractor makes log-mel rows. It holds tables only and may be shared by goroutines.
type Extractor struct {
	config Config
	window []float32
	fft    *powerFFT
	bank   *melBank
}

// Scratch is the work memory of one goroutine.
type Scratch struct {
	frame []float32 // FFT samples, zero behind the window
	work  []point
	power []float32
}

// New returns an Extractor for c, or an error wrapping ErrConfig.
func New(c Config) (*Extractor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &Extractor{config: c, window: make([]float32, c.Window), fft: newPowerFFT(c.FFT), bank: newMelBank(c)}
	for i, w := range window.Hann(c.Window + 1)[:c.Window] { // go-dsp's window is symmetric, the field's is periodic
		e.window[i] = float32(w)
	}
	return e, nil
}

// Config returns what the rows are.
func (e *Extractor) Config() Config { return e.config }

// Scratch returns work memory for Rows.
func (e *Extractor) Scratch() *Scratch {
	n := e.config.FFT
	return &Scratch{frame: make([]float32, n), work: make([]point, n/2), power: make([]float32, n/2+1)}
}

// Extract returns the clip's log-mel rows, (frames, Mels) float32. A clip of another rate than the Config's gives an
// error wrapping ErrRate.
func (e *Extractor) Extract(c audio.Clip) (*tensor.Dense, error) {
	if err := e.checkRate(c.Rate); err != nil {
		return nil, err
	}
	rows := e.Rows(nil, c.Samples, e.Scratch())
	return tensor.New(tensor.WithShape(e.config.Frames(len(c.Samples)), e.config.Mels), tensor.WithBacking(rows)), nil
}

func (e *Extractor) checkRate(rate int) error {
	if rate != e.config.Rate {
		return fmt.Errorf("%w: sound of %d Hz, features of %d Hz", ErrRate, rate, e.config.Rate)
	}
	return nil
}

// Rows appends the clip's log-mel rows to dst, frames·Mels values, and returns the result. It allocates only where dst
// is too short.
func (e *Extractor) Rows(dst, samples []float32, s *Scratch) []float32 {
	begin := len(dst)
	dst = e.Energies(dst, samples, s)
	e.Log(dst[begin:])
	return dst
}

// Energies appends the clip's mel energies to dst, frames·Mels values: rows before the logarithm.
func (e *Extractor) Energies(dst, samples []float32, s *Scratch) []float32 {
	c := e.config
	frames := c.Frames(len(samples))
	begin := len(dst)
	dst = slices.Grow(dst, frames*c.Mels)[:begin+frames*c.Mels]
	for t := range frames {
		at := t*c.Hop - c.before()
		e.energies(dst[begin+t*c.Mels:begin+(t+1)*c.Mels], samples, at, s)
	}
	return dst
}

// Log turns mel energies into log-mel values, in place. The results are finite whatever the samples were: what overflowed
// counts as the largest float32.
func (e *Extractor) Log(energies []float32) {
	floor := e.config.Floor
	for i, v := range energies {
		if !(v <= math.MaxFloat32) { // NaN too: infinite terms of the FFT cancel
			v = math.MaxFloat32
		}
		energies[i] = float32(ln(float64(v) + floor))
	}
}

// energies computes the row of the frame that begins at sample at, which may lie partly outside samples.
func (e *Extractor) energies(row, samples []float32, at int, s *Scratch) {
	frame := s.frame[:len(e.window)]
	if at >= 0 && at+len(frame) <= len(samples) {
		inside := samples[at:][:len(frame)]
		for i, w := range e.window {
			frame[i] = inside[i] * w
		}
	} else {
		for i, w := range e.window {
			frame[i] = 0
			if j := at + i; j >= 0 && j < len(samples) {
				frame[i] = samples[j] * w
			}
		}
	}
	e.fft.run(s.power, s.frame, s.work)
	e.bank.gather(row, s.power)
}
