package tuning

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
)

// Recording is sound with the words that are said in it.
type Recording struct {
	Sound  audio.Source // is read once, and closed where it is an io.Closer
	Words  []Word       // of the model, in order
	Others []Word       // that are none of the model's, in order
	Kind   Kind
	Folder string // of Material.Without, in which a Wordless recording's files are
}

// Word is a word that is said in a recording, in seconds since its beginning.
type Word struct {
	Label      string // of another word: the name of its folder
	Start, End float64
}

// Kind says what a recording consists of.
type Kind int

// The kinds of recordings.
const (
	Wordless  Kind = iota // files without words
	OtherWord             // words that are none of the model's, on a background
	Recorded              // a file with cue points
	Spoken                // words of the model, one by one, on a background
	Fluent                // words of the model without pauses, on a background
)

// Judged reports whether false alarms in recordings of the kind count for an operating point: in those in which words
// are said all the time, confusions would, which are misses, too.
func (k Kind) Judged() bool { return k != Spoken && k != Fluent }

// Material says what Recordings are made of.
type Material struct {
	Labels   []string        // of the model
	Rate     int             // of the model, hertz
	Window   float64         // of the model, seconds
	Clips    []datasets.Item // of single words, with indices into Labels; silence is left out
	Without  []string        // folders of files without words
	Under    []string        // folders of files that are mixed under words; those of Without where empty
	Recorded []string        // folders of files with cue points
	Fluent   bool            // whether words are said without pauses, too
	SNR      float64         // of each clip over its background, in dB of mean powers
	Minutes  float64         // of each folder of Without, and of other words, at most; 0: all
	Seed     int64           // of the order of words and the pauses between them
	// Note gets an error about each file or part of a file that is left out, because it cannot be read, is empty or has
	// no cue points, about each file of Recorded in which no cue point is a word of the model, and, after all these,
	// about each kind of fault in files that could be read.
	Note func(error)

	measured map[string][]background // by folder of Without and Under
	warnings datasets.Warnings
	unread   map[string]bool // files that could not be read, which have been noted
}

// Recordings yields recordings of the words in Clips on backgrounds, one by one and, with Fluent, without pauses, of
// other words (those with a label for which detect.Background is true) on backgrounds, of the files in Without, and
// those in Recorded. Each clip of a word and each file is used once, so that what is counted are independent events,
// but for Fluent words, which are said a second time. A recording is made when it is asked for: of what lies in files
// of its own, no more than one is in memory.
//
// Files in Recorded are used as they are: their cue points with labels of the model are the words said in them. A point
// without a length is a word that begins and ends there.
func (m *Material) Recordings() iter.Seq2[Recording, error] {
	return func(yield func(Recording, error) bool) {
		if err := m.make(func(r Recording) bool { return yield(r, nil) }); err != nil {
			yield(Recording{}, err)
		}
		for _, sentence := range m.warnings.Sentences() {
			m.Note(fmt.Errorf("warning: %s", sentence))
		}
		m.warnings = nil
	}
}

// Seconds returns about how many seconds of sound the Recordings have but those in Recorded. It reads the files of
// Without and Under through.
func (m *Material) Seconds() (total float64, err error) {
	if err := m.measureAll(); err != nil {
		return 0, err
	}
	for _, folder := range m.Without {
		for _, c := range m.chains(m.measured[folder], m.most()) {
			total += float64(c.samples) / float64(m.Rate)
		}
	}
	words, others := m.clips()
	clip := m.Window + (minPause+maxPause)/2 + 2.0*leadIn/clipsInScene
	total += clip * float64(len(words))
	if m.Fluent {
		total += m.Window * float64(len(words))
	}
	said := clip * float64(len(others))
	return total + min(said, float64(m.most())/float64(m.Rate)), nil
}

// most returns how many samples of a folder, and of other words, are used at most.
func (m *Material) most() int {
	if m.Minutes == 0 {
		return math.MaxInt
	}
	return int(math.Ceil(60 * m.Minutes * float64(m.Rate)))
}

// under returns the folders of files that are mixed under words.
func (m *Material) under() []string {
	if len(m.Under) > 0 {
		return m.Under
	}
	return m.Without
}

// measureAll measures the files of Without and Under that have not been measured.
func (m *Material) measureAll() error {
	if m.measured == nil {
		m.measured = map[string][]background{}
	}
	for _, folder := range slices.Concat(m.Without, m.under()) {
		if m.measured[folder] != nil {
			continue
		}
		var list []background
		err := m.eachFile([]string{folder}, func(path string) bool {
			if b, ok := m.measure(path); ok {
				list = append(list, b)
			}
			return true
		})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return fmt.Errorf("no recording below %s could be read", folder)
		}
		m.measured[folder] = list
	}
	return nil
}

// make makes the recordings, until use returns false.
func (m *Material) make(use func(Recording) bool) error {
	if err := m.measureAll(); err != nil {
		return err
	}
	if goOn, err := m.scenes(use); err != nil || !goOn {
		return err
	}
	for _, folder := range m.Without {
		for _, c := range m.chains(m.measured[folder], m.most()) {
			if !use(Recording{Sound: c, Kind: Wordless, Folder: folder}) {
				return nil
			}
		}
	}
	return m.eachFile(m.Recorded, func(path string) bool {
		b, ok := m.measure(path)
		if !ok {
			return true
		}
		words, ok := m.words(path)
		sound := &chain{m: m, files: []background{b}, samples: b.samples}
		return !ok || use(Recording{Sound: sound, Words: words, Kind: Recorded})
	})
}

// clips returns the clips of words and of other words, without their samples.
func (m *Material) clips() (words, others []clip) {
	for _, it := range m.Clips {
		switch label := m.Labels[it.Label]; {
		case it.Silence:
		case detect.Background(label):
			others = append(others, clip{label: it.Word, item: it})
		default:
			words = append(words, clip{label: label, item: it})
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
		if m.unread == nil {
			m.unread = map[string]bool{}
		}
		m.unread[path] = true
		m.Note(fmt.Errorf("skipped %w", err))
	} else if warning != "" {
		if m.warnings == nil {
			m.warnings = datasets.Warnings{}
		}
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
