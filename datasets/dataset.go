// Package datasets says which clip has which label and split, and feeds training with augmented features.
package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Labels with a meaning of their own, and the folder of background recordings, as Speech Commands names them.
const (
	UnknownLabel = "_unknown_"
	SilenceLabel = "_silence_"
	NoiseFolder  = "_background_noise_"
)

// Split is a part of a data set. Splits never share a speaker where file names tell the speaker.
type Split int

// The splits.
const (
	Train Split = iota
	Valid
	Test
	All // every clip, for evaluation
)

func (s Split) String() string { return [...]string{"training", "validation", "test", "whole"}[s] }

// Errors that Open and Loader wrap with the fact.
var (
	ErrNoData  = errors.New("no usable data")       // no clips, an empty split, a single class
	ErrOptions = errors.New("invalid data options") // a word without a folder, ...
)

// Item is one example. Silence examples are cut from a noise recording: Path names it, and Offset and Gain say which
// part and how loud.
type Item struct {
	Path    string  // of the file
	Word    string  // the class folder's name
	Label   int     // index into Set.Labels
	Split   Split   // Train, Valid or Test
	Silence bool    // cut from a noise recording
	Offset  float64 // silence: where it begins in the split's part of the recording, a share in [0, 1)
	Gain    float64 // silence: factor
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
	// of the split (0.1 each in Google's protocol). With Labels, all unknown clips are used.
	Unknown, Silence float64
	// Seed draws the training split's _unknown_ and _silence_. The other splits' draw is fixed.
	Seed int64
}

// Set is a data set: labels and examples, in an order that depends only on the folder's contents and the options.
type Set struct {
	Dir     string
	Labels  []string // words in sorted or given order, then _unknown_, then _silence_ (those that exist)
	Items   []Item
	Noise   []string       // background recordings
	Ignored map[string]int // folders left out, with their number of clips
}

// Split returns the examples of one split; All returns every one.
func (s *Set) Split(split Split) []Item {
	var items []Item
	for _, it := range s.Items {
		if split == All || it.Split == split {
			items = append(items, it)
		}
	}
	return items
}

// Counts returns the number of examples by [label][split], the splits being Train, Valid and Test.
func (s *Set) Counts() [][3]int {
	counts := make([][3]int, len(s.Labels))
	for _, it := range s.Items {
		counts[it.Label][it.Split]++
	}
	return counts
}

// Digest returns the SHA-256, in hex, of the examples' names, labels, splits and contents. It reads every file once.
func (s *Set) Digest() (string, error) {
	whole, buffer := sha256.New(), make([]byte, 64<<10)
	files := map[string][]byte{}
	for _, it := range s.Items {
		sum, known := files[it.Path]
		if !known {
			h := sha256.New()
			if err := copyFile(h, it.Path, buffer); err != nil {
				return "", err
			}
			sum = h.Sum(nil)
			files[it.Path] = sum
		}
		name, err := filepath.Rel(s.Dir, it.Path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(whole, "%q %q %d %g %g %x\n", filepath.ToSlash(name), s.Labels[it.Label], it.Split, it.Offset, it.Gain, sum)
	}
	return hex.EncodeToString(whole.Sum(nil)), nil
}

func copyFile(w io.Writer, path string, buffer []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(w, f, buffer)
	return err
}
