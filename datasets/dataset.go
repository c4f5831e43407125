// Package datasets says which clip has which label and split, and feeds training with augmented features.
package datasets

import "errors"

// Split is a part of a data set. Splits never share a speaker where file names tell the speaker; see Open.
type Split int

// The splits.
const (
	Train Split = iota
	Valid
	Test
	All // every clip, for evaluation
)

// String returns the split's name.
func (s Split) String() string {
	return [...]string{"training", "validation", "test", "all"}[s]
}

// Labels that are not words.
const (
	UnknownLabel = "_unknown_" // some other word
	SilenceLabel = "_silence_" // no word
)

// Errors that Open and Loader wrap with the fact.
var (
	ErrNoData  = errors.New("no usable data")       // no clips, an empty split, a single class
	ErrOptions = errors.New("invalid data options") // a word without a folder, ...
)

// Item is one example: a clip, or a silence example, which is cut from a noise recording.
type Item struct {
	Path  string // of the file
	Word  string // the class folder's name, or that of the noise recordings' folder
	Label int    // index into Set.Labels
	Other bool   // the label is `_unknown_`
	Split Split  // Train, Valid or Test
	// Of silence examples only: the part of the recording that is the split's, where in it the example begins, as a share
	// in [0, 1) of what there is to choose from, and a factor.
	Silence bool
	Part    Span
	Offset  float64
	Gain    float64
}

// Options says what Open makes of a folder.
type Options struct {
	// Words are the labels to learn; empty means every class folder. With Words given, the other folders
	// become `_unknown_` where there are any.
	Words []string
	// Labels, when given, are a model's labels in its order (evaluation): folders that are not among them become
	// `_unknown_` where Labels has it and are left out (Set.Ignored) otherwise. Excludes Words.
	Labels []string
	// Unknown and Silence are the shares of `_unknown_` and `_silence_` examples, relative to the number of word clips
	// of the split (Google's protocol: 0.1 each). With Labels, all unknown clips are used.
	Unknown, Silence float64
	Seed             int64 // draws _unknown_ and _silence_ of the training split; the other splits' draw is fixed
	// Noise names folders of more recordings without words, which become silence and are mixed in as those of
	// `_background_noise_` are.
	Noise []string
	// Extra names folders of more clips, laid out like the data folder's, which are for training only: synthesised words, say.
	// All clips in them that are of none of the words become `_unknown_` where that is a label.
	Extra []string
	// ValidFold and TestFold are the numbers of the folds held out in the layout foldK/CLASS. 0: the fold with the
	// highest number for the test, and the one before the test fold (the last before the first) for validation.
	ValidFold, TestFold int
}

// Set is a data set: labels and examples, in an order that depends only on the folder's contents and the options.
type Set struct {
	Dir     string
	Labels  []string // words in sorted or given order, then _unknown_, then _silence_ (those that exist)
	Items   []Item
	Noise   []Recording    // background recordings
	Ignored map[string]int // folders left out, with their number of clips; "." counts clips beside the class folders
	Notes   []string       // what a user should know about the data, one sentence each

	files []string // every file that decides the set, below Dir with slashes, sorted
	added []added  // the files of Options.Noise and Extra
}

// Split returns the examples of one split, in the set's order.
func (s *Set) Split(sp Split) []Item {
	var items []Item
	for _, it := range s.Items {
		if sp == All || it.Split == sp {
			items = append(items, it)
		}
	}
	return items
}

// Count is the number of a label's examples in each split, indexed by Train, Valid and Test.
type Count struct {
	Label string
	Clips [All]int
}

// Counts returns one row per label, in the order of Labels.
func (s *Set) Counts() []Count {
	counts := make([]Count, len(s.Labels))
	for i, label := range s.Labels {
		counts[i].Label = label
	}
	for _, it := range s.Items {
		counts[it.Label].Clips[it.Split]++
	}
	return counts
}

// added is a file from beyond the data folder.
type added struct{ path, name string } // the name is the digest's
