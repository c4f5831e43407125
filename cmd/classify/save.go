package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// saver writes the sounds of events as WAV files, DIR/LABEL/NAME.wav, those of near misses below a folder of their own,
// and a list of all. A nil saver writes nothing.
type saver struct {
	dir  string
	rate int // hertz

	mu   sync.Mutex
	list *os.File // nil: not yet opened
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
	return &saver{dir: dir, rate: rate}, nil
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
	clip := path.Join(safe.FolderName(string(e.Label)), s.name(e, found.Samples))
	if found.Near {
		clip = path.Join(records.NearFolder, clip)
		tags.Comment = "near miss: " + tags.Comment
	}
	path := filepath.Join(s.dir, filepath.FromSlash(clip))
	err := os.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = atomicfile.Write(path, func(w io.Writer) error {
			return audio.WriteWAV(w.(io.WriteSeeker), audio.Clip{Rate: s.rate, Samples: found.Samples}, tags)
		})
	}
	if err == nil {
		e.File = safe.String(source(e))
		err = s.note(records.Saved{
			Spec: records.Spec, Clip: safe.String(clip), Near: found.Near, Begins: seconds(found.SamplesStart), Event: e,
		})
	}
	if err != nil {
		return fmt.Errorf("--save: %s: %v", path, reason(err)) // not wrapped: the path is not that of the input
	}
	return nil
}

// note adds a clip to the list.
func (s *saver) note(clip records.Saved) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		if s.list, err = atomicfile.Append(filepath.Join(s.dir, records.SavedName)); err != nil {
			return err
		}
	}
	_, err = s.list.Write(append(records.Marshal(clip), '\n'))
	return err
}

// close closes the list.
func (s *saver) close() {
	if s != nil && s.list != nil {
		s.list.Close()
	}
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
