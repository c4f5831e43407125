package polyphon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/nettest"
)

// recorded is a Recording of samples at the model's rate, which ends with err.
func recorded(samples []float32, err error) Recording {
	return Recording{endingWith{audio.Clip{Rate: testRate, Samples: samples}.Source(), err}}
}

// endingWith is a source that ends with an error.
type endingWith struct {
	audio.Source
	err error
}

func (f endingWith) Read(dst []float32) (int, error) {
	n, err := f.Source.Read(dst)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

// TestRecordingsInParts compares what is said of recordings of up to three parts with what is said of them in one
// stream, and for numbers of threads, whose answers are the same to the bit.
func TestRecordingsInParts(t *testing.T) {
	all := noise(nettest.Rand(5), (2*partSeconds+9)*testRate+77)
	for _, seconds := range []float64{0.1, 3, partSeconds - 0.05, partSeconds, partSeconds + 0.03, 2*partSeconds + 9} {
		samples := all[:int(seconds*testRate)]
		for _, hop := range []float64{0, 0.0731} {
			var windows [][]Window
			var scores [][]Score
			for _, threads := range []int{1, 2, 5} {
				r := newRecognizer(t, testModel(), WithThreads(threads), WithHop(hop))
				found, err := collect(r, recorded(samples, io.EOF))
				if err != nil {
					t.Fatal(err)
				}
				whole, err := r.ClassifySource(t.Context(), recorded(samples, io.EOF))
				if err != nil {
					t.Fatal(err)
				}
				windows, scores = append(windows, found), append(scores, whole)
			}
			r := newRecognizer(t, testModel(), WithHop(hop))
			want, err := collect(r, recorded(samples, io.EOF).Source)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := r.ClassifySource(t.Context(), recorded(samples, io.EOF).Source)
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%g s, a hop of %g s", seconds, hop)
			for i := range windows {
				if !reflect.DeepEqual(windows[i], windows[0]) || !reflect.DeepEqual(scores[i], whole) {
					t.Errorf("%s: other numbers with other threads", name)
				}
			}
			if len(windows[0]) != len(want) {
				t.Errorf("%s: %d windows, want %d", name, len(windows[0]), len(want))
				continue
			}
			for i, w := range want {
				checkWindow(t, fmt.Sprintf("%s, window %d", name, i), windows[0][i], w.Start, w.End, w.Scores)
			}
		}
	}
}

// TestEventsOfLongRecordings has events on both sides of where parts meet, and across.
func TestEventsOfLongRecordings(t *testing.T) {
	const second = 2 * partSeconds
	at := []float64{1, 60, partSeconds - 0.7, partSeconds + 1.5, second - 0.25, second + 2, second + 5.4}
	samples := bursts(2*partSeconds+6, at...)
	for name, options := range map[string][]Option{"": nil, "with a gate": {WithGate(70)}, "with a hop": {WithHop(0.13)}} {
		var found [][]Event
		var scores [][]Score
		for _, threads := range []int{1, 2, 5} {
			r := newRecognizer(t, loudness(), append(options, WithSamples(), WithThreads(threads))...)
			var list []Event
			whole := r.NewOverall()
			for e, err := range r.EventsOverall(t.Context(), recorded(samples, io.EOF), whole) {
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, e)
			}
			found, scores = append(found, list), append(scores, whole.Scores())
			checkPlaces(t, name, list, at, 0.3)
			if !reflect.DeepEqual(found[0], list) || !reflect.DeepEqual(scores[0], whole.Scores()) {
				t.Errorf("%s: %d threads give other numbers", name, threads)
			}
		}
		r := newRecognizer(t, loudness(), append(options, WithSamples())...)
		want, err := eventsOf(r, samples, testRate)
		if err != nil || len(want) != len(found[0]) {
			t.Fatalf("%s: %d events, want %d, %v", name, len(found[0]), len(want), err)
		}
		for i, e := range found[0] {
			if math.Abs(e.Start-want[i].Start) > 1e-6 || math.Abs(e.End-want[i].End) > 1e-6 ||
				math.Abs(e.P-want[i].P) > 1e-5 || math.Abs(e.Time-want[i].Time) > 1e-6 {
				t.Errorf("%s: event %+v, want %+v", name, e.Event, want[i].Event)
			}
			first := int(math.Round(e.SamplesStart * testRate))
			least := min(testRate, len(samples)-first)
			if len(e.Samples) < least || !reflect.DeepEqual(e.Samples, samples[first:first+len(e.Samples)]) {
				t.Errorf("%s: event %+v comes with %d samples from %g s on", name, e.Event, len(e.Samples), e.SamplesStart)
			}
		}
	}
}

// TestRecordingsEndEarly ends recordings with an error of the source or the context, and by the consumer.
func TestRecordingsEndEarly(t *testing.T) {
	broken := errors.New("broken")
	samples := noise(nettest.Rand(5), (partSeconds+20)*testRate)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, threads := range []int{1, 3} {
		r := newRecognizer(t, testModel(), WithThreads(threads))
		for _, c := range []struct {
			ctx     context.Context
			samples int
			end     error
			want    error
		}{
			{t.Context(), len(samples), broken, broken}, {t.Context(), 50 * testRate, broken, broken},
			{t.Context(), 10, broken, broken}, {t.Context(), 0, io.EOF, audio.ErrEmpty},
			{stopped, len(samples), io.EOF, context.Canceled},
		} {
			src := func() audio.Source { return recorded(samples[:c.samples], c.end) }
			if _, err := r.ClassifySource(c.ctx, src()); !errors.Is(err, c.want) {
				t.Errorf("%d samples: %v, want %v", c.samples, err, c.want)
			}
			var errs [2]error
			for _, err := range r.Windows(c.ctx, src()) {
				errs[0] = err
			}
			for _, err := range r.Events(c.ctx, src()) {
				errs[1] = err
			}
			for i, err := range errs {
				if !errors.Is(err, c.want) {
					t.Errorf("%d samples, %d: %v, want %v", c.samples, i, err, c.want)
				}
			}
		}
		n := 0
		for _, err := range r.Windows(t.Context(), recorded(samples, io.EOF)) {
			if n++; err != nil || n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("%d windows", n)
		}
	}
}
