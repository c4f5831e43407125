package tuning

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
)

// Recording is sound with the words that are said in it.
type Recording struct {
	Sound audio.Source // is read once, and closed where it is an io.Closer
	Words []Word       // in order
	Kind  Kind
}

// Word is a word that is said in a recording, in seconds since its beginning.
type Word struct {
	Label      string
	Start, End float64
}

// Kind says what a recording consists of.
type Kind int

// The kinds of recordings.
const (
	Spoken    Kind = iota // words of the model, on a background
	OtherWord             // words that are none of the model's, on a background
	Wordless              // backgrounds alone
	Recorded              // a file with cue points
	kinds
)

// Material says what Recordings are made of.
type Material struct {
	Labels      []string        // of the model
	Rate        int             // of the model, hertz
	Window      float64         // of the model, seconds
	Clips       []datasets.Item // of single words, with indices into Labels; silence is left out
	Backgrounds []string        // folders of files without words
	Recorded    []string        // folders of files with cue points
	SNR         float64         // of words over their background, in dB of mean powers
	Minutes     float64         // of other words, and of backgrounds alone, at least
	Seed        int64           // of the order of words and the pauses between them
	// Note gets an error about each file or part of a file that is left out, because it cannot be read, is empty or has
	// no cue points, about each file of Recorded in which no cue point is a word of the model, and, after all these,
	// about each kind of fault in files that could be read.
	Note func(error)

	warnings datasets.Warnings
	unread   map[string]bool // files that could not be read, which have been noted
}

// Recordings yields recordings of the words in Clips on backgrounds, of other words (those with a label for which
// detect.Background is true) on backgrounds, one of backgrounds alone, and those in Recorded. Each is made when it is
// asked for: of what lies in files of its own, no more than one recording is in memory.
//
// Files in Recorded are used as they are: their cue points with labels of the model are the words said in them. A point
// without a length is a word that begins and ends there.
func (m *Material) Recordings() iter.Seq2[Recording, error] {
	return func(yield func(Recording, error) bool) {
		m.warnings, m.unread = datasets.Warnings{}, map[string]bool{}
		defer func() {
			for _, sentence := range m.warnings.Sentences() {
				m.Note(fmt.Errorf("warning: %s", sentence))
			}
		}()
		if err := m.make(func(r Recording) bool { return yield(r, nil) }); err != nil {
			yield(Recording{}, err)
		}
	}
}

// Seconds returns about how many seconds of sound the Recordings have but those in Recorded.
func (m *Material) Seconds() float64 {
	words, others := m.clips()
	total := 60*m.Minutes + float64(len(words))*(m.Window+(minPause+maxPause)/2+2.0*leadIn/clipsInScene)
	if len(others) > 0 {
		total += 60 * m.Minutes
	}
	return total
}

// make makes the recordings, until use returns false.
func (m *Material) make(use func(Recording) bool) error {
	var backgrounds []background
	err := m.eachFile(m.Backgrounds, func(path string) bool {
		if b, ok := m.measure(path); ok {
			backgrounds = append(backgrounds, b)
		}
		return true
	})
	if err != nil {
		return err
	}
	if len(backgrounds) == 0 {
		return fmt.Errorf("no recording below %v could be read", m.Backgrounds)
	}
	if goOn, err := m.scenes(backgrounds, use); err != nil || !goOn {
		return err
	}
	return m.eachFile(m.Recorded, func(path string) bool {
		b, ok := m.measure(path)
		if !ok {
			return true
		}
		words, ok := m.words(path)
		return !ok || use(Recording{&chain{m: m, files: []background{b}}, words, Recorded})
	})
}

// clips returns the clips of words and of other words, without their samples.
func (m *Material) clips() (words, others []clip) {
	for _, it := range m.Clips {
		switch c := (clip{label: m.Labels[it.Label], item: it}); {
		case it.Silence:
		case detect.Background(c.label):
			others = append(others, c)
		default:
			words = append(words, c)
		}
	}
	return words, others
}

// readParts reads the clips that are parts of files, a file once for all its clips, which have samples from then on.
func (m *Material) readParts(clips []clip) {
	files := map[string]audio.Clip{}
	for i := range clips {
		c := &clips[i]
		if c.item.Part == (datasets.Span{}) {
			continue
		}
		file, read := files[c.item.Path]
		if !read {
			clear(files) // clips of a file come in a row
			file, _ = m.read(c.item.Path)
			files[c.item.Path] = file
		}
		part := c.item.Span(m.Window)
		at := func(seconds float64) int { return min(int(seconds*float64(m.Rate)), len(file.Samples)) }
		c.samples = slices.Clone(file.Samples[at(part.From):at(part.To)])
		if len(c.samples) == 0 && len(file.Samples) > 0 {
			m.Note(fmt.Errorf("skipped %s: %w at %g seconds", c.item.Path, audio.ErrEmpty, c.item.Part.From))
		}
	}
}

// load returns those of the clips that can be read, with their samples.
func (m *Material) load(clips []clip) (loaded []clip) {
	for _, c := range clips {
		if c.item.Part == (datasets.Span{}) {
			file, _ := m.read(c.item.Path)
			c.samples = file.Samples
		}
		if len(c.samples) > 0 {
			loaded = append(loaded, c)
		}
	}
	return loaded
}

// eachFile calls use with the path of each sound file in the folders, until it returns false.
func (m *Material) eachFile(folders []string, use func(path string) bool) error {
	for _, folder := range folders {
		for f, err := range audio.Files(folder) {
			if err != nil {
				return err
			}
			if !use(f.Path) {
				return nil
			}
		}
	}
	return nil
}

// read returns a file's sound, or false where it has none, which is noted once.
func (m *Material) read(path string) (audio.Clip, bool) {
	if m.unread[path] {
		return audio.Clip{}, false
	}
	c, err := audio.ReadFile(path, m.Rate)
	if err == nil && len(c.Samples) == 0 {
		err = fmt.Errorf("%s: %w", path, audio.ErrEmpty)
	}
	m.note(path, err, c.Warning)
	return c, err == nil
}

// note notes what is wrong with a file.
func (m *Material) note(path string, err error, warning string) {
	if err != nil {
		m.unread[path] = true
		m.Note(fmt.Errorf("skipped %w", err))
	} else if warning != "" {
		m.warnings[path] = warning
	}
}

// words returns the words that a file's cue points name, or false where it has none of them.
func (m *Material) words(path string) (words []Word, ok bool) {
	var cues []audio.Cue
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		cues, err = audio.Cues(f)
	}
	if err == nil && len(cues) == 0 {
		err = errors.New("it has no cue points")
	}
	if err != nil {
		m.Note(fmt.Errorf("skipped %s: %w", path, err))
		return nil, false
	}
	for _, c := range cues {
		label := strings.TrimSpace(c.Label)
		i := slices.IndexFunc(m.Labels, func(l string) bool { return datasets.SameLabel(l, label) })
		if i >= 0 && !detect.Background(label) {
			words = append(words, Word{m.Labels[i], c.Start, c.End})
		}
	}
	if len(words) == 0 {
		m.Note(fmt.Errorf("%s: none of its %d cue points is a word of the model", path, len(cues)))
	}
	return words, true
}
