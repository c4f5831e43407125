package report

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/polynet"
)

func near(a, b float64) bool { return math.Abs(a-b) < 5e-5 }

func TestShare(t *testing.T) {
	for _, c := range []struct {
		hits, of         int
		value, low, high float64
	}{
		{8, 10, 0.8, 0.4902, 0.9433}, // the numbers of R's prop.test(correct=FALSE)
		{0, 10, 0, 0, 0.2775},
		{10, 10, 1, 0.7225, 1},
		{50, 100, 0.5, 0.4038, 0.5962},
		{0, 0, 0, 0, 1},
	} {
		s := shareOf(c.hits, c.of)
		if s.Of != c.of || !near(s.Value, c.value) || !near(s.Low, c.low) || !near(s.High, c.high) {
			t.Errorf("%d of %d: %+v", c.hits, c.of, s)
		}
	}
}

// answers returns probabilities of clips of two words and _unknown_.
func answers() (p calibrate.Probabilities, labels []string) {
	p = calibrate.Probabilities{Classes: 3, Truth: []int{0, 0, 0, 1, 1, 2}, Values: []float64{
		0.9, 0.1, 0.0, // right
		0.5, 0.3, 0.2, // right
		0.1, 0.9, 0.0, // taken for 1
		0.0, 0.9, 0.1, // right
		0.2, 0.2, 0.6, // taken for 2
		0.3, 0.5, 0.2, // taken for 1
	}}
	return p, []string{"left", "right", polynet.UnknownLabel}
}

func TestClasses(t *testing.T) {
	p, labels := answers()
	counts := confusion(p)
	if want := [][]int{{2, 1, 0}, {0, 1, 1}, {0, 1, 0}}; !reflect.DeepEqual(counts, want) {
		t.Fatalf("confusion %v, want %v", counts, want)
	}
	want := []class{
		{"left", 3, shareOf(2, 2), shareOf(2, 3)},
		{"right", 2, shareOf(1, 3), shareOf(1, 2)},
		{polynet.UnknownLabel, 1, shareOf(0, 1), shareOf(0, 1)},
	}
	if got := classesOf(labels, counts); !reflect.DeepEqual(got, want) {
		t.Errorf("classes %+v, want %+v", got, want)
	}
	frequent := []mistake{{1, 2, 3, 0.75}, {2, 1, 2, 1}}
	if got := mistakes([][]int{{2, 1, 0}, {0, 1, 3}, {0, 2, 0}}, 2); !reflect.DeepEqual(got, frequent) {
		t.Errorf("mistakes %+v", got)
	}
}

func TestWorstAndTypical(t *testing.T) {
	p, _ := answers()
	if clips, all := worst(p, 2); all != 3 || !slices.Equal(clips, []int{2, 4}) {
		t.Errorf("worst clips %v of %d", clips, all) // 5 has the same probability of its label as 4, but is less sure
	}
	if i := typical(p); i != 0 {
		t.Errorf("typical clip %d", i) // confidences 0.5, 0.9 and 0.9
	}
	if i := typical(calibrate.Probabilities{Classes: 2, Truth: []int{1}, Values: []float64{1, 0}}); i != -1 {
		t.Errorf("typical clip %d where none is right", i)
	}
}

func TestRiskCoverage(t *testing.T) {
	p, _ := answers()
	points, area := riskCoverage(p)
	want := []riskPoint{{0.9, 0.5, 1. / 3}, {0.6, 4. / 6, 0.5}, {0.5, 1, 0.5}} // three of 0.9, one of 0.6, two of 0.5
	if !reflect.DeepEqual(points, want) {
		t.Errorf("points %+v, want %+v", points, want)
	}
	if want := (3./3 + 0.5 + 2*0.5) / 6; !near(area, want) {
		t.Errorf("area %g, want %g", area, want)
	}
	if q, ok := coverageAt(points, 0.4); !ok || q != want[0] {
		t.Errorf("at a risk of 0.4: %+v", q)
	}
	if q, ok := coverageAt(points, 0.1); ok {
		t.Errorf("at a risk of 0.1: %+v", q)
	}
}

func TestDetection(t *testing.T) {
	// Scores of words 0.9, 0.6, 0.6 and 0.2, of other clips 0.6 and 0.1.
	p := calibrate.Probabilities{Classes: 3, Truth: []int{0, 1, 1, 0, 2, 2}, Values: []float64{
		0.5, 0.4, 0.1, 0.0, 0.6, 0.4, 0.3, 0.3, 0.4, 0.2, 0.0, 0.8, 0.1, 0.5, 0.4, 0.05, 0.05, 0.9,
	}}
	labels := []string{"left", "right", polynet.UnknownLabel}
	points, equal, words, others := detection(p, labels)
	want := []detPoint{{math.Inf(1), 0, 1}, {0.9, 0, 0.75}, {0.6, 0.5, 0.25}, {0.2, 0.5, 0}, {0.1, 1, 0}}
	if words != 4 || others != 2 || len(points) != len(want) {
		t.Fatalf("%d words, %d others: %+v", words, others, points)
	}
	for i, q := range points {
		if q.Threshold != want[i].Threshold && !near(q.Threshold, want[i].Threshold) ||
			!near(q.FalseAlarm, want[i].FalseAlarm) || !near(q.Miss, want[i].Miss) {
			t.Errorf("point %d: %+v, want %+v", i, q, want[i])
		}
	}
	if !near(equal, 0.375) { // between 0 and 0.5 false alarms, 0.75 and 0.25 misses: 3/4 of the way
		t.Errorf("equal error rate %g", equal)
	}
	if points, _, words, others := detection(p, []string{"a", "b", "c"}); points != nil || words != 6 || others != 0 {
		t.Errorf("without other clips: %+v, %d words, %d others", points, words, others)
	}
}

func TestThin(t *testing.T) {
	list := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	if got := thin(list, 3); !slices.Equal(got, []int{0, 5, 10}) {
		t.Errorf("3 of 11: %v", got)
	}
	if got := thin(list, 11); !slices.Equal(got, list) {
		t.Errorf("11 of 11: %v", got)
	}
}
