// Package tuning finds the operating point at which a model detects words in live sound: how many words are missed
// against how many false alarms there are.
package tuning

import (
	"context"
	"runtime"
	"slices"

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
	decisions []polyphon.Decision
}

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
		d.P = slices.Clone(d.P)
		t.decisions = append(t.decisions, d)
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
	for _, at := range t.decisions {
		if e, ok := d.Push(at.Start, at.End, at.Used, at.P); ok {
			events = append(events, e)
		}
	}
	return events, nil
}
