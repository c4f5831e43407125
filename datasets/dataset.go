// Package datasets says which clip has which label and split, and makes batches of augmented features for training.
package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"golang.org/x/sync/errgroup"
)

// Split is a part of a data set. Splits never share a speaker where file names state the speaker; see Open.
type Split int

// The splits.
const (
	Train Split = iota
	Valid
	Test
	All // every clip, for evaluation
)

// Errors that Open and Loader wrap with the fact.
var (
	ErrNoData  = errors.New("no usable data")       // no clips, an empty split, a single class
	ErrOptions = errors.New("invalid data options") // a word without a folder, ...
)

// Span is a part of a recording, in seconds.
type Span struct{ From, To float64 }

// Item is one example: a clip, a part of a recording with cue points, or silence, which is cut from a noise recording.
type Item struct {
	Path   string      // of the file, or the name of a sound in memory
	Word   string      // the class folder's name, the cue point's label, or the name of the noise recordings' folder
	Label  int         // index into Set.Labels
	Other  bool        // the label is `_unknown_`
	Split  Split       // Train, Valid or Test
	Memory *audio.Clip // the sound, where it is no file's
	Part   Span        // of the file, zero for all of it; of silence examples, the split's part, in which they lie
	Point  bool        // of a cue point without a length: the example is one window from Part.From on, not beyond Part.To
	// Of silence examples and negatives:
	Silence  bool
	Negative bool    // cut from a recording of Options.Negatives; Other is true
	Offset   float64 // where in Part the example begins, as a share in [0, 1) of the possible beginnings
	Gain     float64 // a factor, of silence
}

// Span returns the part of the file in which the example lies, for windows of so many seconds.
func (it Item) Span(window float64) Span {
	switch {
	case it.Part == Span{}:
		return Span{0, maxSeconds}
	case it.Point:
		return Span{it.Part.From, min(it.Part.To, it.Part.From+window)}
	}
	return it.Part
}

// Options says what Open makes of a folder.
type Options struct {
	// Words are the labels to learn; empty means every class. With Words, any other classes become `_unknown_`.
	Words []string
	// Labels, when given, are a model's labels in its order (evaluation): classes that are not among them become
	// `_unknown_` where Labels has it and are left out (Set.Ignored) otherwise. Excludes Words.
	Labels []string
	// Unknown and Silence are the shares of `_unknown_` and `_silence_` examples, relative to the number of word clips
	// of the split (Google's protocol: 0.1 each). With Labels, all unknown clips are used. Where they are fewer, training
	// shows each of them up to four times in an epoch.
	Unknown, Silence float64
	Seed             int64    // draws _unknown_ and _silence_ of the training split; the other splits' draw is fixed
	Noise            []string // folders of more recordings without words, used as those of `_background_noise_` are
	// Negatives are folders of recordings of any length in which none of the words is said, such as running speech.
	// Examples of `_unknown_` are cut from them anywhere, NegativeShare as many as there are word clips, and in training
	// pieces of them stand before and after clips, and are mixed with them.
	Negatives     []string
	NegativeShare float64
	// Extra names folders of more clips for training only, synthesised words for example, laid out like the data
	// folder. All clips in them that are of none of the words become `_unknown_` where that is a label.
	Extra []string
	// ValidFold and TestFold are the numbers of the folds held out in the layout foldK/CLASS. A TestFold of 0 is the fold
	// with the highest number, -1 holds none out. A ValidFold of 0 is a tenth of the other folds' clips, by hash.
	ValidFold, TestFold int
	// Folds, where it is not 0, divides a folder without folds into so many, speakers never divided, as Open says of the
	// layout foldK/CLASS.
	Folds int
	// MakeNoise has a synthesised recording of noise stand in where there is none, so that there are examples of
	// `_silence_`.
	MakeNoise bool
}

// Set is a data set: labels and examples, in an order that depends only on the folder's contents and the options.
type Set struct {
	Dir    string
	Labels []string // words in sorted or given order, then _unknown_, then _silence_ (those that exist)
	Items  []Item
	Noise  []Recording // background recordings
	// Negatives are recordings in which none of the words is said.
	Negatives []Recording
	Ignored   map[string]int // classes left out, with their number of clips; "." counts clips beside the class folders
	Folds     []int          // the numbers of the folds, sorted; nil where there are none
	Rule      string         // how the clips were split
	Notes     []string       // what a user should know about the data, one sentence each

	files []dataFile     // every file that decides the set
	index map[string]int // of each label in Labels, by its normalised form
}

// dataFile is a file, or a sound in memory, by its path and by its name in the digest.
type dataFile struct {
	path, name string
	memory     *audio.Clip
}

// Split returns the examples of one split, in the set's order.
func (s *Set) Split(sp Split) []Item {
	return slices.DeleteFunc(slices.Clone(s.Items), func(it Item) bool { return sp != All && it.Split != sp })
}

// counts returns the number of each label's examples in each split.
func (s *Set) counts() [][All]int {
	counts := make([][All]int, len(s.Labels))
	for _, it := range s.Items {
		counts[it.Label][it.Split]++
	}
	return counts
}

// words returns the number of examples of words in each split.
func (s *Set) words() (words [All]int) {
	for _, it := range s.Items {
		if !detect.Background(s.Labels[it.Label]) {
			words[it.Split]++
		}
	}
	return words
}

// Digest returns the SHA-256, in hex, of the data folder: of what `sha256sum` prints for its clips, noise recordings
// and split lists, their paths below Dir (with slashes) sorted by bytes, followed by the files of Options.Noise, as
// noise/NAME, those of Options.Negatives, as negatives/PATH, and those of Options.Extra, as extra/CLASS/NAME, in order.
// Files that may not be opened and dangling links, which training skips, count with "-" for their sum. It reads every
// file, on all cores.
func (s *Set) Digest(ctx context.Context, progress Progress) (string, error) {
	sums := make([]string, len(s.files))
	err := forEach(ctx, len(sums), progress, func(i int) (err error) {
		sums[i], err = s.files[i].sum()
		return err
	})
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for i, f := range s.files {
		fmt.Fprintf(h, "%s  %s\n", sums[i], f.name)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// sum returns a file's SHA-256 in hex, or "-"; see Digest.
func (d dataFile) sum() (string, error) {
	h := sha256.New()
	if d.memory != nil {
		fmt.Fprintln(h, d.memory.Rate)
		err := binary.Write(h, binary.LittleEndian, d.memory.Samples)
		return fmt.Sprintf("%x", h.Sum(nil)), err
	}
	f, err := os.Open(d.path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "-", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// Progress receives how many clips of work on all of them are done. It is called by one goroutine at a time, and may be
// nil.
type Progress func(done, total int)

// forEach calls do with the numbers below n, on all cores, and returns the first error. Once ctx has ended it calls do
// no more and returns ctx's error.
func forEach(ctx context.Context, n int, progress Progress, do func(i int) error) error {
	var mutex sync.Mutex
	done := 0
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := do(i)
			if progress != nil {
				mutex.Lock()
				defer mutex.Unlock()
				done++
				progress(done, n)
			}
			return err
		})
	}
	return group.Wait()
}
