// Package confidence says how far a classifier's answer can be trusted: sets of labels that hold the true one as often
// as asked, and whether a sound is of any known class. Package calibrate fits what it uses; model files store it.
package confidence

import (
	"errors"
	"fmt"
	"strings"
)

// ErrConfig marks settings that cannot be used. Errors wrap it and name the field.
var ErrConfig = errors.New("invalid calibration")

// Calibration is what a model knows of its own confidence, besides the temperature of its softmax. Each part is
// optional.
type Calibration struct {
	Scaling *Scaling `json:"scaling,omitempty"`
	Sets    *Sets    `json:"sets,omitempty"`
	Unknown *Unknown `json:"unknown,omitempty"`

	Reference *Reference `json:"reference,omitempty"`
}

// String says what c consists of, in one line.
func (c *Calibration) String() string {
	var parts []string
	if c.Scaling != nil {
		parts = append(parts, "a factor and a shift for each label")
	}
	if c.Sets != nil {
		parts = append(parts, fmt.Sprintf("sets by the %s score", c.Sets.Score))
	}
	if c.Unknown != nil {
		parts = append(parts, fmt.Sprintf("unknown sounds by the %s score above %.3g", c.Unknown.Score, c.Unknown.Threshold))
	}
	if c.Reference != nil {
		parts = append(parts, "what the clips were like, to tell drift")
	}
	return strings.Join(parts, "; ")
}

// Validate returns an error that wraps ErrConfig when c is not one of a model of so many classes.
func (c *Calibration) Validate(classes int) error {
	if c.Scaling != nil {
		if err := c.Scaling.validate(classes); err != nil {
			return err
		}
	}
	if c.Sets != nil {
		if err := c.Sets.validate(classes); err != nil {
			return err
		}
	}
	if c.Unknown != nil {
		if err := c.Unknown.validate(); err != nil {
			return err
		}
	}
	if c.Reference != nil {
		return c.Reference.validate(classes)
	}
	return nil
}

// Scaling multiplies each class's logit and shifts it, before the temperature and the softmax (vector scaling: Guo et
// al., "On Calibration of Modern Neural Networks", 2017).
type Scaling struct {
	Scale []float64 `json:"scale"` // by class
	Shift []float64 `json:"shift"`
}

// Apply scales a row of logits in place.
func (s *Scaling) Apply(logits []float64) {
	for c := range logits {
		logits[c] = s.Scale[c]*logits[c] + s.Shift[c]
	}
}

func (s *Scaling) validate(classes int) error {
	if len(s.Scale) != classes || len(s.Shift) != classes {
		return fmt.Errorf("%w: scaling of %d and %d classes, not %d", ErrConfig, len(s.Scale), len(s.Shift), classes)
	}
	return finite("scaling", append(append([]float64(nil), s.Scale...), s.Shift...))
}

func finite(what string, values []float64) error {
	for _, v := range values {
		if v-v != 0 {
			return fmt.Errorf("%w: %s has the value %v", ErrConfig, what, v)
		}
	}
	return nil
}
