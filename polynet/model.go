package polynet

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/features"
)

// Labels that are not words; see package detect.
const (
	UnknownLabel = detect.UnknownLabel
	SilenceLabel = detect.SilenceLabel
)

// Model is a trained network with everything needed to use it. It is read-only once loaded and may be shared.
type Model struct {
	Features    features.Config
	Norm        features.Norm // of each mel, from the training set
	Window      float64       // seconds of sound that one decision was trained on
	Net         Config
	Labels      []string // by class index
	Temperature float64  // divides the logits before the softmax
	Provenance  Provenance
	Detection   *detect.Config          // when probabilities over time become an event; nil: see DetectionConfig
	Calibration *confidence.Calibration // besides the temperature; nil: none
	// Weights by name, float32:
	//
	//	stem.conv.weight                    (Kernel, Inputs, Width)
	//	stages.I.J.conv1.weight, .conv2.weight  (Kernel, in, Width), block J of stage I
	//	stages.I.J.skip.conv.weight         (1, in, Width), where a residual block changes width or has a stride
	//	stages.I.J.product.conv.weight      (1, Width, Width), of products that are mixed by a conv1x1
	//	stages.I.J.product.scale            (1), the factor a of products
	//	head.weight (Width, Classes), head.bias (Classes)
	//
	// of ccp, ncp and ncp-skip
	//
	//	stages.I.J.convN.weight             (Kernel, in, Width), the factor of degree N from 1 on
	//	stages.I.J.scaleN                   (1), ccp from 2 on: the factor a
	//	stages.I.J.nestN.conv.weight        (1, Width, Width), S of ncp and ncp-skip from 2 on
	//	stages.I.J.skipN.conv.weight        (1, Width, Width), V of ncp-skip from 2 on
	//	stages.I.J.out.conv.weight          (1, Width, Width), C
	//
	// of star and mu
	//
	//	stages.I.J.front.conv.weight        (Kernel up to 3, in, Width), where a block changes width or has a stride
	//	stages.I.J.depthwise.conv.weight    (Kernel, 1, Width), D
	//	stages.I.J.a.conv.weight, .b.conv.weight  (1, Width, Expansion·Width), A and B of star
	//	stages.I.J.out.conv.weight          (1, Expansion·Width, Width), C of star
	//	stages.I.J.time.X.conv.weight       of mu's first layer: A (a), B (b) and C (out)
	//	stages.I.J.time.low.weight          (1, Width, Width/8), L, which has no norm
	//	stages.I.J.mix.…                    of its second
	//
	// and for each convolution X.conv or X.convN a batch norm X.norm or X.normN, and pi's product.norm: weight, bias,
	// running_mean and running_var, (Width) each: stem.norm.weight, stages.0.0.norm1.bias, ...
	Weights Weights
}

// Calibrated returns the parts of the model's Calibration, each nil where there is none.
func (m *Model) Calibrated() confidence.Calibration {
	if m.Calibration == nil {
		return confidence.Calibration{}
	}
	return *m.Calibration
}

// DetectionConfig returns the operating point for finding events in a stream: the model's own, or where it states none
// the default for its window.
func (m *Model) DetectionConfig() detect.Config {
	if m.Detection != nil {
		return *m.Detection
	}
	return detect.Default(m.Window)
}

// Provenance says where a model's weights come from.
type Provenance struct {
	Command    string             `json:"command,omitempty"` // the command line that trained it
	Data       string             `json:"data,omitempty"`    // digest of the training data
	Sources    []Source           `json:"sources,omitempty"` // of the training data, the teachers' too
	Seed       int64              `json:"seed"`
	Commit     string             `json:"commit,omitempty"` // of the polyphon that trained it
	Epochs     int                `json:"epochs,omitempty"`
	BestEpoch  int                `json:"best_epoch,omitempty"`
	Created    string             `json:"created,omitempty"` // RFC 3339
	Metrics    map[string]float64 `json:"metrics,omitempty"` // accuracies in percent, ...
	Parameters int                `json:"parameters,omitempty"`
	// Compressed says what each pass of train compress did, in order.
	Compressed []string `json:"compressed,omitempty"`
}

// Source is a collection of recordings that a model was trained on.
type Source struct {
	Name        string `json:"name"`
	Licence     string `json:"licence"`               // of the recordings
	Attribution string `json:"attribution,omitempty"` // whom the licence wants named
}

// String returns NAME: LICENCE, ATTRIBUTION.
func (s Source) String() string {
	text := s.Name + ": " + s.Licence
	if s.Attribution != "" {
		text += ", " + s.Attribution
	}
	return text
}

// Validate returns an error that wraps ErrModel and names what is wrong when m is not consistent: configurations that
// cannot be built or do not fit one another, labels that are empty, repeated or not as many as classes, detection
// settings for other labels, weights that are missing, too many, of another shape, or not finite, or a cost beyond the
// limits of docs/models.md.
func (m *Model) Validate() error {
	if err := m.validateConfig(); err != nil {
		return err
	}
	return m.Net.Program().Check(m.Weights)
}

// validateConfig is Validate without the weights.
func (m *Model) validateConfig() error {
	if err := m.Features.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrModel, err)
	}
	if err := m.Norm.Validate(m.Features.Mels); err != nil {
		return fmt.Errorf("%w: %w", ErrModel, err)
	}
	if err := m.Net.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrModel, err)
	}
	switch {
	case m.Net.Inputs != m.Features.Mels:
		return fmt.Errorf("%w: a network of %d inputs for %d mels", ErrModel, m.Net.Inputs, m.Features.Mels)
	case !(m.Window > 0 && m.Window <= maxWindow) || math.Round(m.Window*float64(m.Features.Rate)) < 1:
		return fmt.Errorf("%w: a window of %g s", ErrModel, m.Window)
	case !(m.Temperature >= minTemp && m.Temperature <= maxTemp):
		return fmt.Errorf("%w: temperature %g", ErrModel, m.Temperature)
	case len(m.Labels) != m.Net.Classes:
		return fmt.Errorf("%w: %d labels for %d classes", ErrModel, len(m.Labels), m.Net.Classes)
	}
	classes := make(map[string]int, len(m.Labels))
	for i, label := range m.Labels {
		if label == "" || !utf8.ValidString(label) || strings.ContainsFunc(label, unicode.IsControl) {
			return fmt.Errorf("%w: class %d has the label %q", ErrModel, i, label)
		}
		if len(label) > MaxLabel {
			return fmt.Errorf("%w: class %d has a label of %d bytes, at most %d are possible", ErrModel, i, len(label), MaxLabel)
		}
		if j, twice := classes[label]; twice {
			return fmt.Errorf("%w: classes %d and %d share the label %q", ErrModel, j, i, label)
		}
		classes[label] = i
	}
	if m.Detection != nil {
		if err := m.Detection.Validate(m.Labels); err != nil {
			return fmt.Errorf("%w: %w", ErrModel, err)
		}
	}
	if m.Calibration != nil {
		if err := m.Calibration.Validate(len(m.Labels)); err != nil {
			return fmt.Errorf("%w: %w", ErrModel, err)
		}
	}
	return m.checkCost()
}

// WindowSamples returns the length of the model's window in samples of its rate.
func (m *Model) WindowSamples() int { return int(math.Round(m.Window * float64(m.Features.Rate))) }

// Probabilities turns logits of the program that Inference returns into the probabilities of the labels, in place. With
// Calibration.Unknown, known classes give as much of theirs to _unknown_ as the sound is likely to be of no known
// class; in a model without that label, it is missing from a sum of 1. It reports whether the probabilities are finite.
func (m *Model) Probabilities(logits []float64) (finite bool) {
	u := m.Calibrated().Unknown
	if u == nil {
		return Softmax(logits, m.Temperature)
	}
	for i := range logits {
		logits[i] /= m.Temperature
	}
	unknown := u.Probability(logits, m.Labels)
	finite = Softmax(logits, 1)
	moved := 0.0
	for i, label := range m.Labels {
		if !detect.Background(label) {
			moved += unknown * logits[i]
			logits[i] *= 1 - unknown
		}
	}
	if i := slices.Index(m.Labels, UnknownLabel); i >= 0 {
		logits[i] += moved
	}
	return finite
}

// Softmax turns p, at least one logit, into probabilities, in place. The temperature, which is positive, divides the
// logits first. It reports whether the probabilities are finite: infinite logits and NaN give none.
func Softmax(p []float64, temperature float64) (finite bool) {
	largest, sum := slices.Max(p), 0.0
	for i, v := range p {
		p[i] = math.Exp((v - largest) / temperature)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return !math.IsNaN(sum)
}
