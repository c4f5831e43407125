package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/filing"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/serve/web"
)

// reviewer files clips as somebody says who listens to them.
type reviewer struct {
	into    string
	logPath string
	action  string
	extract *features.Extractor
	folders []string // that clips may go into

	mu    sync.Mutex // guards what follows
	log   *filing.Log
	clips []*reviewClip
}

// reviewClip is a clip, as the page gets it. What it was taken for is missing where nothing says so.
type reviewClip struct {
	ID     int     `json:"id"`
	Name   string  `json:"name"`             // for people
	Folder string  `json:"folder,omitempty"` // of the label that it was taken for
	Near   bool    `json:"near,omitempty"`   // it was a near miss
	P      float64 `json:"p,omitempty"`
	Source string  `json:"source,omitempty"`
	Clock  string  `json:"clock,omitempty"`
	Filed  string  `json:"filed,omitempty"` // the folder that it has been filed into

	path string
}

// reviewLog is the name of the log in the folder that clips are filed into.
const reviewLog = "reviewed.ndjson"

// newReviewer finds the clips in a folder. Those that have been filed into the other one before are known as such.
func newReviewer(dir, into, action string) (*reviewer, error) {
	if within, err := filepath.Rel(dir, into); err == nil && filepath.IsLocal(within) {
		return nil, usageError("--into %s lies in %s, and what is filed there would be reviewed again; name one elsewhere",
			into, dir)
	}
	if err := os.MkdirAll(into, 0o777); err != nil {
		return nil, err
	}
	r := &reviewer{into: into, logPath: filepath.Join(into, reviewLog), action: action}
	var err error
	if r.extract, err = features.New(features.Default()); err != nil {
		return nil, err
	}
	if r.folders, err = classFolders(into); err != nil {
		return nil, err
	}
	if r.log, err = filing.Open(r.logPath); err != nil {
		return nil, err
	}
	known, err := savedClips(filepath.Join(dir, records.SavedName))
	if err != nil {
		return nil, err
	}
	for f, err := range audio.Files(dir) {
		if err != nil {
			return nil, err
		}
		r.add(f, known[f.Rel])
	}
	for _, e := range r.log.Entries() { // moved, and so no longer there
		if rel, err := filepath.Rel(dir, string(e.From)); err == nil && filepath.IsLocal(rel) && e.Action == filing.Move {
			if _, err := os.Lstat(r.log.Path(e)); err == nil {
				rel = filepath.ToSlash(rel)
				r.add(audio.File{Path: string(e.From), Rel: rel}, known[rel])
			}
		}
	}
	if len(r.clips) == 0 {
		return nil, fmt.Errorf("%w: no sound files in %s", datasets.ErrNoData, dir)
	}
	r.folders = append(r.folders, detect.UnknownLabel)
	slices.Sort(r.folders)
	r.folders = slices.Compact(r.folders)
	return r, nil
}

// add adds a clip with what its record says.
func (r *reviewer) add(f audio.File, saved records.Saved) {
	c := &reviewClip{ID: len(r.clips), Name: safe.Name(f.Rel), path: f.Path}
	if folder := path.Base(path.Dir(f.Rel)); folder != "." && folder != records.NearFolder {
		c.Folder = folder
		r.folders = append(r.folders, folder)
	}
	c.Near = strings.HasPrefix(f.Rel, records.NearFolder+"/")
	c.P, c.Source, c.Clock = float64(saved.P), safe.Name(string(saved.File)), saved.Clock
	if e, ok := r.log.Placed(f.Path); ok {
		c.Filed = path.Dir(string(e.To))
	}
	r.clips = append(r.clips, c)
}

// classFolders returns the folders of classes in a folder to train on.
func classFolders(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		switch name := e.Name(); {
		case !e.IsDir() || audio.Skipped(name) || name == "_background_noise_":
		case datasets.TrainingFolder(name):
			return nil, usageError("--into %s: its clips are in folders of splits or folds; name one, such as %s",
				dir, filepath.Join(dir, name))
		default:
			names = append(names, name)
		}
	}
	return names, err
}

// savedClips returns the records of clips by their paths; none where there is no such file.
func savedClips(name string) (map[string]records.Saved, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	known := map[string]records.Saved{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s records.Saved
		if json.Unmarshal(lines.Bytes(), &s) == nil { // else it was not written to its end
			known[string(s.Clip)] = s
		}
	}
	return known, lines.Err()
}

// filed returns how many clips are filed.
func (r *reviewer) filed() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clips {
		if c.Filed != "" {
			n++
		}
	}
	return n
}

// handler serves the page to anybody on this machine, and what it shows and does to those who have the token.
func (r *reviewer) handler(token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/clips", r.list)
	mux.HandleFunc("GET /v1/clips/{id}", r.sound)
	mux.HandleFunc("POST /v1/clips/{id}", r.file)
	mux.Handle("/", web.ReviewHandler())
	want := sha256.Sum256([]byte("Bearer " + token))
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		given := sha256.Sum256([]byte(q.Header.Get("Authorization")))
		host := q.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		switch {
		case !isLoopback(strings.Trim(host, "[]")): // another name that leads to this machine
			http.Error(w, "this is not "+strconv.Quote(q.Host), http.StatusMisdirectedRequest)
		case strings.HasPrefix(q.URL.Path, "/v1/") && subtle.ConstantTimeCompare(given[:], want[:]) != 1:
			http.Error(w, "open the address that train review printed: it has a token at its end", http.StatusUnauthorized)
		default:
			mux.ServeHTTP(w, q)
		}
	}))
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(v) // an error is the client's, who is gone
}

// list answers with all clips.
func (r *reviewer) list(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer(w, map[string]any{"clips": r.clips, "folders": r.folders, "into": safe.Name(r.into)})
}

// clip returns the clip that a request names, or answers that there is none.
func (r *reviewer) clip(w http.ResponseWriter, q *http.Request) *reviewClip {
	id, err := strconv.Atoi(q.PathValue("id"))
	if err != nil || id < 0 || id >= len(r.clips) {
		http.Error(w, "there is no such clip", http.StatusNotFound)
		return nil
	}
	return r.clips[id]
}

const (
	reviewLimit = 60 // seconds of a clip that are played and shown
	reviewRange = 12 // nats below a clip's loudest value that its picture shows
)

// sound answers with a clip's samples and the picture of them.
func (r *reviewer) sound(w http.ResponseWriter, q *http.Request) {
	c := r.clip(w, q)
	if c == nil {
		return
	}
	r.mu.Lock()
	name := c.path
	if e, ok := r.log.Placed(name); ok {
		name = r.log.Path(e)
	}
	r.mu.Unlock()
	f := r.extract.Config()
	samples, err := beginning(name, f.Rate)
	if err != nil {
		http.Error(w, safe.Text(err.Error()), http.StatusUnprocessableEntity)
		return
	}
	rows := r.extract.Rows(nil, samples, r.extract.Scratch())
	pcm := make([]byte, 0, 2*len(samples))
	for _, v := range samples {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(math.Round(float64(min(max(v, -1), 1))*(1<<15-1)))))
	}
	picture, loudest := make([]byte, len(rows)), slices.Max(rows)
	for i, v := range rows {
		picture[i] = byte(math.Round(255 * float64(max(0, 1-(loudest-v)/reviewRange))))
	}
	answer(w, map[string]any{
		"rate": f.Rate, "samples": pcm, "seconds": float64(len(samples)) / float64(f.Rate),
		"mels": f.Mels, "hop": float64(f.Hop) / float64(f.Rate), "rows": picture,
	})
}

// beginning returns the beginning of a sound file, as far as it is played.
func beginning(name string, rate int) ([]float32, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, err := audio.Decode(f)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	src, err := audio.Resample(d, rate)
	if err != nil {
		return nil, err
	}
	clip, err := audio.ReadAll(src, reviewLimit*rate)
	switch {
	case err != nil && !errors.Is(err, audio.ErrTooLong):
		return nil, err
	case len(clip.Samples) == 0:
		return nil, audio.ErrEmpty
	}
	audio.ReplaceOdd(clip.Samples)
	return clip.Samples, nil
}

// file files a clip into a folder, in place of one that it was filed into before, or takes it back for "".
func (r *reviewer) file(w http.ResponseWriter, q *http.Request) {
	c := r.clip(w, q)
	if c == nil {
		return
	}
	var wish struct{ Folder string }
	if err := json.NewDecoder(http.MaxBytesReader(w, q.Body, 1<<12)).Decode(&wish); err != nil {
		http.Error(w, "a folder is needed: "+safe.Text(err.Error()), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	folder := wish.Folder
	if !slices.Contains(r.folders, folder) { // a new label
		folder = safe.FolderName(folder)
	}
	if err := r.place(c, folder); err != nil {
		http.Error(w, safe.Text(err.Error()), http.StatusInternalServerError)
		return
	}
	answer(w, map[string]string{"filed": c.Filed})
}

// place puts a clip into a folder, "" standing for where it came from.
func (r *reviewer) place(c *reviewClip, folder string) error {
	if e, ok := r.log.Placed(c.path); ok && path.Dir(string(e.To)) != folder {
		if err := r.log.Undo(e); err != nil {
			return fmt.Errorf("%s stays: %w", r.log.Path(e), err)
		}
		c.Filed = ""
	} else if ok {
		return nil
	}
	if folder == "" {
		return nil
	}
	e, err := filing.NewEntry(r.action, c.path)
	if err != nil {
		return err
	}
	e.Label, e.P = safe.String(folder), records.Probability(c.P)
	if _, err := r.log.Place(e, folder); err != nil {
		return err
	}
	c.Filed = folder
	if !slices.Contains(r.folders, folder) {
		r.folders = append(r.folders, folder)
	}
	return nil
}
