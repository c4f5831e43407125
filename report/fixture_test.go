package report

import (
	"math"
	"testing"
	"time"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// hostile is a label that is not to be taken for anything but text.
const hostile = `</style><script>document.documentElement.dataset.broken = 1</script>"'&=1+1`

// testModel returns a model of three words, one of them hostile, and _unknown_.
func testModel(kind polynet.BlockKind) *polynet.Model {
	m := nettest.RandomModel(nettest.Tiny(kind), nettest.Rand(1))
	m.Labels = []string{"left", "right", hostile, polynet.UnknownLabel}[:m.Net.Classes]
	return m
}

// testInput returns what a report of twelve tones is made of. Clips 3 and 7 are the only ones that are wrong.
func testInput(t *testing.T) Input {
	t.Helper()
	m := testModel(polynet.Pi)
	n, err := training.NewInputGradient(m, device.Ref())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	in := Input{
		Model: m, Name: "a <b>model</b>", Data: "recordings", Split: "test", Made: time.Unix(0, 0), Worst: 5,
		Raw: calibrate.Logits{Classes: len(m.Labels)}, Field: func(s string) string { return s },
		Notes: []string{"A note."}, Figures: [][]string{{"calibration", "before"}, {"accuracy, %", "83"}},
		HistorySource: "There are no epochs.", Network: n,
	}
	for i := range 12 {
		truth := i % in.Raw.Classes
		logits := make([]float32, in.Raw.Classes)
		logits[truth] = 2 + float32(i)/8
		if i == 3 || i == 7 {
			logits[(truth+1)%in.Raw.Classes] = 3 + float32(i)
		}
		in.Raw.Add(logits, []int{truth})
		in.Names = append(in.Names, hostile+"/clip.wav")
	}
	in.Samples = func(clip int) ([]float32, error) {
		samples := make([]float32, m.WindowSamples())
		for i := range samples {
			samples[i] = 0.3 * float32(math.Sin(2*math.Pi*float64(300+100*clip*i/len(samples))*float64(i)/16000))
		}
		return samples, nil
	}
	return in
}
