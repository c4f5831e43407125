package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

func init() {
	register.DoFn3x1[context.Context, string, func(int64, string), error](&matchFn{})
	register.DoFn3x1[context.Context, string, func(string), error](&listFn{})
	register.DoFn3x1[context.Context, string, func(int64, string), error](&doneFn{})
	register.DoFn4x1[context.Context, int64, func(*string) bool, func(*string) bool, error](&classifyFn{})
	register.Emitter1[string]()
	register.Emitter2[int64, string]()
	register.Iter1[string]()
}

// options are what the workers have to know. They are sent to them in JSON.
type options struct {
	Output        string
	As            string
	Top           int
	MinConfidence float64
	Shards        int64

	Model  string // its name
	Digest string // of the model and of all that results depend on
	Run    string // names the files of this run
}

// open reads the model, to find out whether it can be used, and completes the options.
func (o *options) open(ctx context.Context, name string) error {
	ways := []string{records.Auto, records.AsClip, records.AsEvents, records.AsWindows}
	switch {
	case !slices.Contains(ways, o.As):
		return fmt.Errorf("--as %s: %s are possible", o.As, strings.Join(ways, ", "))
	case o.Top < 0 || o.Shards < 1 || !(o.MinConfidence >= 0 && o.MinConfidence <= 1):
		return fmt.Errorf("--top %d, --shards %d, --min_confidence %g: out of range", o.Top, o.Shards, o.MinConfidence)
	}
	o.Output = strings.TrimSuffix(o.Output, "/")
	o.Model = name
	o.Run = time.Now().UTC().Format("20060102T150405Z-") + strings.ToLower(rand.Text()[:4])
	file, err := readModel(ctx, name)
	if err == nil {
		_, err = polynet.Read(bytes.NewReader(file))
	}
	if err != nil {
		return fmt.Errorf("model %s: %w", name, err)
	}
	o.Digest = o.digest(file)
	return nil
}

// digest returns that of a model's file and of the options that change results.
func (o *options) digest(model []byte) string {
	all := sha256.New()
	all.Write(model)
	fmt.Fprintf(all, "%d %s %d %g", records.Spec, o.As, o.Top, o.MinConfidence)
	return fmt.Sprintf("%.12x", all.Sum(nil))
}

// readModel returns the file of a model, embedded or anywhere.
func readModel(ctx context.Context, name string) ([]byte, error) {
	if models.Embedded(name) {
		m, err := models.Open(name)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		err = m.Write(&b)
		return b.Bytes(), err
	}
	fs, err := filesystem.New(ctx, name)
	if err != nil {
		return nil, err
	}
	defer fs.Close()
	return filesystem.Read(ctx, fs, name)
}

// pipeline classifies the files that patterns match, and that have not been before. Files are put into shards by their
// names, and with them what earlier runs have done of these; a shard is classified, written and noted as a whole, and a
// shard that is done again, since its worker has failed, replaces what it had written.
func pipeline(s beam.Scope, patterns []string, o options) {
	found := beam.ParDo(s.Scope("match"), &matchFn{o.Shards}, beam.CreateList(s, patterns))
	notes := beam.ParDo(s.Scope("notes"), &listFn{}, beam.Create(s, o.path("done", "*")))
	done := beam.ParDo(s.Scope("done"), &doneFn{o.Shards}, beam.Reshuffle(s, notes))
	beam.ParDo0(s.Scope("classify"), &classifyFn{Options: o}, beam.CoGroupByKey(s, found, done))
}

// path returns that of a file of results.
func (o *options) path(folder, name string) string {
	return o.Output + "/" + folder + "/" + name + ".ndjson"
}

// shard returns the number of the shard that a file belongs to.
func shard(path string, shards int64) int64 {
	digest := sha256.Sum256([]byte(path))
	return int64(binary.BigEndian.Uint64(digest[:]) % uint64(shards))
}

// list passes the files that match a pattern to emit.
func list(ctx context.Context, pattern string, emit func(string)) error {
	fs, err := filesystem.New(ctx, pattern)
	if err != nil {
		return err
	}
	defer fs.Close()
	files, err := fs.List(ctx, pattern)
	for _, file := range files {
		emit(file)
	}
	return err
}

// matchFn makes files of patterns, by their shards.
type matchFn struct{ Shards int64 }

// ProcessElement implements a DoFn.
func (f *matchFn) ProcessElement(ctx context.Context, pattern string, emit func(int64, string)) error {
	n := int64(0)
	err := list(ctx, strings.TrimSpace(pattern), func(file string) {
		n++
		emit(shard(file, f.Shards), file)
	})
	matched.Inc(ctx, n)
	if err == nil && n == 0 {
		err = fmt.Errorf("no file matches %q", pattern)
	}
	return err
}

// listFn makes files of patterns, of which there may be none.
type listFn struct{}

// ProcessElement implements a DoFn.
func (f *listFn) ProcessElement(ctx context.Context, pattern string, emit func(string)) error {
	return list(ctx, pattern, emit)
}

// note says that a file, as it was, has been classified in a way.
type note struct {
	File     string `json:"file"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // Unix time in nanoseconds; 0 where the file system does not know
	Digest   string `json:"digest"`   // of model and options
}

// doneFn makes the notes of a file of such, by their shards.
type doneFn struct{ Shards int64 }

// ProcessElement implements a DoFn.
func (f *doneFn) ProcessElement(ctx context.Context, path string, emit func(int64, string)) error {
	fs, err := filesystem.New(ctx, path)
	if err != nil {
		return err
	}
	defer fs.Close()
	text, err := filesystem.Read(ctx, fs, path)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		var n note
		if err := json.Unmarshal(line, &n); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		emit(shard(n.File, f.Shards), string(line))
	}
	return nil
}

// write writes a file as a whole: in object stores it appears when it is closed, elsewhere when it is renamed.
func write(ctx context.Context, path string, content []byte) (err error) {
	fs, err := filesystem.New(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, fs.Close()) }()
	if strings.Contains(path, "://") {
		return filesystem.Write(ctx, fs, path, content)
	}
	if err := filesystem.Write(ctx, fs, path+".partial", content); err != nil {
		return err
	}
	return filesystem.Rename(ctx, fs, path+".partial", path)
}
