package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/atomicfile"
)

// saver writes the sounds of events as WAV files, DIR/LABEL/NAME.wav. A nil saver writes nothing.
type saver struct {
	dir  string
	rate int // hertz
}

// newSaver returns a saver of sounds of a rate below dir; nil where dir is empty. An error says that dir cannot be
// written.
func newSaver(dir string, rate int) (*saver, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("--save: %w", err)
	}
	if err := atomicfile.Check(filepath.Join(dir, "event.wav")); err != nil {
		return nil, fmt.Errorf("--save: %w", err)
	}
	return &saver{dir, rate}, nil
}

// save writes the sound of an event.
func (s *saver) save(e event, found polyphon.Event) error {
	if s == nil {
		return nil
	}
	tags := audio.Tags{Title: string(e.Label), Software: "polyphon classify"}
	tags.Comment = fmt.Sprintf("p=%v, %v-%v s of %s; begins at %v s",
		e.P, e.Start, e.End, e.source(), seconds(found.SamplesStart))
	if clock, err := time.Parse(clockFormat, e.Clock); err == nil {
		tags.Created = clock
		tags.Comment += "; reported at " + e.Clock
	}
	path := filepath.Join(s.dir, fileName(string(e.Label)), s.name(e, found.Samples))
	err := os.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = atomicfile.Write(path, func(w io.Writer) error {
			return audio.WriteWAV(w.(io.WriteSeeker), audio.Clip{Rate: s.rate, Samples: found.Samples}, tags)
		})
	}
	if err != nil {
		return fmt.Errorf("--save: %s: %v", path, reason(err)) // not wrapped: the path is not that of the input
	}
	return nil
}

// source returns what an event was found in.
func (e event) source() string {
	if e.File == "" || e.File == stdinName {
		return "stdin"
	}
	return string(e.File)
}

// name returns the name of a file, which sorts by source and time. The digest at its end keeps the events of inputs
// with the same name apart.
func (s *saver) name(e event, samples []float32) string {
	digest := sha256.New()
	io.WriteString(digest, e.source())
	binary.Write(digest, binary.LittleEndian, samples)
	base := strings.TrimSuffix(filepath.Base(e.source()), filepath.Ext(e.source()))
	from := fmt.Sprintf("%s_%010.3fs", short(fileName(base)), max(e.Start, 0))
	if clock, err := time.Parse(clockFormat, e.Clock); err == nil {
		from = clock.UTC().Format("20060102T150405.000Z")
	}
	return fmt.Sprintf("%s_%s_%.2f_%.4x.wav", from, short(fileName(string(e.Label))), e.P, digest.Sum(nil))
}

// short returns at most 80 bytes of a text: a file's name has at most 255.
func short(text string) string { return strings.ToValidUTF8(text[:min(len(text), 80)], "") }

// fileName makes a text safe as the name of a file or folder, and not hidden: all but letters, digits and a few signs
// become %XX. Different texts stay different.
func fileName(text string) string {
	var b strings.Builder
	for i, r := range text {
		inside := i > 0 && i < len(text)-1
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-+=,@", r) ||
			inside && (r == '.' || r == ' ') {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
