package confidence

import "gonum.org/v1/gonum/floats"

// The promise of DriftTest: of DriftInputs inputs that are like those of the Reference, the probability that it reports
// a drift is at most DriftAlpha.
const (
	DriftInputs = 10_000
	DriftAlpha  = 0.001
)

// recoveryInputs is how many inputs decide whether a drift is over.
const recoveryInputs = 100

// alternatives are shares of sounds beyond a limit that DriftTest looks for, if they are above the tolerance.
var alternatives = [...]float64{0.35, 0.5, 0.75, 0.95}

// DriftTest reports when inputs, one after the other, are no more like those of a Reference, in constant memory.
//
// Of each input it takes the share x of its windows beyond a limit, of which the mean is at most the tolerance ρ as
// long as inputs are like the reference, whatever came before. For an alternative q it multiplies 1 + λ(x−ρ), where
// λ = (q−ρ)/(ρ(1−ρ)): the likelihood ratio of q and ρ where x is 0 or 1, and at most 1 on average without a drift. The
// procedure of Shiryaev and Roberts, R ← (R+1)·(1 + λ(x−ρ)), adds up the evidence for a drift that began at each of the
// inputs so far. R less the number of inputs is a supermartingale, so is the mean over all limits and alternatives, and
// by the optional stopping theorem the probability that the mean reaches c within n inputs is at most n/c, however
// often one looks: c is DriftInputs/DriftAlpha. (Shin, Ramdas and Rinaldo, "E-detectors", 2022.)
type DriftTest struct {
	tolerance float64
	evidence  [Statistics][len(alternatives)]float64 // R
	drifted   bool
	since     int                 // inputs since a drift was reported, or since the last recoveryInputs of these
	sums      [Statistics]float64 // of their x
}

// NewDriftTest returns a test that has seen nothing.
func NewDriftTest(r *Reference) *DriftTest { return &DriftTest{tolerance: r.Tolerance} }

// Add takes an input: for each limit, the share, from 0 to 1, of the input's windows beyond it. It reports whether a
// drift is found with this input. A drift is over when of a hundred inputs no larger share than the tolerance is beyond
// any limit; then the next one is looked for.
func (t *DriftTest) Add(beyond [Statistics]float64) (found bool) {
	if t.drifted {
		t.recover(beyond)
		return false
	}
	mean := 0.0
	for i, x := range beyond {
		for k, q := range alternatives {
			if q <= t.tolerance {
				continue
			}
			lambda := (q - t.tolerance) / (t.tolerance * (1 - t.tolerance))
			r := &t.evidence[i][k]
			*r = (*r + 1) * (1 + lambda*(x-t.tolerance))
			mean += *r / float64(Statistics*len(alternatives))
		}
	}
	t.drifted = mean >= DriftInputs/DriftAlpha
	return t.drifted
}

// recover looks whether the drift is over.
func (t *DriftTest) recover(beyond [Statistics]float64) {
	floats.Add(t.sums[:], beyond[:])
	if t.since++; t.since < recoveryInputs {
		return
	}
	if floats.Max(t.sums[:]) <= t.tolerance*recoveryInputs {
		*t = DriftTest{tolerance: t.tolerance}
		return
	}
	t.since, t.sums = 0, [Statistics]float64{}
}

// Drifted reports whether a drift has been found that is not over.
func (t *DriftTest) Drifted() bool { return t.drifted }
