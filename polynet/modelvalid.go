package polynet

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWindow bounds a model's window, in seconds.
const maxWindow = 3600

// Validate returns an error that wraps ErrModel and names what is wrong when m is not consistent: configurations that
// cannot be built or do not fit one another, labels that are empty, repeated or not as many as classes, detection
// settings for other labels, weights that are missing, too many, of another shape, or not finite.
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
	case !(m.Window > 0 && m.Window <= maxWindow) || m.WindowSamples() < 1:
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

// WindowSamples returns the length of the model's window in samples of its rate.
func (m *Model) WindowSamples() int { return int(math.Round(m.Window * float64(m.Features.Rate))) }
