package calibrate

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/polyphon/polyphon/confidence"
)

// golden is testdata/golden.json, which testdata/golden.py writes.
type golden struct {
	Classes         int
	Logits          []float64
	Truth           []int
	Metrics, Scaled Metrics
	Temperature     float64
	Vector          []float64
	Platt           [][2]float64
}

func readGolden(t *testing.T) (golden, Logits) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g, Logits{Classes: g.Classes, Values: g.Logits, Truth: g.Truth}
}

// near fails the test where two lists of figures differ by more than a tolerance.
func near(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d figures, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= tolerance) {
			t.Errorf("%s: figure %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func (m Metrics) list() []float64 {
	return []float64{m.Accuracy, m.ECE, m.AdaptiveECE, m.ClasswiseECE, m.MCE, m.NLL, m.Brier}
}

func TestGolden(t *testing.T) {
	g, l := readGolden(t)
	near(t, "metrics", Measure(l.Probabilities(1)).list(), g.Metrics.list(), 1e-6)
	temperature, err := FitTemperature(l, ByNLL)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "temperature", []float64{temperature}, []float64{g.Temperature}, 1e-5)
	near(t, "metrics after it", Measure(l.Probabilities(g.Temperature)).list(), g.Scaled.list(), 1e-6)
	scaling, err := FitVector(l)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "vector scaling", append(scaling.Scale, scaling.Shift...), g.Vector, 1e-4)
	odds, hit := make([]float64, l.Len()), make([]bool, l.Len())
	for c, want := range g.Platt {
		for i := range l.Len() {
			odds[i], hit[i] = logOdds(l.Row(i), c), l.Truth[i] == c
		}
		a, b := plattFit(odds, hit)
		near(t, "Platt scaling", []float64{a, b}, want[:], 1e-4)
	}
}

// TestFitTemperatureByECE compares with the papers' own search: the best of 0.1, 0.2, ... 10.
func TestFitTemperatureByECE(t *testing.T) {
	_, l := readGolden(t)
	got, err := FitTemperature(l, ByECE)
	if err != nil {
		t.Fatal(err)
	}
	best := math.Inf(1)
	for k := 1; k <= 100; k++ {
		best = min(best, Measure(l.Probabilities(0.1*float64(k))).ECE)
	}
	if ece := Measure(l.Probabilities(got)).ECE; ece > best {
		t.Errorf("T = %g has an ECE of %g %%, the papers' search finds %g %%", got, ece, best)
	}
}

func TestMetricsOfSimpleCases(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Probabilities
		want Metrics
	}{
		{"certain and right", Probabilities{2, []float64{1, 0, 0, 1}, []int{0, 1}}, Metrics{Accuracy: 100}},
		{"certain and wrong", Probabilities{2, []float64{1, 0}, []int{1}}, Metrics{
			ECE: 100, AdaptiveECE: 100, ClasswiseECE: 100, MCE: 100, Brier: 2,
			NLL: -math.Log(math.SmallestNonzeroFloat64),
		}},
		{"undecided", Probabilities{4, []float64{0.25, 0.25, 0.25, 0.25}, []int{0}}, Metrics{
			Accuracy: 100, ECE: 75, AdaptiveECE: 75, ClasswiseECE: 37.5, MCE: 75, NLL: math.Log(4),
			Brier: 0.75*0.75 + 3*0.0625,
		}},
		{"one class never occurs", Probabilities{3, []float64{0.8, 0.1, 0.1, 0.2, 0.7, 0.1}, []int{0, 1}}, Metrics{
			Accuracy: 100, ECE: 25, AdaptiveECE: 25, ClasswiseECE: 100 * (0.2 + 0.2 + 0.1) / 3 / 1, MCE: 30,
			NLL: -(math.Log(0.8) + math.Log(0.7)) / 2, Brier: (0.04 + 0.01 + 0.01 + 0.04 + 0.09 + 0.01) / 2,
		}},
	} {
		t.Run(c.name, func(t *testing.T) { near(t, "metrics", Measure(c.p).list(), c.want.list(), 1e-9) })
	}
}

// draw returns n clips whose logits are those of a classifier that is calibrated at a temperature.
func draw(rng *rand.Rand, n, classes int, temperature float64) Logits {
	l := Logits{Classes: classes}
	for range n {
		row := make([]float64, classes)
		for c := range row {
			row[c] = 2 * rng.NormFloat64()
		}
		p := append([]float64(nil), row...)
		probabilities := Logits{classes, p, []int{0}}.Probabilities(1).Values
		u, truth := rng.Float64(), 0
		for u > probabilities[truth] && truth < classes-1 {
			u -= probabilities[truth]
			truth++
		}
		for c := range row {
			row[c] *= temperature
		}
		l.Values, l.Truth = append(l.Values, row...), append(l.Truth, truth)
	}
	return l
}

// TestEachFitCalibrates draws clips from a classifier that is too sure of itself, and checks on other clips that each
// method lowers the errors to what calibrated probabilities of as many clips have.
func TestEachFitCalibrates(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	train, test := draw(rng, 4000, 5, 3), draw(rng, 4000, 5, 3)
	if before := Measure(test.Probabilities(1)); before.ECE < 10 {
		t.Fatalf("the ECE is %g %% before", before.ECE)
	}
	nll, err1 := FitTemperature(train, ByNLL)
	ece, err2 := FitTemperature(train, ByECE)
	vector, err3 := VectorMap(train)
	platt, err4 := FitPlatt(train)
	isotonic, err5 := FitIsotonic(train)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	near(t, "temperatures", []float64{nll, ece}, []float64{3, 3}, 0.3)
	for name, p := range map[string]Probabilities{
		"temperature by NLL": test.Probabilities(nll), "temperature by ECE": test.Probabilities(ece),
		"vector": test.Map(vector), "Platt": test.Map(platt), "isotonic": test.Map(isotonic),
	} {
		if after := Measure(p); after.ECE > 3 || after.AdaptiveECE > 3 || after.NLL > 0.9 && name != "isotonic" {
			// Isotonic regression gives some clips a probability of 0.
			t.Errorf("%s: %+v", name, after)
		}
	}
}

func TestLogitsAreChecked(t *testing.T) {
	for name, l := range map[string]Logits{
		"no clips": {Classes: 2}, "one class": {1, []float64{0}, []int{0}}, "short": {2, []float64{0}, []int{0}},
		"NaN": {2, []float64{0, math.NaN()}, []int{0}}, "infinite": {2, []float64{0, math.Inf(1)}, []int{0}},
		"class 2": {2, []float64{0, 1}, []int{2}}, "class -1": {2, []float64{0, 1}, []int{-1}},
	} {
		_, err1 := FitTemperature(l, ByNLL)
		_, err2 := FitVector(l)
		_, err3 := FitPlatt(l)
		_, err4 := FitIsotonic(l)
		_, _, err5 := FitUnknown(l, nil, []string{"a", "b"}, 0)
		for i, err := range []error{err1, err2, err3, err4, err5} {
			if !errors.Is(err, ErrData) {
				t.Errorf("%s, fit %d: error %v", name, i+1, err)
			}
		}
	}
	if _, err := FitTemperature(Logits{2, []float64{0, 1}, []int{0}}, "mse"); !errors.Is(err, ErrData) {
		t.Errorf("objective mse: error %v", err)
	}
}

// TestSetsCover checks on other clips that sets hold the truth as often as asked, in each class too.
func TestSetsCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	train, test := draw(rng, 6000, 5, 1).Probabilities(1), draw(rng, 6000, 5, 1).Probabilities(1)
	sets := FitSets(train)
	for _, level := range []float64{0.8, 0.9, 0.93, 0.95} {
		covered, size := Coverage(test, sets, level)
		if math.Abs(covered-level) > 0.015 || size < 1 || size > 4 {
			t.Errorf("coverage %g asked, %.3f found, in sets of %.2f labels", level, covered, size)
		}
		for c := range test.Classes {
			var clips []int
			for i, truth := range test.Truth {
				if truth == c {
					clips = append(clips, i)
				}
			}
			if covered, _ := Coverage(test.take(clips), sets, level); math.Abs(covered-level) > 0.05 {
				t.Errorf("coverage %g asked, class %d has %.3f", level, c, covered)
			}
		}
	}
}

// TestSetsOfFewClips: a class without clips uses the quantiles of all, a class of one clip none below its score.
func TestSetsOfFewClips(t *testing.T) {
	p := Probabilities{Classes: 3}
	for i := range 40 {
		v := 0.6 + 0.01*float64(i)
		p.Values, p.Truth = append(p.Values, v, 1-v, 0), append(p.Truth, 0)
	}
	p.Values, p.Truth = append(p.Values, 0.9, 0.05, 0.05), append(p.Truth, 2)
	sets := fitSets(p, confidence.Plain)
	const level95 = 8
	near(t, "quantiles at 95 %", []float64{
		sets.Quantiles[0][level95], sets.Quantiles[1][level95], sets.Quantiles[2][level95],
	}, []float64{1 - 0.61, 0.4, 0.95}, 1e-9)
}

func TestSeparate(t *testing.T) {
	for _, c := range []struct {
		name           string
		known, unknown []float64
		want           Separation
	}{
		{"apart", []float64{0, 1, 2}, []float64{3, 4}, Separation{1, 0}},
		{"the wrong way round", []float64{3, 4}, []float64{0, 1, 2}, Separation{0, 1}},
		{"equal", []float64{1, 1}, []float64{1, 1, 1}, Separation{0.5, 1}},
		{"mixed", []float64{0, 2}, []float64{1, 3}, Separation{0.75, 0.5}},
	} {
		if got := Separate(c.known, c.unknown); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestFitUnknown: unknown sounds have small logits. The threshold loses as many known clips as allowed, no more.
func TestFitUnknown(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	labels := []string{"a", "b", "c", "_silence_"}
	l := Logits{Classes: 4}
	for i := range 1000 {
		row := make([]float64, 4)
		for c := range row {
			row[c] = rng.NormFloat64()
		}
		row[i%4] += 8
		l.Values, l.Truth = append(l.Values, row...), append(l.Truth, i%4)
	}
	var unknown [][]float64
	for range 500 {
		unknown = append(unknown, []float64{rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()})
	}
	u, by, err := FitUnknown(l, unknown, labels, 0.01)
	if err != nil {
		t.Fatal(err)
	}
	for score, s := range by {
		if s.AUROC > by[u.Score].AUROC {
			t.Errorf("%s is taken, %s separates better: %+v", u.Score, score, by)
		}
	}
	lost, found := 0, 0
	known := l.known(labels)
	for _, row := range known {
		if u.Rejects(row, labels) {
			lost++
		}
	}
	for _, row := range unknown {
		if u.Rejects(row, labels) {
			found++
		}
	}
	if lost > len(known)/100 || lost < len(known)/200 || found < 480 {
		t.Errorf("%+v takes %d of %d known clips and %d of %d unknown ones for unknown", u, lost, len(known), found, 500)
	}
	if _, _, err := FitUnknown(l, nil, labels, 0.01); !errors.Is(err, ErrData) {
		t.Errorf("without unknown sounds: error %v", err)
	}
}

// TestBootstrap checks intervals of an accuracy against the normal approximation.
func TestBootstrap(t *testing.T) {
	p := Probabilities{Classes: 2}
	for i := range 400 {
		p.Values, p.Truth = append(p.Values, 1, 0), append(p.Truth, min(i%10, 1)^1)
	}
	got := Bootstrap(p, 1000, 1, func(p Probabilities) []float64 { return []float64{Measure(p).Accuracy} })
	deviation := 100 * math.Sqrt(0.9*0.1/400)
	near(t, "interval", []float64{got[0].Low, got[0].High}, []float64{90 - 1.96*deviation, 90 + 1.96*deviation}, 0.6)
}

// TestFewClipsDoNotMakeSure: clips that are all classified right by a little.
func TestFewClipsDoNotMakeSure(t *testing.T) {
	l := Logits{3, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0}, []int{0, 1, 2, 0}}
	temperature, scaling, err := FitBest(l)
	if err != nil || scaling != nil || temperature < 0.2 || temperature > 1 {
		t.Errorf("temperature %g, scaling %+v, error %v", temperature, scaling, err)
	}
}

// TestFitBestKeepsClasses: one wrong logit that is huge makes it likely that a class is never answered.
func TestFitBestKeepsClasses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, huge := range []float64{1e2, 1e4, 1e8} {
		const classes, clips = 3, 90
		l := Logits{Classes: classes}
		for i := range clips {
			row := []float64{5 * rng.Float64(), 0, 5 * rng.Float64()} // only its own logit is about class 1
			row[i%classes] = max(row[0], row[2]) + 1
			l.Values, l.Truth = append(l.Values, row...), append(l.Truth, i%classes)
		}
		l.Values[classes*6+1] = huge // of a clip of class 0
		vector, err := FitVector(l)
		if err != nil {
			t.Fatal(err)
		}
		if lost := Measure(l.Map(scaledBy(vector))).Accuracy; huge > 1e3 && lost > 80 {
			t.Errorf("%g: vector scaling keeps %g %% right: the case shows nothing", huge, lost)
		}
		temperature, scaling, err := FitBest(l)
		answers := Scale(temperature)
		if scaling != nil {
			answers = scaledBy(scaling)
		}
		if m := Measure(l.Map(answers)); err != nil || m.Accuracy < 98 || huge > 1e3 && m.ECE > 25 {
			t.Errorf("%g: temperature %g, scaling %+v, error %v: %+v", huge, temperature, scaling, err, m)
		}
	}
}
