// Package features computes frames of samples: rows of log-mel energies, one per hop.
package features

import (
	"errors"
	"fmt"
)

// ErrConfig marks a Config or Norm that cannot be used. Errors wrap it with the reason.
var ErrConfig = errors.New("invalid feature configuration")

// Scale is a mel scale.
type Scale string

// The mel scales.
const (
	HTK    Scale = "htk"    // 2595·log10(1 + f/700), triangles of height 1
	Slaney Scale = "slaney" // linear below 1 kHz, logarithmic above (Auditory Toolbox), triangles of equal area
)

// Config describes log-mel frames. Frame t is centred on sample t·Hop, where samples outside the recording are zero; n
// samples give 1 + n/Hop frames (torch.stft's center=True with pad_mode="constant"). Each frame is weighted with a
// periodic Hann window of Window samples and transformed with an FFT of FFT points. Mels triangles between MinHz and
// MaxHz sum up its power spectrum; a value is ln(energy + Floor).
type Config struct {
	Rate   int     `json:"rate"`   // hertz
	FFT    int     `json:"fft"`    // points, a power of two, at least Window
	Window int     `json:"window"` // samples
	Hop    int     `json:"hop"`    // samples
	Mels   int     `json:"mels"`
	MinHz  float64 `json:"min_hz"`
	MaxHz  float64 `json:"max_hz"`
	Floor  float64 `json:"floor"` // added to the energy before the logarithm; fixed, so that frames can stream
	Scale  Scale   `json:"scale"`
}

// Default returns the default configuration: 16 kHz, 30 ms windows every 10 ms, 40 mels.
func Default() Config {
	return Config{Rate: 16000, FFT: 512, Window: 480, Hop: 160, Mels: 40, MinHz: 20, MaxHz: 8000, Floor: 1e-3, Scale: HTK}
}

// Square32 returns the configuration of the Π-net papers' speech experiment: 32 mels by 32 frames a second.
func Square32() Config {
	return Config{
		Rate: 16000, FFT: 2048, Window: 2048, Hop: 512, Mels: 32, MinHz: 0, MaxHz: 8000, Floor: 1e-5, Scale: Slaney,
	}
}

// These limits keep a hostile model file from costing gigabytes or hours.
const (
	maxMels            = 4096
	maxValuesPerSample = 8   // Mels/Hop
	maxPointsPerSample = 256 // FFT/Hop
)

// Validate returns an error that wraps ErrConfig and names the field where c cannot be used: a value out of range, too
// much work per sample, or a mel whose triangle lies between two bins of the FFT and would always be empty.
func (c Config) Validate() error {
	switch {
	case c.Rate < 1000 || c.Rate > 1e6:
		return fmt.Errorf("%w: rate of %d Hz", ErrConfig, c.Rate)
	case c.FFT < 16 || c.FFT > 1<<15 || c.FFT&(c.FFT-1) != 0:
		return fmt.Errorf("%w: FFT of %d points is not a power of two from 16 to 32768", ErrConfig, c.FFT)
	case c.Window < 2 || c.Window > c.FFT:
		return fmt.Errorf("%w: window of %d samples for an FFT of %d", ErrConfig, c.Window, c.FFT)
	case c.Hop < 1 || c.Hop > c.Window:
		return fmt.Errorf("%w: hop of %d samples for a window of %d", ErrConfig, c.Hop, c.Window)
	case c.FFT > maxPointsPerSample*c.Hop:
		return fmt.Errorf("%w: hop of %d samples is too short for an FFT of %d", ErrConfig, c.Hop, c.FFT)
	case c.Mels < 1 || c.Mels > min(c.FFT/2, maxMels):
		return fmt.Errorf("%w: %d mels of an FFT of %d", ErrConfig, c.Mels, c.FFT)
	case c.Mels > maxValuesPerSample*c.Hop:
		return fmt.Errorf("%w: hop of %d samples is too short for %d mels", ErrConfig, c.Hop, c.Mels)
	case !(c.MinHz >= 0 && c.MinHz < c.MaxHz && c.MaxHz <= float64(c.Rate)/2):
		return fmt.Errorf("%w: band of %g to %g Hz in sound of %d Hz", ErrConfig, c.MinHz, c.MaxHz, c.Rate)
	case !(c.Floor >= 1e-30 && c.Floor <= 1e6):
		return fmt.Errorf("%w: floor %g", ErrConfig, c.Floor)
	case c.Scale != HTK && c.Scale != Slaney:
		return fmt.Errorf("%w: unknown mel scale %q", ErrConfig, c.Scale)
	}
	spans := newMelBank(c).spans
	for m := range c.Mels {
		if spans[2*m+1] == 0 {
			return fmt.Errorf("%w: mel %d of %d holds no bin of an FFT of %d; take fewer mels or more points",
				ErrConfig, m, c.Mels, c.FFT)
		}
	}
	return nil
}

// before returns how many samples of a frame lie before its centre: the larger half, as with torch.stft.
func (c Config) before() int { return (c.Window + 1) / 2 }

// Frames returns the number of rows of so many samples.
func (c Config) Frames(samples int) int { return 1 + samples/c.Hop }

// FramesPerSecond returns the number of rows per second.
func (c Config) FramesPerSecond() float64 { return float64(c.Rate) / float64(c.Hop) }
