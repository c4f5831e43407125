package report

import (
	"math"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// TestExplainLinear holds that for a linear network, gradient times input is what occlusion finds, and that the score
// is the logarithm of the odds.
func TestExplainLinear(t *testing.T) {
	m := testModel(polynet.Linear)
	m.Calibration = &confidence.Calibration{Scaling: &confidence.Scaling{}}
	for c := range m.Labels {
		s := m.Calibration.Scaling
		s.Scale, s.Shift = append(s.Scale, 1+float64(c)/4), append(s.Shift, float64(c))
	}
	n, err := training.NewInputGradient(m, device.Ref())
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	const frames = 21
	rows := nettest.Normals(nettest.Rand(3), frames*m.Features.Mels)
	e := explain(n, m, slices.Clone(rows), 1, 0)
	if e.Frames != frames || e.PatchFrames != 2 || len(e.Occlusion) != 11*((e.Mels+e.PatchMels-1)/e.PatchMels) {
		t.Fatalf("%d frames, patches of %d by %d, %d of them", e.Frames, e.PatchFrames, e.PatchMels, len(e.Occlusion))
	}
	sums := map[int]float64{}
	for frame := range frames {
		for mel := range e.Mels {
			sums[frame/e.PatchFrames*100+mel/e.PatchMels] += e.Product[frame*e.Mels+mel]
		}
	}
	for frame := range frames {
		for mel := range e.Mels {
			want := sums[frame/e.PatchFrames*100+mel/e.PatchMels]
			if got := e.lost(frame, mel); math.Abs(got-want) > 1e-4 {
				t.Fatalf("frame %d, mel %d: occlusion %g, gradient times input %g", frame, mel, got, want)
			}
		}
	}
	if e.Rank < 0.999 {
		t.Errorf("rank correlation %g", e.Rank)
	}
	logits := nettest.Logits(m, rows)
	m.Calibration.Scaling.Apply(logits)
	polynet.Softmax(logits, m.Temperature)
	if want := math.Log(logits[1] / logits[0]); math.Abs(e.Score-want) > 1e-4 {
		t.Errorf("score %g, the logarithm of the odds is %g", e.Score, want)
	}
}

func TestSpearman(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4}, []float64{1, 4, 9, 16}, 1},
		{[]float64{1, 2, 3, 4}, []float64{8, 4, 2, 1}, -1},
		{[]float64{106, 100, 86, 101, 99, 103, 97, 113, 112, 110}, []float64{7, 27, 2, 50, 28, 29, 20, 12, 6, 17}, -0.1758},
		{[]float64{1, 1, 2, 3}, []float64{5, 6, 7, 8}, 0.9487}, // ties: ranks 1.5, 1.5, 3, 4
	} {
		if got := spearman(c.a, c.b); !near(got, c.want) {
			t.Errorf("%v, %v: %g, want %g", c.a, c.b, got, c.want)
		}
	}
	if got := spearman([]float64{1, 1, 1}, []float64{1, 2, 3}); got == got {
		t.Errorf("of a constant: %g", got)
	}
}
