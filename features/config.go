// Package features turns samples into frames: rows of log-mel energies, one a hop.
package features

import "errors"

// ErrConfig marks a feature configuration that cannot be built.
var ErrConfig = errors.New("invalid feature configuration")

// Scale is a mel scale.
type Scale string

// The mel scales.
const (
	HTK    Scale = "htk"    // 2595·log10(1 + f/700), triangles of height 1
	Slaney Scale = "slaney" // linear below 1 kHz, logarithmic above (Auditory Toolbox), triangles of equal area
)

// Config describes log-mel frames. Frame t is centred on sample t·Hop, samples outside the recording counting as zero;
// n samples give 1 + n/Hop frames (torch.stft's center=True with pad_mode="constant"). Each frame is weighted with a
// periodic Hann window of Window samples, transformed with an FFT of FFT points, and its power spectrum is
// gathered by Mels triangles between MinHz and MaxHz; a value is ln(energy + Floor).
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
	return Config{Rate: 16000, FFT: 512, Window: 480, Hop: 160, Mels: 40, MinHz: 20, MaxHz: 8000, Floor: 1e-5, Scale: Slaney}
}

// Square32 returns the configuration of the Π-net papers' speech experiment: 32 mels by 32 frames a second.
func Square32() Config {
	return Config{Rate: 16000, FFT: 2048, Window: 2048, Hop: 512, Mels: 32, MinHz: 0, MaxHz: 8000, Floor: 1e-5, Scale: Slaney}
}

// Norm is the mean and standard deviation of each mel over a training set. Normalised rows are (x − Mean)/Std.
type Norm struct {
	Mean []float32 `json:"mean"`
	Std  []float32 `json:"std"`
}
