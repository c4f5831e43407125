// Package tuning finds the operating point at which a model detects words in live sound: how many words are missed
// against how many false alarms there are.
package tuning

import (
	"context"
	"runtime"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/detect"
	"golang.org/x/sync/errgroup"
)

// Track is a model's decisions on a recording, so that operating points can be tried without computing again.
type Track struct {
	Words   []Word // of the recording
	Kind    Kind
	Seconds float64

	labels    []string
	decisions []decision
	p         []float64 // of the decisions, each len(labels) values
}

// decision is the times of a polyphon.Decision.
type decision struct{ start, end, used float64 }

// Tracks returns r's decisions on the recordings, in their order, computed on all cores.
func Tracks(ctx context.Context, r *polyphon.Recognizer, recordings []Recording) ([]*Track, error) {
	tracks := make([]*Track, len(recordings))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, recording := range recordings {
		g.Go(func() (err error) {
			tracks[i], err = newTrack(ctx, r, recording)
			return err
		})
	}
	return tracks, g.Wait()
}

func newTrack(ctx context.Context, r *polyphon.Recognizer, recording Recording) (*Track, error) {
	t := &Track{Words: recording.Words, Kind: recording.Kind, Seconds: recording.Duration().Seconds()}
	t.labels = r.Model().Labels
	for d, err := range r.Decisions(ctx, recording.Source()) {
		if err != nil {
			return nil, err
		}
		t.decisions = append(t.decisions, decision{d.Start, d.End, d.Used})
		t.p = append(t.p, make([]float64, len(t.labels))...)
		copy(t.p[len(t.p)-len(t.labels):], d.P) // zeros where the network diverged
	}
	return t, nil
}

// events returns the events that an operating point makes of the track.
func (t *Track) events(c detect.Config) ([]detect.Event, error) {
	d, err := detect.New(t.labels, c)
	if err != nil {
		return nil, err
	}
	var events []detect.Event
	for i, at := range t.decisions {
		p := t.p[i*len(t.labels) : (i+1)*len(t.labels)]
		if e, ok := d.Push(at.start, at.end, at.used, p); ok {
			events = append(events, e)
		}
	}
	return events, nil
}
