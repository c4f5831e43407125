// Package detect turns probabilities over time into events: a spoken word, which dozens of overlapping windows contain,
// becomes one Event. It is the posterior handling of keyword spotters: smoothing and a threshold (Chen, Parada and
// Heigold, "Small-footprint keyword spotting using deep neural networks", ICASSP 2014, section 2.4), with hysteresis, a
// minimum duration and a refractory time against double triggers.
package detect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrConfig marks an invalid operating point. Errors wrap it with the field.
var ErrConfig = errors.New("invalid detection settings")

// Config is an operating point: when probabilities become an event. Times are in seconds.
type Config struct {
	Smoothing   float64            `json:"smoothing"`            // over which probabilities are averaged; 0 is not at all
	Threshold   float64            `json:"threshold"`            // of smoothed probabilities, in (0, 1]
	Thresholds  map[string]float64 `json:"thresholds,omitempty"` // by label, instead of Threshold
	Release     float64            `json:"release"`              // an event ends below this part of the threshold, (0, 1]
	MinDuration float64            `json:"min_duration"`         // for which the threshold must have been reached
	Refractory  float64            `json:"refractory"`           // between the beginnings of a label's events, at least
}

const maxSmoothing, maxDuration, maxRefractory = 60, 60, 3600 // seconds

// Default returns the operating point for a model that states none and whose window is so many seconds long. It is
// meant for words that fill a good part of the window, and prefers misses to false alarms.
//
// On words of Speech Commands, alone and over noise, longer smoothing or a minimum duration traded misses for false
// alarms no better than a higher threshold did, and delayed events; with a refractory time of half a window or more,
// hardly a word in a thousand gave two events.
func Default(window float64) Config {
	return Config{
		Smoothing: min(window/10, maxSmoothing), Threshold: 0.9, Release: 0.5, Refractory: min(window*3/4, maxRefractory),
	}
}

// Validate returns an error that wraps ErrConfig and names the field when c cannot be used for the labels.
func (c Config) Validate(labels []string) error {
	within := func(v, limit float64) bool { return v >= 0 && v <= limit }
	part := func(v float64) bool { return v > 0 && v <= 1 }
	switch {
	case !within(c.Smoothing, maxSmoothing):
		return fmt.Errorf("%w: smoothing over %g s, 0 to %d are possible", ErrConfig, c.Smoothing, maxSmoothing)
	case !part(c.Threshold):
		return fmt.Errorf("%w: a threshold of %g, it must be above 0 and at most 1", ErrConfig, c.Threshold)
	case !part(c.Release):
		return fmt.Errorf("%w: a release of %g, it must be above 0 and at most 1", ErrConfig, c.Release)
	case !within(c.MinDuration, maxDuration):
		return fmt.Errorf("%w: a minimum duration of %g s, 0 to %d are possible", ErrConfig, c.MinDuration, maxDuration)
	case !within(c.Refractory, maxRefractory):
		return fmt.Errorf("%w: a refractory time of %g s, 0 to %d are possible", ErrConfig, c.Refractory, maxRefractory)
	}
	for _, label := range slices.Sorted(maps.Keys(c.Thresholds)) {
		switch threshold := c.Thresholds[label]; {
		case !part(threshold):
			return fmt.Errorf("%w: a threshold of %g for %q, it must be above 0 and at most 1", ErrConfig, threshold, label)
		case Background(label):
			return fmt.Errorf("%w: a threshold for %q, which begins no events", ErrConfig, label)
		case !slices.Contains(labels, label):
			return fmt.Errorf("%w: a threshold for %q, which is none of the labels", ErrConfig, label)
		}
	}
	return nil
}

// Labels that are not words.
const (
	UnknownLabel = "_unknown_" // some other word
	SilenceLabel = "_silence_" // no word
)

// Background reports whether a label stands for "none of the words", and so begins no events.
func Background(label string) bool { return label == SilenceLabel || label == UnknownLabel }
