package compress

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/mat"
)

// labelled returns random clips, labelled by a model, whose norms have the clips' statistics.
func labelled(t *testing.T, kind polynet.BlockKind) (*polynet.Model, Data) {
	t.Helper()
	m := nettest.RandomModel(nettest.Tiny(kind), nettest.Rand(3))
	nettest.SetStatistics(m)
	d := testData(t, m)
	d.Labels = labelsOf(m, d)
	return m, d
}

// distance returns the mean square difference of two models' logits, relative to the first one's.
func distance(a, b *polynet.Model, d Data) float64 {
	sum, size := 0.0, 0.0
	for clip := range slices.Chunk(d.Rows, frames*a.Net.Inputs) {
		x, y := nettest.Logits(a, clip), nettest.Logits(b, clip)
		for i := range x {
			sum += (x[i] - y[i]) * (x[i] - y[i])
			size += x[i] * x[i]
		}
	}
	return sum / size
}

func TestInt8IsNearFloat32(t *testing.T) {
	for _, kind := range []polynet.BlockKind{polynet.Pi, polynet.Star} {
		m, d := labelled(t, kind)
		q, r, err := (&Quantise{Weights: polynet.Int8}).Apply(t.Context(), m, d)
		if err != nil {
			t.Fatal(err)
		}
		if e := distance(m, q, d); !(e < 0.01) {
			t.Errorf("%s: the logits differ by %.3g", kind, e)
		}
		if !strings.Contains(r.Done, "stem narrow: true, head narrow: true") || len(r.Lines) != 3 ||
			q.Net.Narrow == nil || m.Net.Narrow != nil {
			t.Errorf("%s: %+v", kind, r)
		}
		for ends, want := range map[Ends]bool{EndsFloat: false, EndsNarrow: true} {
			q, _, err := (&Quantise{Weights: polynet.Int8, Ends: ends}).Apply(t.Context(), m, d)
			if err != nil || q.Net.Narrow.Stem != want || q.Net.Narrow.Head != want {
				t.Errorf("%s, %s: %+v, %v", kind, ends, q.Net.Narrow, err)
			}
		}
		if _, _, err := (&Quantise{Weights: polynet.Ternary}).Apply(t.Context(), q, d); !errors.Is(err, ErrImpossible) {
			t.Errorf("%s: narrowed twice: %v", kind, err)
		}
	}
}

// TestMatchedNorms checks that a ternary network whose norms are matched is nearer to the given one.
func TestMatchedNorms(t *testing.T) {
	for _, kind := range []polynet.BlockKind{polynet.Pi} {
		m, d := labelled(t, kind)
		inputs, err := operandScales(t.Context(), m, d)
		if err != nil {
			t.Fatal(err)
		}
		plain := narrowed(m, polynet.Narrow{Weights: polynet.Ternary, Stem: true}, inputs)
		fitted, err := matched(plain, m, d)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := distance(m, plain, d), distance(m, fitted, d); !(b < a) {
			t.Errorf("%s: matching norms makes a distance of %.3g one of %.3g", kind, a, b)
		}
		// A model matched with itself stays as it is.
		same, err := matched(m, m, d)
		if err != nil {
			t.Fatal(err)
		}
		if e := distance(m, same, d); !(e < 1e-6) {
			t.Errorf("%s: matched with itself it differs by %.3g", kind, e)
		}
	}
}

func TestOperandScale(t *testing.T) {
	values := make([]float32, 1000)
	for i := range values {
		values[i] = float32(i%255 - 127)
	}
	if got := operandScale(values); got != 1 {
		t.Errorf("of whole numbers up to 127 the scale is %g", got)
	}
	values = make([]float32, 100_000)
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
	}
	values[7] = 1.2 // of so many values one that is not worth the rounding of the others
	if got := operandScale(values); !(got > 0.95/127 && got < 1.05/127) {
		t.Errorf("with an outlier the scale is %g, want about %g", got, 1.0/127)
	}
}

// ternary returns the model and its ternary form.
func ternary(t *testing.T, kind polynet.BlockKind) (m, q *polynet.Model, d Data) {
	t.Helper()
	m, d = labelled(t, kind)
	q, _, err := (&Quantise{Weights: polynet.Ternary}).Apply(t.Context(), m, d)
	if err != nil {
		t.Fatal(err)
	}
	return m, q, d
}

func TestCoNNTrALowersTheLoss(t *testing.T) {
	for _, group := range []int{1, 4} {
		_, q, d := ternary(t, polynet.Pi)
		var losses []float64
		c := &CoNNTrA{Batch: 100, Group: group, Budget: time.Second, Seed: 1}
		c.Round = func(_, _, _ int, loss float64) { losses = append(losses, loss) }
		refined, r, err := c.Apply(t.Context(), q, d)
		if err != nil {
			t.Fatal(err)
		}
		if err := refined.Validate(); err != nil {
			t.Error(err)
		}
		if !(losses[len(losses)-1] < losses[0]) {
			t.Errorf("groups of %d: the losses are %v\n%s", group, losses, strings.Join(r.Lines, "\n"))
		}
	}
}

// TestCoNNTrAResumes interrupts a search after some rounds: what is resumed ends as what was never interrupted.
func TestCoNNTrAResumes(t *testing.T) {
	_, q, d := ternary(t, polynet.Linear)
	search := func(c *CoNNTrA, ctx context.Context) (string, error) {
		c.Batch, c.Group, c.Seed = 100, 8, 2
		_, r, err := c.Apply(ctx, q, d)
		return strings.Join(r.Lines, "\n"), err
	}
	file := filepath.Join(t.TempDir(), "search")
	after := func(n int, stop func()) func(_, _, _ int, _ float64) {
		return func(_, _, _ int, _ float64) {
			if n--; n == 0 {
				stop()
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	whole := filepath.Join(t.TempDir(), "whole")
	if _, err := search(&CoNNTrA{File: whole, Round: after(7, cancel)}, ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("ended: %v", err)
	}
	for _, n := range []int{3, 4} { // 3 rounds, and then 4 more
		ctx, cancel := context.WithCancel(t.Context())
		_, err := search(&CoNNTrA{File: file, Resume: true, Round: after(n, cancel)}, ctx)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted: %v", err)
		}
	}
	a, err := polynet.Load(whole)
	if err != nil {
		t.Fatal(err)
	}
	b, err := polynet.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if a.Provenance.Metrics[rounds] != 7 || b.Provenance.Metrics[rounds] != 7 {
		t.Errorf("%v and %v rounds", a.Provenance.Metrics[rounds], b.Provenance.Metrics[rounds])
	}
	for name, w := range a.Weights {
		if !w.Eq(b.Weights[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

// TestLayersFitColumns compares the descent of a column with the best of all levels, and checks that fitted
// convolutions are nearer to the given ones than rounded ones.
func TestLayersFitColumns(t *testing.T) {
	const rows, weights = 40, 6
	rng := nettest.Rand(5)
	l := &layers{rng: rng, levels: 1}
	worse := 0
	for range 20 {
		x := mat.NewDense(rows, weights, toFloat64(nettest.Normals(rng, rows*weights)))
		y := mat.NewVecDense(rows, toFloat64(nettest.Normals(rng, rows)))
		var gram mat.Dense
		var cross mat.VecDense
		gram.Mul(x.T(), x)
		cross.MulVec(x.T(), y)
		loss := func(levels []float64, scale float64) float64 {
			var z mat.VecDense
			z.MulVec(x, mat.NewVecDense(weights, levels))
			z.AddScaledVec(y, -scale, &z)
			return mat.Dot(&z, &z)
		}
		found := []float64{1, 0, 0, 0, 0, -1}
		before := append([]float64(nil), found...)
		scale := l.column(found, cross.RawVector().Data, &gram)
		best, levels := math.Inf(1), make([]float64, weights)
		for code := range 729 {
			for i, rest := 0, code; i < weights; i, rest = i+1, rest/3 {
				levels[i] = float64(rest%3 - 1)
			}
			var z mat.VecDense
			z.MulVec(x, mat.NewVecDense(weights, levels))
			if n := mat.Dot(&z, &z); n > 0 {
				best = min(best, loss(levels, mat.Dot(&z, y)/n))
			}
		}
		got := loss(found, scale)
		if got > loss(before, scale)+1e-9 {
			t.Errorf("a column of error %g was better before: %g", got, loss(before, scale))
		}
		if got > 1.02*best {
			worse++
		}
	}
	if worse > 5 { // descent ends at local minima
		t.Errorf("%d columns of 20 are worse than the best", worse)
	}
	m, d := labelled(t, polynet.Pi)
	inputs, err := operandScales(t.Context(), m, d)
	if err != nil {
		t.Fatal(err)
	}
	rounded := narrowed(m, polynet.Narrow{Weights: polynet.Ternary}, inputs)
	l = &layers{given: m, d: d, rows: normalised(m, d), rng: rng, levels: 1}
	fitted, err := l.fit(t.Context(), rounded)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := distance(m, rounded, d), distance(m, fitted, d); !(b < a/2) {
		t.Errorf("rounded, the logits differ by %.3g, fitted by %.3g", a, b)
	}
}

func TestSearchNeedsNarrowWeights(t *testing.T) {
	m, d := labelled(t, polynet.Linear)
	if _, _, err := (&CoNNTrA{Batch: 1, Group: 1}).Apply(t.Context(), m, d); !errors.Is(err, ErrImpossible) {
		t.Errorf("a search for levels of float32 weights: %v", err)
	}
}
