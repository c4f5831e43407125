package polyphon

import (
	"errors"
	"fmt"
	"slices"

	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/polynet"
)

// ErrUncalibrated says that a model does not store what an option needs: `train calibrate` adds it.
var ErrUncalibrated = errors.New("the model is not calibrated for this")

// WithMinConfidence makes answers whose likeliest label has a probability below p, from 0 to 1, doubtful: Refuses
// reports it of an answer, and Events and live sound leave out events that do not reach it (Overall.RefusedEvents and
// ListenStats.Refused count them).
func WithMinConfidence(p float64) Option { return func(s *settings) { s.minConfidence = p } }

// WithCoverage makes Set return sets of labels that hold the true one in so large a share of sounds like those that the
// model was calibrated on, from the first to the last of confidence.Levels. A model that stores no sets gives an error
// of New that wraps ErrUncalibrated.
func WithCoverage(share float64) Option { return func(s *settings) { s.coverage = &share } }

// checkDoubt returns an error for options that make no sense for the model.
func (r *Recognizer) checkDoubt(m *polynet.Model) error {
	if !(r.minConfidence >= 0 && r.minConfidence <= 1) {
		return fmt.Errorf("%w: a minimum confidence of %g, it must be from 0 to 1", polynet.ErrConfig, r.minConfidence)
	}
	if r.drift != nil {
		if err := r.drift.begin(m); err != nil {
			return err
		}
	}
	if r.coverage == nil {
		return nil
	}
	return checkCoverage(m, *r.coverage)
}

// checkCoverage returns an error where the model cannot make sets of labels for such a share.
func checkCoverage(m *polynet.Model, share float64) error {
	first, last := confidence.Levels[0], confidence.Levels[len(confidence.Levels)-1]
	switch {
	case !(share >= first && share <= last):
		return fmt.Errorf("%w: a coverage of %g, it must be from %g to %g", polynet.ErrConfig, share, first, last)
	case m.Calibrated().Sets == nil:
		return fmt.Errorf("%w: it stores no sets of labels; train calibrate adds them", ErrUncalibrated)
	}
	return nil
}

// answered returns the labels of answers: the model's and, where its calibration tells unknown sounds, _unknown_.
func answered(m *polynet.Model) []string {
	if m.Calibrated().Unknown != nil && !slices.Contains(m.Labels, polynet.UnknownLabel) {
		return append(slices.Clip(m.Labels), polynet.UnknownLabel)
	}
	return m.Labels
}

// Labels returns the labels that each answer has a Score of: the model's and, where its calibration tells sounds of no
// known class, _unknown_, even if the network was not trained on such a label.
func (r *Recognizer) Labels() []string { return r.labels }

// Refuses reports whether the likeliest label of an answer is too doubtful (WithMinConfidence).
func (r *Recognizer) Refuses(scores []Score) bool { return scores[0].P < r.minConfidence }

// Set returns the smallest set of labels that holds the true one as often as WithCoverage asks, the likeliest first,
// for the answer to a sound: empty, not nil, where no label fits. The share holds for clips like those that the model
// was calibrated on; for the answer over a longer recording it is a guide. Without WithCoverage, Set returns nil.
func (r *Recognizer) Set(scores []Score) []string {
	if r.coverage == nil {
		return nil
	}
	return r.set(scores, *r.coverage)
}

// SetOf is Set for a share of its own, whatever WithCoverage said. Errors are those that New has about a coverage.
func (r *Recognizer) SetOf(scores []Score, share float64) ([]string, error) {
	if err := checkCoverage(r.Model(), share); err != nil {
		return nil, err
	}
	return r.set(scores, share), nil
}

func (r *Recognizer) set(scores []Score, share float64) []string {
	m := r.Model()
	p := make([]float64, len(m.Labels))
	for _, s := range scores {
		if class, ok := r.classes[s.Label]; ok {
			p[class] = s.P
		}
	}
	set := []string{}
	for _, class := range m.Calibration.Sets.Of(p, share) {
		set = append(set, m.Labels[class])
	}
	return set
}
