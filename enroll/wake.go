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
	"path/filepath"
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
	pieces  [][]float32 // some of it
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
// to skip, and so are those with the sound of an example of x, which may be nil, and the first that is beyond eight
// hours of running sound. An error is of the folder, and wraps ErrWord where nothing in it is sound.
func (e *Embedder) AddSounds(
	ctx context.Context, b *Background, s *Sound, x *Examples, folder string, skip func(error),
) error {
	whole, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	empty := true
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
		empty = false
		c, err := audio.ReadFile(f.Path, rate)
		same := x.fileOf(c.Samples)
		switch {
		case err != nil:
			skip(err)
		case same != "":
			skip(fmt.Errorf("%s: it has the sound of %s, a clip of the word", f.Path, same))
		case float64(len(c.Samples)) <= short:
			name := path.Base(path.Dir(f.Rel))
			if name == "." && f.Path == folder {
				name = filepath.Base(filepath.Dir(whole))
			} else if name == "." {
				name = filepath.Base(whole)
			}
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
	if empty {
		return fmt.Errorf("%w: there are no sound files in %s", ErrWord, folder)
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
	if n := int(pieceSeconds * float64(e.model.Features.Rate)); len(s.pieces) < maxPieces && len(samples) >= n {
		at := (len(s.pieces) * 7919 * n) % (len(samples) - n + 1) // somewhere in it
		s.pieces = append(s.pieces, slices.Clone(samples[at:at+n]))
	}
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
	Missed int  // of the clips, each by what the others make
	Over   bool // there are more events an hour at every threshold than are wanted

	at int // number of the threshold
}

// Tune finds the operating point of a word at which so many events an hour are to be expected in sound that a detector
// was not made of. The word was made of x, which was surrounded with the sound, and of b, to which it was added.
func (e *Embedder) Tune(w *Word, x *Examples, b *Background, s *Sound, perHour float64) (*Wake, error) {
	if s.Every > 1 || s.Seconds == 0 || len(x.surrounded) == 0 {
		return nil, fmt.Errorf("%w: there is no running sound to count events in", ErrWord)
	}
	f, err := newFitter(b, w.Label, w.running)
	if err != nil {
		return nil, err
	}
	logit := make([]float64, len(b.Rows.Truth))
	mean := meanOf(x.rows, func(int) bool { return true })
	err = f.crossScores(mean, func(row int, score float64) { logit[row] = w.logit(score) })
	if err != nil {
		return nil, err
	}
	by := make([]score, len(x.items)) // of each clip, what the others make
	for i := range by {
		others := meanOf(x.rows, func(clip int) bool { return clip != i || len(by) == 1 })
		if by[i], err = f.all.scoreOf(others); err != nil {
			return nil, err
		}
	}
	var best *Wake
	room := 0.0
	for _, smoothing := range []float64{0, 0.1, 0.2, 0.3, 0.45} {
		point := detect.Default(e.model.Window)
		point.Smoothing = smoothing * e.model.Window
		low, few, err := s.lowest(point, w.Label, logit, perHour)
		if err != nil {
			return nil, err
		}
		var peaks []int
		for i := range by {
			own := func(row []float64) float64 { return w.logit(by[i].of(row)) }
			peak, err := x.peak(i, point, w.Label, own)
			if err != nil {
				return nil, err
			}
			peaks = append(peaks, peak)
		}
		wake, left := between(low, few, peaks)
		if best == nil || cmp.Or(best.Missed-wake.Missed, cmp.Compare(left, room)) > 0 {
			wake.Point, wake.Hours = point, s.Seconds/3600
			wake.Point.Threshold = thresholds()[wake.at]
			if wake.Events, err = s.events(wake.Point, w.Label, logit); err != nil {
				return nil, err
			}
			wake.Over = wake.at == len(thresholds())-1 && float64(wake.Events) > perHour*wake.Hours
			best, room = wake, left
		}
	}
	return best, nil
}

// between returns the lowest threshold that sound allows. Where few events say what it is, it is the one in the middle
// between that and the one at which four clips of five are found, but at least the lowest: what is there in other sound
// lies on both sides. room is how far the two are apart.
func between(low int, few bool, peaks []int) (w *Wake, room float64) {
	slices.Sort(peaks)
	high := peaks[len(peaks)/5]
	w = &Wake{Clips: len(peaks), at: low}
	if few {
		w.at += max(high-low, 0) / 2
	}
	for _, peak := range peaks {
		if peak < w.at {
			w.Missed++
		}
	}
	return w, float64(high - low)
}

// thresholdStep is the step from one threshold to the next, as a logit.
const thresholdStep = 0.25

// thresholds are probabilities, in steps of their logits.
func thresholds() (list []float64) {
	for logit := -2.0; logit <= 8; logit += thresholdStep {
		list = append(list, sigmoid(logit))
	}
	return list
}

func sigmoid(logit float64) float64 { return 1 / (1 + math.Exp(-logit)) }

// tailEvents is how many events sound has at the threshold from which on they are taken to get rarer exponentially.
const tailEvents = 10

// lowest returns the number of the lowest threshold at which so many events an hour are to be expected in other sound
// like this. The threshold above the highest event of half an hour is exceeded in another half hour as often as not,
// and differs much from one half hour to another. So the number is extrapolated from a threshold with more events, by
// the mean of how far these are above it. few says that the sound has fewer at any threshold: then it is the lowest one
// at which the sound itself has no more than that.
func (s *Sound) lowest(
	point detect.Config, label string, logit []float64, perHour float64,
) (at int, few bool, err error) {
	list, allowed := thresholds(), perHour*s.Seconds/3600
	at = len(list) - 1
	above := 0 // events at all higher thresholds
	for i, threshold := range slices.Backward(list) {
		point.Threshold = threshold
		n, err := s.events(point, label, logit)
		switch {
		case err != nil:
			return 0, false, err
		case float64(n) <= allowed:
			at = i
		case n >= tailEvents && allowed > 0:
			excess := thresholdStep * (0.5 + float64(above)/float64(n))
			steps := math.Ceil(excess * math.Log(float64(n)/allowed) / thresholdStep)
			return min(i+int(steps), len(list)-1), false, nil
		}
		above += n
	}
	return at, true, nil
}

// events counts those of all recordings.
func (s *Sound) events(point detect.Config, label string, logit []float64) (n int, err error) {
	for _, t := range s.tracks {
		some, err := eventsAt(point, label, logit[t.first:t.first+len(t.ends)], t.ends)
		if err != nil {
			return 0, err
		}
		n += len(some)
	}
	return n, nil
}

// Windows are the embeddings of a sound's windows, which detectors of any word take.
type Windows struct {
	rows calibrate.Embeddings
	ends []float64
}

// Windows returns those of samples at the model's rate.
func (e *Embedder) Windows(samples []float32) (*Windows, error) {
	var w Windows
	var err error
	w.ends, err = e.stream(&w.rows, samples, 0)
	return &w, err
}

// Events returns how many events the detector of w alone has in a sound, as New's model has them at this point.
func (w *Word) Events(point detect.Config, s *Windows) (int, error) {
	var logits []float64
	for row := range slices.Chunk(s.rows.Values, s.rows.Width) {
		logits = append(logits, w.logit(w.score.of(row)))
	}
	at, err := eventsAt(point, w.Label, logits, s.ends)
	return len(at), err
}

// eventsAt returns the ends of the windows that begin events, of windows with these logits and ends. When windows begin
// says nothing of whether there is an event.
func eventsAt(point detect.Config, label string, logit, ends []float64) (at []float64, err error) {
	d, err := detect.New([]string{label}, point)
	if err != nil {
		return nil, err
	}
	for i, end := range ends {
		if _, ok := d.Push(0, end, end, []float64{sigmoid(logit[i])}); ok {
			at = append(at, end)
		}
	}
	return at, nil
}

// MissInterval and EventInterval hold the true share of misses, and events an hour, with 95 % confidence.
func (w *Wake) MissInterval() tuning.Interval { return tuning.BinomialInterval(w.Missed, w.Clips) }

// EventInterval is that of events an hour.
func (w *Wake) EventInterval() tuning.Interval {
	return tuning.Counts{FalseAlarms: w.Events, Hours: w.Hours}.FalseAlarmInterval()
}
