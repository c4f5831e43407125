package serve

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
)

// maxClip is how long a clip is that is saved, at most.
const maxClip = time.Minute

// saveClip saves a clip that a model answered wrongly, or in which it missed a label, for training. What is written is
// a WAV file made here of the sound, in a folder named after a label that a model has.
func (s *Server) saveClip(w http.ResponseWriter, r *http.Request) {
	if err := s.admit(); err != nil {
		s.refuse(w, err)
		return
	}
	defer func() { <-s.uploads }()
	path, err := s.clip(w, r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.log.Info("saved a clip", "file", path)
	writeJSON(w, http.StatusCreated, map[string]string{"file": path})
}

// clip saves the clip of a request and returns its path below the folder.
func (s *Server) clip(w http.ResponseWriter, r *http.Request) (path string, err error) {
	if s.config.SaveDir == "" {
		return "", fmt.Errorf("%w: the service saves no clips (--save DIR has it save them)", errForbidden)
	}
	query := r.URL.Query()
	label, kind, at, was := query.Get("label"), query.Get("kind"), query.Get("at"), query.Get("was")
	if kind != "wrong" && kind != "missed" {
		return "", fmt.Errorf("%w: kind=%s: wrong and missed are possible", ErrRequest, kind)
	}
	if _, err := strconv.ParseFloat(at, 64); err != nil && at != "" {
		return "", fmt.Errorf("%w: at=%s: seconds are needed", ErrRequest, at)
	}
	for _, name := range []string{label, was} {
		if !s.hasLabel(name) && (name != "" || name == label) {
			return "", fmt.Errorf("%w: no model has the label %q", ErrRequest, name)
		}
	}
	var decoder audio.Decoder
	defer decoder.Close()
	if err := decoder.Reset(s.bounded(w, r, maxInMemory)); err != nil {
		return "", err
	}
	clip, err := audio.ReadAll(&decoder, int(maxClip.Seconds())*decoder.Rate())
	if err != nil {
		return "", err
	}
	now := time.Now()
	digest := sha256.New()
	binary.Write(digest, binary.LittleEndian, clip.Samples)
	name := fmt.Sprintf("%s_%s_%.8x.wav", now.UTC().Format("20060102T150405.000Z"), kind, digest.Sum(nil))
	path = filepath.Join(safe.FolderName(label), name)
	file := filepath.Join(s.config.SaveDir, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return "", err
	}
	tags := audio.Tags{Title: label, Software: "polyphon classify serve", Created: now, Comment: kind}
	if was != "" {
		tags.Comment += ": it was " + was
	}
	if at != "" {
		tags.Comment += ", at " + at + " s"
	}
	err = atomicfile.Write(file, func(w io.Writer) error { return audio.WriteWAV(w.(io.WriteSeeker), clip, tags) })
	return filepath.ToSlash(path), err
}

// hasLabel reports whether a model has a label.
func (s *Server) hasLabel(label string) bool {
	return slices.ContainsFunc(s.Models().Models, func(m ModelInfo) bool { return slices.Contains(m.Labels, label) })
}
