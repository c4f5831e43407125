package enroll

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/gob"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/polynet"
)

// Background is what words are told from: embeddings of other words, and of windows of running sound.
type Background struct {
	Network string // tells whose embeddings these are; see Embedder.Background
	Sources []polynet.Source
	Rows    calibrate.Embeddings // Truth are indices into Classes
	Classes []Class
}

// Class is where embeddings of a Background come from.
type Class struct {
	Name    string // of the word, or of the recording
	Running bool   // windows of running sound, cut without regard to words
}

// stored is a Background in a file: gob, compressed by gzip. A value is its byte, less 128, times the scale of its
// channel.
type stored struct {
	Network string
	Sources []polynet.Source
	Classes []Class
	Truth   []uint16
	Scale   []float32
	Levels  []byte // (embeddings, channels)
}

// zeroLevel is the byte of the value 0.
const zeroLevel = 128

// Write writes the background with 8 bits a value.
func (b *Background) Write(w io.Writer) error {
	s := stored{Network: b.Network, Sources: b.Sources, Classes: b.Classes, Scale: make([]float32, b.Rows.Width)}
	for i, v := range b.Rows.Values {
		c := i % b.Rows.Width
		s.Scale[c] = max(s.Scale[c], float32(math.Abs(v)/math.MaxInt8))
	}
	for i, v := range b.Rows.Values {
		level := 0.0
		if scale := float64(s.Scale[i%b.Rows.Width]); scale > 0 {
			level = math.Round(v / scale)
		}
		s.Levels = append(s.Levels, byte(zeroLevel+int(max(-math.MaxInt8, min(level, math.MaxInt8)))))
	}
	for _, class := range b.Rows.Truth {
		s.Truth = append(s.Truth, uint16(class))
	}
	z := gzip.NewWriter(w)
	if err := gob.NewEncoder(z).Encode(s); err != nil {
		return err
	}
	return z.Close()
}

func readBackground(r io.Reader) (*Background, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	var s stored
	if err := gob.NewDecoder(z).Decode(&s); err != nil {
		return nil, err
	}
	b := &Background{Network: s.Network, Sources: s.Sources, Classes: s.Classes}
	b.Rows.Width = len(s.Scale)
	for i, level := range s.Levels {
		b.Rows.Values = append(b.Rows.Values, float64(int(level)-zeroLevel)*float64(s.Scale[i%len(s.Scale)]))
	}
	for _, class := range s.Truth {
		b.Rows.Truth = append(b.Rows.Truth, int(class))
	}
	return b, nil
}

// bundled are the backgrounds of the embedded models. bench/enroll/background.sh makes them.
//
//go:embed *.background
var bundled embed.FS

// Background returns the embedded background of the network, or nil where there is none.
func (e *Embedder) Background() (*Background, error) {
	names, err := fs.Glob(bundled, "*.background")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file, err := bundled.ReadFile(name)
		if err != nil {
			return nil, err
		}
		b, err := readBackground(bytes.NewReader(file))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if b.Network == e.network {
			return b, nil
		}
	}
	return nil, nil
}

// NewBackground returns an empty background for the Embedder's network.
func (e *Embedder) NewBackground() *Background {
	return &Background{Network: e.network, Rows: calibrate.Embeddings{Width: e.width()}}
}

// class returns the index of a class, which is added where it is missing.
func (b *Background) class(c Class) int {
	for i, have := range b.Classes {
		if have == c {
			return i
		}
	}
	b.Classes = append(b.Classes, c)
	return len(b.Classes) - 1
}

// named reports whether the class is a word of that name, in whatever case.
func (c Class) named(word string) bool {
	return !c.Running && (datasets.SameLabel(c.Name, word) || strings.EqualFold(c.Name, word))
}
