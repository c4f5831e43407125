package records

import (
	"context"
	"io"
	"slices"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
)

// The ways in which an input is answered. Auto chooses among AsClip and AsEvents.
const (
	Auto      = "auto"
	AsClip    = "clip"
	AsEvents  = "events"
	AsWindows = "windows"
)

// maxClipWindows is how many windows long a recording is at most that Auto answers as a clip.
const maxClipWindows = 3

// Sound is a Source whose beginning has been read, as far as a window and one sample, which says whether it is longer
// than a window. It counts samples.
type Sound struct {
	audio.Source
	Beginning []float32
	Err       error             // that came with the beginning
	Samples   int               // that Read has returned
	Processed func(samples int) // nil, or called with what has been read from the Source
}

// Choose returns the way to answer the sound: way, or what Auto chooses for it, for which it reads ahead.
func (s *Sound) Choose(way string, r *polyphon.Recognizer) string {
	switch {
	case way != Auto:
		return way
	case s.endsWithin(maxClipWindows * r.Model().WindowSamples()):
		return AsClip
	}
	return AsEvents
}

// endsWithin reads ahead, and reports whether the sound has at most n samples.
func (s *Sound) endsWithin(n int) bool {
	ahead := s.Beginning
	for len(ahead) <= n && s.Err == nil {
		ahead = slices.Grow(ahead, n+1-len(ahead))
		var got int
		got, s.Err = s.read(ahead[len(ahead):cap(ahead)])
		ahead = ahead[:len(ahead)+got]
	}
	s.Beginning = ahead
	return s.Err == io.EOF && len(ahead) <= n
}

func (s *Sound) read(dst []float32) (n int, err error) {
	n, err = s.Source.Read(dst)
	if s.Processed != nil {
		s.Processed(n)
	}
	return n, err
}

// Read implements audio.Source.
func (s *Sound) Read(dst []float32) (n int, err error) {
	switch {
	case len(s.Beginning) > 0:
		n = copy(dst, s.Beginning)
		if s.Beginning = s.Beginning[n:]; len(s.Beginning) == 0 {
			err = s.Err
		}
	case s.Err != nil:
		err = s.Err
	default:
		n, err = s.read(dst)
	}
	s.Samples += n
	return n, err
}

// Seconds returns how long what Read has returned is.
func (s *Sound) Seconds() Seconds { return Seconds(float64(s.Samples) / float64(s.Rate())) }

// Finder takes what is found in a sound. An error ends the search.
type Finder struct {
	Window func(polyphon.Window) error
	Event  func(polyphon.Event) error
}

// Find passes the windows or events of a sound that is longer than a window, or is to be searched for events, to f, and
// adds the answers for windows to whole. It returns the labels over the whole.
func Find(
	ctx context.Context, r *polyphon.Recognizer, way string, src audio.Source, whole *polyphon.Overall, f Finder,
) ([]polyphon.Score, error) {
	switch way {
	case AsClip:
		if err := r.ClassifyOverall(ctx, src, whole); err != nil {
			return nil, err
		}
	case AsWindows:
		for found, err := range r.Windows(ctx, src) {
			if err == nil {
				whole.Add(found.Scores)
				err = f.Window(found)
			}
			if err != nil {
				return nil, err
			}
		}
	case AsEvents:
		for found, err := range r.EventsOverall(ctx, src, whole) {
			if err == nil {
				err = f.Event(found)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return whole.Scores(), nil
}
