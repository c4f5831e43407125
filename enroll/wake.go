package enroll

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/tuning"
)

// Sound is running sound in which a word is not said, as embeddings of its windows.
type Sound struct {
	Seconds float64 // of all
	Every   int     // above 1, one of so many windows is kept, with which nothing can be tuned
	tracks  []track
}

// track is the windows of one recording: rows of a background.
type track struct {
	first int
	ends  []float64
}

// maxSound is how many seconds of running sound are used: their embeddings take up to 800 MB.
const maxSound = 8 * 3600

// AddSounds adds what is below a folder, or a file, to the background: short files as clips of words that are named
// like their folders, windows of longer ones as running sound, which Sound keeps. Files that cannot be read are given
// to skip, and so is the first that is beyond eight hours of running sound. An error is of the folder.
func (e *Embedder) AddSounds(ctx context.Context, b *Background, s *Sound, folder string, skip func(error)) error {
	rate := e.model.Features.Rate
	short := longClip * float64(e.model.WindowSamples())
	words := map[string][]string{} // short files by word
	for f, err := range audio.Files(folder) {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && f.Path == folder {
				return err
			}
			skip(err)
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := audio.ReadFile(f.Path, rate)
		switch {
		case err != nil:
			skip(err)
		case float64(len(c.Samples)) <= short:
			name := path.Base(path.Dir(f.Rel))
			words[name] = append(words[name], f.Path)
		case s.Seconds > maxSound:
			skip(fmt.Errorf("%s and what follows is left out: there are %d hours of sound already", f.Path, maxSound/3600))
			return nil
		default:
			if err := e.addRunning(b, s, f.Path, c.Samples); err != nil {
				return err
			}
			s.Seconds += float64(len(c.Samples)) / float64(rate)
		}
	}
	for _, word := range slices.Sorted(maps.Keys(words)) {
		if err := e.AddClips(ctx, b, word, words[word], skip); err != nil {
			return err
		}
	}
	return nil
}

// addRunning adds the windows of a recording.
func (e *Embedder) addRunning(b *Background, s *Sound, name string, samples []float32) error {
	class := b.class(Class{name, true})
	if s.Every <= 1 {
		t := track{first: len(b.Rows.Truth)}
		var err error
		t.ends, err = e.stream(&b.Rows, samples, class)
		s.tracks = append(s.tracks, t)
		return err
	}
	var rows calibrate.Embeddings
	_, err := e.stream(&rows, samples, class)
	for i := s.Every / 2; i < len(rows.Truth); i += s.Every {
		add(&b.Rows, rows.Values[i*rows.Width:(i+1)*rows.Width], rows.Truth[i:i+1])
	}
	return err
}

// AddClips adds clips of another word to the background. Files that cannot be read are given to skip.
func (e *Embedder) AddClips(ctx context.Context, b *Background, word string, paths []string, skip func(error)) error {
	var items []datasets.Item
	for _, path := range paths {
		items = append(items, datasets.Item{Path: path})
	}
	rows, err := e.Clips(ctx, items, 0, 0, skip)
	if err != nil {
		return err
	}
	class := b.class(Class{Name: word})
	for i := range rows.Truth {
		add(&b.Rows, rows.Values[i*rows.Width:(i+1)*rows.Width], []int{class})
	}
	return nil
}

// Wake is the operating point of a word in running sound.
type Wake struct {
	Point  detect.Config
	Events int     // in the sound, by parts of it that make the others' detectors
	Hours  float64 // of the sound
	Clips  int
	Missed int // of the clips, each by what the others make
}

// Tune finds the operating point of a word at which a detector has at most so many events an hour in sound that it was
// not made of. The word was made of x and b, to which the sound was added.
func (e *Embedder) Tune(w *Word, x *Examples, b *Background, s *Sound, perHour float64) (*Wake, error) {
	if s.Every > 1 || s.Seconds == 0 {
		return nil, fmt.Errorf("%w: there is no running sound to count events in", ErrWord)
	}
	f, err := newFitter(b, w.Label, w.running)
	if err != nil {
		return nil, err
	}
	logit := make([]float64, len(b.Rows.Truth))
	slope := certain / (1 - w.threshold)
	clips := x.rows
	mean := meanOf(clips, func(int) bool { return true })
	err = f.crossScores(mean, func(row int, score float64) { logit[row] = slope * (score - w.threshold) })
	if err != nil {
		return nil, err
	}
	streams, err := e.streams(x.items)
	if err != nil {
		return nil, err
	}
	logits := make([][]float64, len(streams)) // logits of the windows of each clip, by what the others make
	for i, stream := range streams {
		by, err := f.all.scoreOf(meanOf(clips, func(clip int) bool { return clip != i || len(streams) == 1 }))
		if err != nil {
			return nil, err
		}
		for row := range slices.Chunk(stream.rows.Values, clips.Width) {
			logits[i] = append(logits[i], slope*(by.of(row)-w.threshold))
		}
	}
	var best *Wake
	for _, smoothing := range []float64{0, 0.1, 0.2, 0.3, 0.45} {
		point := detect.Default(e.model.Window)
		point.Smoothing = smoothing * e.model.Window
		wake, err := s.lowest(point, w.Label, logit, perHour)
		if err != nil {
			return nil, err
		}
		wake.Clips = len(streams)
		wake.Missed, err = missed(wake.Point, w.Label, logits, streams)
		if err != nil {
			return nil, err
		}
		// Of equals, the one with the lower threshold leaves more room.
		if best == nil || cmp.Or(best.Missed-wake.Missed, cmp.Compare(best.Point.Threshold, wake.Point.Threshold)) > 0 {
			best = wake
		}
	}
	return best, nil
}

// thresholds are probabilities, in steps of a quarter of their logits.
func thresholds() (list []float64) {
	for logit := -2.0; logit <= 8; logit += 0.25 {
		list = append(list, sigmoid(logit))
	}
	return list
}

func sigmoid(logit float64) float64 { return 1 / (1 + math.Exp(-logit)) }

// lowest returns the point with the lowest threshold that has at most so many events an hour, or the highest threshold.
func (s *Sound) lowest(point detect.Config, label string, logit []float64, perHour float64) (*Wake, error) {
	list, hours := thresholds(), s.Seconds/3600
	wake := &Wake{Hours: hours}
	low, high := 0, len(list)-1 // events hardly ever grow with the threshold
	for low < high {
		middle := (low + high) / 2
		point.Threshold = list[middle]
		n, err := s.events(point, label, logit)
		if err != nil {
			return nil, err
		}
		if float64(n) <= perHour*hours {
			high = middle
		} else {
			low = middle + 1
		}
	}
	point.Threshold = list[low]
	n, err := s.events(point, label, logit)
	wake.Point, wake.Events = point, n
	return wake, err
}

// events counts those of all recordings.
func (s *Sound) events(point detect.Config, label string, logit []float64) (n int, err error) {
	for _, t := range s.tracks {
		some, err := count(point, label, logit[t.first:t.first+len(t.ends)], t.ends)
		if err != nil {
			return 0, err
		}
		n += some
	}
	return n, nil
}

// count returns the number of events that windows with these logits and ends make.
func count(point detect.Config, label string, logit, ends []float64) (n int, err error) {
	d, err := detect.New([]string{label}, point)
	if err != nil {
		return 0, err
	}
	for i, end := range ends {
		if _, ok := d.Push(max(end-1, 0), end, end, []float64{sigmoid(logit[i])}); ok {
			n++
		}
	}
	return n, nil
}

// missed returns how many of the streams, whose windows have these logits, make no event.
func missed(point detect.Config, label string, logits [][]float64, streams []stream) (n int, err error) {
	for i, stream := range streams {
		some, err := count(point, label, logits[i], stream.ends)
		if err != nil {
			return 0, err
		}
		if some == 0 {
			n++
		}
	}
	return n, nil
}

// stream is the windows of a clip between silences.
type stream struct {
	rows calibrate.Embeddings
	ends []float64
}

// streams returns those of clips.
func (e *Embedder) streams(items []datasets.Item) (list []stream, err error) {
	pause := make([]float32, e.model.WindowSamples())
	for i, it := range items {
		samples, err := e.samples(it)
		if err != nil {
			return nil, err
		}
		var s stream
		if s.ends, err = e.stream(&s.rows, slices.Concat(pause, samples, pause), i); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// MissInterval and EventInterval hold the true share of misses, and events an hour, with 95 % confidence.
func (w *Wake) MissInterval() tuning.Interval { return tuning.BinomialInterval(w.Missed, w.Clips) }

// EventInterval is that of events an hour.
func (w *Wake) EventInterval() tuning.Interval {
	return tuning.Counts{FalseAlarms: w.Events, Hours: w.Hours}.FalseAlarmInterval()
}
