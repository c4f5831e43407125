package polynet

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gorgonia.org/tensor"
)

// maxWindow bounds a model's window, in seconds.
const maxWindow = 3600

// Validate returns an error that wraps ErrModel and names what is wrong when m is not consistent: configurations that
// cannot be built or do not fit one another, labels that are empty, repeated or not as many as classes, detection settings for other labels, weights that
// are missing, too many, of another shape, or not finite.
func (m *Model) Validate() error {
	if err := m.validateConfig(); err != nil {
		return err
	}
	return m.validateWeights()
}

// validateWeights is Validate of the weights alone, whose network is valid.
func (m *Model) validateWeights() error {
	shapes := m.Net.WeightShapes()
	for _, s := range shapes {
		if err := validateWeight(m.Weights[s.Name], s); err != nil {
			return fmt.Errorf("%w: tensor %s %w", ErrModel, s.Name, err)
		}
	}
	if len(m.Weights) != len(shapes) {
		return fmt.Errorf("%w: %d tensors, the network has %d", ErrModel, len(m.Weights), len(shapes))
	}
	return nil
}

func validateWeight(w *tensor.Dense, s WeightShape) error {
	if w == nil {
		return fmt.Errorf("is missing")
	}
	if !w.Shape().Eq(tensor.Shape(s.Shape)) {
		return fmt.Errorf("has shape %v, the network wants %v", w.Shape(), s.Shape)
	}
	values, ok := w.Data().([]float32)
	if !ok || int64(len(values)) != s.Len() {
		return fmt.Errorf("holds %v, want %d contiguous float32 values", w.Dtype(), s.Len())
	}
	if i := slices.IndexFunc(values, notFinite); i >= 0 {
		return fmt.Errorf("has the value %v at %d", values[i], i)
	}
	if !strings.HasSuffix(s.Name, ".running_var") {
		return nil
	}
	if i := slices.IndexFunc(values, func(v float32) bool { return v < 0 }); i >= 0 {
		return fmt.Errorf("has the negative variance %v at %d", values[i], i)
	}
	return nil
}

// notFinite reports whether v is NaN or infinite: the difference of such values is NaN.
func notFinite(v float32) bool { return v-v != 0 }

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
	case !(m.Window > 0 && m.Window <= maxWindow) || m.windowSamples() < 1:
		return fmt.Errorf("%w: a window of %g s", ErrModel, m.Window)
	case !(m.Temperature > 0 && m.Temperature <= math.MaxFloat32):
		return fmt.Errorf("%w: temperature %g", ErrModel, m.Temperature)
	case len(m.Labels) != m.Net.Classes:
		return fmt.Errorf("%w: %d labels for %d classes", ErrModel, len(m.Labels), m.Net.Classes)
	}
	classes := make(map[string]int, len(m.Labels))
	for i, label := range m.Labels {
		if label == "" || !utf8.ValidString(label) || strings.ContainsFunc(label, unicode.IsControl) {
			return fmt.Errorf("%w: class %d has the label %q", ErrModel, i, label)
		}
		if j, twice := classes[label]; twice {
			return fmt.Errorf("%w: classes %d and %d share the label %q", ErrModel, j, i, label)
		}
		classes[label] = i
	}
	if m.Detection == nil {
		return nil
	}
	if err := m.Detection.Validate(m.Labels); err != nil {
		return fmt.Errorf("%w: %w", ErrModel, err)
	}
	return nil
}

// windowSamples returns the length of the model's window in samples of its rate.
func (m *Model) windowSamples() int { return int(math.Round(m.Window * float64(m.Features.Rate))) }
