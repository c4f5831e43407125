package main

import (
	"errors"
	"fmt"
	"math"

	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
)

// eventFlags are about events, in live sound and in recordings that are longer than a window.
type eventFlags struct {
	Threshold   *float64 `help:"Probability that begins an event, for all labels." placeholder:"P"`
	Release     *float64 `help:"Part of the threshold below which an event ends." placeholder:"PART"`
	Smoothing   *float64 `help:"Seconds over which probabilities are averaged." placeholder:"S"`
	MinDuration *float64 `help:"Seconds for which the threshold must have been reached." placeholder:"S"`
	Refractory  *float64 `help:"Seconds from an event's beginning in which its label begins no other." placeholder:"S"`
	Gate        float64  `help:"Level, in dB below full scale, such as 60, below which sound is silence and costs nothing; 0 is no gate." placeholder:"DB" default:"0"`
	Windows     bool     `help:"Of recordings longer than a window, tell every window's labels instead of the events."`
}

// check returns an error for what the flags' types let through.
func (f *eventFlags) check(live bool) error {
	switch {
	case live && f.Windows:
		return errors.New("--windows is about recordings, not about live sound")
	case math.IsNaN(f.Gate) || math.IsInf(f.Gate, 0):
		return fmt.Errorf("--gate %g is no level", f.Gate)
	}
	return nil
}

// config returns the operating point: the model's, changed by the flags.
func (f *eventFlags) config(c detect.Config) detect.Config {
	if f.Threshold != nil {
		c.Threshold, c.Thresholds = *f.Threshold, nil
	}
	override(&c.Release, f.Release)
	override(&c.Smoothing, f.Smoothing)
	override(&c.MinDuration, f.MinDuration)
	override(&c.Refractory, f.Refractory)
	return c
}

// override sets a value where a flag is given.
func override(value, flag *float64) {
	if flag != nil {
		*value = *flag
	}
}

// validate returns an error for settings that make no sense for the model.
func (f *eventFlags) validate(m *polynet.Model) error {
	return f.config(m.DetectionConfig()).Validate(m.Labels)
}

// longSounds returns what a worker needs for sounds longer than a window, nil where their windows are asked for
// or are all that the model can hear.
func (f *eventFlags) longSounds(c *polynet.Classifier, m *polynet.Model, hop float64) *longSounds {
	if f.Windows || m.Net.WholeClip() {
		return nil
	}
	return newLongSounds(m, func() (*ear, error) { return f.newEar(c, m, polynet.StreamOptions{Hop: hop}) })
}

// newEar returns an ear for the model's rate.
func (f *eventFlags) newEar(c *polynet.Classifier, m *polynet.Model, o polynet.StreamOptions) (*ear, error) {
	config := f.config(m.DetectionConfig())
	detector, err := detect.New(m.Labels, config)
	if err != nil {
		return nil, err
	}
	o.Gate = -math.Abs(f.Gate)
	stream, err := c.Stream(o)
	if err != nil {
		return nil, err
	}
	return &ear{
		stream: stream, detector: detector, rate: m.Features.Rate, tail: m.Window + config.Smoothing + config.MinDuration,
	}, nil
}
