package polyphon

import (
	"fmt"
	"sync"

	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/polynet"
)

// Drift tests whether the sounds that a Recognizer classifies are still like the clips that its model was calibrated
// on: whether too many are answered less surely, or with larger or smaller logits, than the clips of the same label
// were. Which labels are answered, and how often, does not matter. The zero value is ready for WithDrift, for one
// Recognizer. Several goroutines may use it at once.
//
// A sound of up to ten windows is an input, and so is every ten windows of a longer one or of live sound. Of windows
// that overlap, the one that is most like the clips counts, since others may hold half a word. Of 10,000 inputs like
// the clips, a drift is reported with a probability of at most 0.001 (confidence.DriftTest); of inputs that are all
// beyond a limit, after about a dozen.
type Drift struct {
	mu    sync.Mutex
	test  *confidence.DriftTest
	state DriftState
}

// DriftState is what a Drift has found.
type DriftState struct {
	Inputs  int  // so far
	Drifts  int  // that began
	Since   int  // the number of the input, from 1, with which the latest one was found; 0: there was none
	Drifted bool // that one is not over: a hundred inputs like the clips end it
}

// WithDrift passes what Classify and its variants, Windows, Events and live sound compute to d. The order is that in
// which inputs are finished; a sequence that its consumer ends early counts as far as whole inputs. A model that stores
// no reference gives an error of New that wraps ErrUncalibrated.
func WithDrift(d *Drift) Option { return func(s *settings) { s.drift = d } }

// State returns what has been found so far.
func (d *Drift) State() DriftState {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// begin makes d that of a model.
func (d *Drift) begin(m *polynet.Model) error {
	if m.Calibrated().Reference == nil {
		return fmt.Errorf("%w: it does not store what its clips were like; train calibrate adds that, of about 45 clips "+
			"or more", ErrUncalibrated)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.test = confidence.NewDriftTest(m.Calibration.Reference)
	return nil
}

func (d *Drift) add(beyond [confidence.Statistics]float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Inputs++
	if d.test.Add(beyond) {
		d.state.Drifts++
		d.state.Since = d.state.Inputs
	}
	d.state.Drifted = d.test.Drifted()
}

// driftInput makes inputs of a Drift of the windows of one sound. Without a Drift it does nothing.
type driftInput struct {
	drift     *Drift
	model     *polynet.Model
	logits    []float64
	until     float64                        // windows that end before it, in seconds, overlap the first one of these
	beyond    [confidence.Statistics]bool    // all of these
	stretches int                            // that have ended, or go on
	sums      [confidence.Statistics]float64 // of those that have ended
}

// driftInputWindows is how many windows long an input is at most.
const driftInputWindows = 10

func (r *Recognizer) newDriftInput() driftInput {
	i := driftInput{drift: r.drift, model: r.Model()}
	if i.drift != nil {
		i.logits = make([]float64, len(i.model.Labels))
	}
	return i
}

// addToDrift adds the window that ends at end, in seconds, with its logits. Windows are in order.
func addToDrift[T float32 | float64](i *driftInput, end float64, logits []T) {
	if i.drift == nil {
		return
	}
	for c, v := range logits {
		i.logits[c] = float64(v) / i.model.Temperature
	}
	beyond := i.model.Calibration.Reference.Beyond(i.logits)
	if i.stretches > 0 && end < i.until {
		for k, b := range beyond {
			i.beyond[k] = i.beyond[k] && b
		}
		return
	}
	i.endStretch()
	if i.stretches == driftInputWindows {
		i.finish()
	}
	i.stretches++
	i.until, i.beyond = end+i.model.Window-timeTolerance, beyond
}

// endStretch adds up the stretch of windows that goes on.
func (i *driftInput) endStretch() {
	for k, b := range i.beyond {
		if b {
			i.sums[k]++
		}
	}
	i.beyond = [confidence.Statistics]bool{}
}

// finish ends an input.
func (i *driftInput) finish() {
	i.endStretch()
	if i.stretches > 0 {
		for k := range i.sums {
			i.sums[k] /= float64(i.stretches)
		}
		i.drift.add(i.sums)
	}
	i.stretches, i.sums = 0, [confidence.Statistics]float64{}
}
