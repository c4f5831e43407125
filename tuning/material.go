package tuning

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
)

// Recording is a clip with the words that are said in it.
type Recording struct {
	audio.Clip
	Words []Word // in order
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
}

// Recordings returns recordings of the words in Clips on backgrounds, of other words (those with a label for which
// detect.Background is true) on backgrounds, of backgrounds alone, and those in Recorded.
//
// Files in Recorded are used as they are: their cue points with labels of the model are the words said in them. A point
// without a length is a word that begins and ends there.
func (m *Material) Recordings() ([]Recording, error) {
	m.warnings = datasets.Warnings{}
	defer func() {
		for _, sentence := range m.warnings.Sentences() {
			m.Note(fmt.Errorf("warning: %s", sentence))
		}
	}()
	var backgrounds [][]float32
	err := m.readFolders(m.Backgrounds, func(_ string, c audio.Clip) { backgrounds = append(backgrounds, c.Samples) })
	if err != nil {
		return nil, err
	}
	if len(backgrounds) == 0 {
		return nil, fmt.Errorf("no recording below %v could be read", m.Backgrounds)
	}
	words, others := m.clips()
	if len(words) == 0 {
		return nil, errors.New("no clip of a word of the model could be read")
	}
	list := m.scenes(words, others, backgrounds)
	err = m.readFolders(m.Recorded, func(path string, c audio.Clip) {
		if words, ok := m.words(path); ok {
			list = append(list, Recording{c, words, Recorded})
		}
	})
	return list, err
}

// clips returns the clips of words and of other words. It reads a file once for all its clips in a row.
func (m *Material) clips() (words, others []clip) {
	path, file, ok := "", audio.Clip{}, false
	for _, it := range m.Clips {
		if it.Silence {
			continue
		}
		if it.Path != path {
			path = it.Path
			file, ok = m.read(path)
		}
		if !ok {
			continue
		}
		samples := file.Samples
		if it.Part != (datasets.Span{}) {
			part := it.Span(m.Window)
			at := func(seconds float64) int { return min(int(seconds*float64(m.Rate)), len(file.Samples)) }
			samples = slices.Clone(samples[at(part.From):at(part.To)])
		}
		switch c := (clip{m.Labels[it.Label], samples}); {
		case len(samples) == 0:
			m.Note(fmt.Errorf("skipped %s: %w at %g seconds", path, audio.ErrEmpty, it.Part.From))
		case detect.Background(c.label):
			others = append(others, c)
		default:
			words = append(words, c)
		}
	}
	return words, others
}

// readFolders calls use with each sound file in the folders that can be read.
func (m *Material) readFolders(folders []string, use func(path string, c audio.Clip)) error {
	for _, folder := range folders {
		for f, err := range audio.Files(folder) {
			if err != nil {
				return err
			}
			if c, ok := m.read(f.Path); ok {
				use(f.Path, c)
			}
		}
	}
	return nil
}

// read returns a file's sound, or false where it has none.
func (m *Material) read(path string) (audio.Clip, bool) {
	c, err := audio.ReadFile(path, m.Rate)
	if err == nil && len(c.Samples) == 0 {
		err = fmt.Errorf("%s: %w", path, audio.ErrEmpty)
	}
	if err != nil {
		m.Note(fmt.Errorf("skipped %w", err))
	} else if c.Warning != "" {
		m.warnings[path] = c.Warning
	}
	return c, err == nil
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
