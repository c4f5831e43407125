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

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
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
		e.P, e.Start, e.End, source(e), seconds(found.SamplesStart))
	if clock, err := time.Parse(records.ClockFormat, e.Clock); err == nil {
		tags.Created = clock
		tags.Comment += "; reported at " + e.Clock
	}
	path := filepath.Join(s.dir, safe.FolderName(string(e.Label)), s.name(e, found.Samples))
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
func source(e event) string {
	if e.File == "" || e.File == stdinName {
		return "stdin"
	}
	return string(e.File)
}

// name returns the name of a file, which sorts by source and time. The digest at its end keeps the events of inputs
// with the same name apart.
func (s *saver) name(e event, samples []float32) string {
	digest := sha256.New()
	io.WriteString(digest, source(e))
	binary.Write(digest, binary.LittleEndian, samples)
	base := strings.TrimSuffix(filepath.Base(source(e)), filepath.Ext(source(e)))
	from := fmt.Sprintf("%s_%010.3fs", safe.FileName(base), max(e.Start, 0))
	if clock, err := time.Parse(records.ClockFormat, e.Clock); err == nil {
		from = clock.UTC().Format("20060102T150405.000Z")
	}
	return fmt.Sprintf("%s_%s_%.2f_%.4x.wav", from, safe.FileName(string(e.Label)), e.P, digest.Sum(nil))
}
