package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"slices"
	"sync"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
)

// namespace is that of the counters.
const namespace = "polyphon"

var (
	matched    = beam.NewCounter(namespace, "files_matched")
	skipped    = beam.NewCounter(namespace, "files_skipped") // done before
	classified = beam.NewCounter(namespace, "files_classified")
	failed     = beam.NewCounter(namespace, "files_failed")
	retried    = beam.NewCounter(namespace, "reads_retried")
	events     = beam.NewCounter(namespace, "events")
	processed  = beam.NewCounter(namespace, "sound_milliseconds")
	loaded     = beam.NewCounter(namespace, "models_loaded")
)

const (
	batch    = 16 // sounds no longer than a window that are computed together
	attempts = 3  // to read a file
)

// wait is how long the second attempt waits; the third one waits four times as long.
var wait = time.Second

// recognizers are those of this process, by their digests: all goroutines of a worker share one.
var recognizers struct {
	sync.Mutex
	all map[string]*polyphon.Recognizer
}

// recognizer returns the one of the options, and whether it had to be loaded.
func (o *options) recognizer(ctx context.Context) (r *polyphon.Recognizer, fresh bool, err error) {
	recognizers.Lock()
	defer recognizers.Unlock()
	if r := recognizers.all[o.Digest]; r != nil {
		return r, false, nil
	}
	file, err := readModel(ctx, o.Model)
	if err != nil {
		return nil, false, err
	}
	if o.digest(file) != o.Digest {
		return nil, false, fmt.Errorf("model %s: it is not the one with which the pipeline was made", o.Model)
	}
	net, err := polynet.Read(bytes.NewReader(file))
	if err == nil {
		r, err = polyphon.New(net, polyphon.WithThreads(1), polyphon.WithMinConfidence(o.MinConfidence))
	}
	if err != nil {
		return nil, false, fmt.Errorf("model %s: %w", o.Model, err)
	}
	if recognizers.all == nil {
		recognizers.all = map[string]*polyphon.Recognizer{}
	}
	recognizers.all[o.Digest] = r
	return r, true, nil
}

// classifyFn classifies shards.
type classifyFn struct {
	Options options

	recognizer *polyphon.Recognizer
}

// ProcessElement implements a DoFn. The error is that of writing: what concerns a file is its dead letter.
func (f *classifyFn) ProcessElement(ctx context.Context, n int64, files, notes func(*string) bool) error {
	if f.recognizer == nil {
		r, fresh, err := f.Options.recognizer(ctx)
		if err != nil {
			return err
		}
		if fresh {
			loaded.Inc(ctx, 1)
		}
		f.recognizer = r
	}
	s := &work{options: &f.Options, recognizer: f.recognizer, labels: len(f.recognizer.Labels())}
	if top := f.Options.Top; top > 0 {
		s.labels = min(top, s.labels)
	}
	s.results = records.NDJSON{Output: records.NewOutput(&s.resultText)}
	s.failures = records.NDJSON{Output: records.NewOutput(&s.failureText)}
	todo, err := s.todo(ctx, files, notes)
	if err != nil {
		return err
	}
	for _, n := range todo {
		s.file(ctx, n)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	s.flush(ctx)
	return s.write(ctx, n)
}

// work is that on a shard.
type work struct {
	options    *options
	recognizer *polyphon.Recognizer
	labels     int // of each window and result

	decoder audio.Decoder
	pending []pending // sounds that wait to be computed together
	clips   []audio.Clip

	results, failures       records.NDJSON
	resultText, failureText bytes.Buffer
	notes                   []note // of what has been classified
}

// pending is a file that has been read to its end.
type pending struct {
	note    note
	warning []safe.String
}

// todo returns what has to be classified: files that are not noted as they are now.
func (s *work) todo(ctx context.Context, files, notes func(*string) bool) (list []note, err error) {
	done := map[note]bool{}
	for line := ""; notes(&line); {
		var n note
		if err := json.Unmarshal([]byte(line), &n); err != nil {
			return nil, err
		}
		done[n] = true
	}
	var paths []string
	for path := ""; files(&path); {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) { // patterns may overlap
		n, err := s.stat(ctx, path)
		switch {
		case err != nil:
			s.fail(ctx, path, err)
		case done[n]:
			skipped.Inc(ctx, 1)
		default:
			list = append(list, n)
		}
	}
	return list, nil
}

// stat returns the note of a file as it is.
func (s *work) stat(ctx context.Context, path string) (n note, err error) {
	n = note{File: path, Digest: s.options.Digest}
	err = retry(ctx, func() error {
		fs, err := filesystem.New(ctx, path)
		if err != nil {
			return err
		}
		defer fs.Close()
		if n.Size, err = fs.Size(ctx, path); err != nil {
			return err
		}
		if fs, ok := fs.(filesystem.LastModifiedGetter); ok {
			at, err := fs.LastModified(ctx, path)
			n.Modified = at.UnixNano()
			return err
		}
		return nil
	})
	return n, err
}

// retry calls f again where its error may be a passing one.
func retry(ctx context.Context, f func() error) (err error) {
	for attempt := range attempts {
		if err = f(); err == nil || permanent(err) || ctx.Err() != nil {
			return err
		}
		if attempt < attempts-1 {
			retried.Inc(ctx, 1)
			time.Sleep(wait << (2 * attempt))
		}
	}
	return err
}

// permanent reports whether an error is about the content of a file, or says that there is none.
func permanent(err error) bool {
	for _, kind := range []error{
		audio.ErrFormat, audio.ErrCorrupt, audio.ErrEmpty, audio.ErrTooLong, polyphon.ErrDiverged, iofs.ErrNotExist,
		iofs.ErrPermission,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// file classifies a file, or keeps it to be computed with others.
func (s *work) file(ctx context.Context, n note) {
	err := retry(ctx, func() error { return s.read(ctx, n) })
	if err != nil {
		s.fail(ctx, n.File, err)
	}
}

// read is one attempt at a file. It writes nothing where it fails.
func (s *work) read(ctx context.Context, n note) error {
	fs, err := filesystem.New(ctx, n.File)
	if err != nil {
		return err
	}
	defer fs.Close()
	in, err := fs.OpenRead(ctx, n.File)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := s.decoder.Reset(in); err != nil {
		return err
	}
	defer s.decoder.Close()
	src, err := audio.Resample(&s.decoder, s.recognizer.Model().Features.Rate)
	if err != nil {
		return err
	}
	samples := make([]float32, s.recognizer.Model().WindowSamples()+1)
	got, err := audio.ReadFull(src, samples)
	switch {
	case got == len(samples) || s.options.As == records.AsEvents:
		return s.long(ctx, n, &records.Sound{Source: src, Beginning: samples[:got], Err: err})
	case err != io.EOF:
		return err
	}
	s.pending = append(s.pending, pending{n, records.Warnings(s.decoder.Warning())})
	s.clips = append(s.clips, audio.Clip{Rate: src.Rate(), Samples: samples[:got]})
	if len(s.pending) == batch {
		s.flush(ctx)
	}
	return nil
}

// long classifies a sound that is longer than a window, or is to be searched for events.
func (s *work) long(ctx context.Context, n note, src *records.Sound) error {
	s.flush(ctx) // records come in the order of the files
	way := src.Choose(s.options.As, s.recognizer)
	var text bytes.Buffer
	out, count := records.NDJSON{Output: records.NewOutput(&text)}, 0
	whole := s.recognizer.NewOverall()
	sound := polyphon.Recording{Source: src} // answers are those of classify, to the last digit
	scores, err := records.Find(ctx, s.recognizer, way, sound, whole, records.Finder{
		Window: func(w polyphon.Window) error {
			out.Window(records.Window{
				File: safe.String(n.File), Start: records.Seconds(w.Start), End: records.Seconds(w.End),
				Answer: records.NewAnswer(s.recognizer, w.Scores, s.labels),
			})
			return nil
		},
		Event: func(e polyphon.Event) error {
			count++
			out.Event(records.NewEvent(n.File, e))
			return nil
		},
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return err
	}
	s.results.Write(text.Bytes())
	events.Inc(ctx, int64(count))
	s.done(ctx, n, records.Result{
		Seconds: src.Seconds(), As: way, Events: count, RefusedEvents: whole.RefusedEvents,
		Answer:  records.NewAnswer(s.recognizer, scores, s.labels),
		Warning: records.Warnings(s.decoder.Warning()),
	})
	return nil
}

// flush classifies the files that wait.
func (s *work) flush(ctx context.Context) {
	for i, answer := range s.recognizer.ClassifyBatch(s.clips) {
		p, clip := s.pending[i], s.clips[i]
		if answer.Err != nil {
			s.fail(ctx, p.note.File, answer.Err)
			continue
		}
		r := records.Result{
			Seconds: records.Seconds(float64(len(clip.Samples)) / float64(clip.Rate)), As: records.AsClip,
			Answer: records.NewAnswer(s.recognizer, answer.Scores, s.labels), Warning: p.warning,
		}
		if s.options.As == records.AsWindows {
			r.As = records.AsWindows
			s.results.Window(records.Window{File: safe.String(p.note.File), End: r.Seconds, Answer: r.Answer})
		}
		s.done(ctx, p.note, r)
	}
	s.pending, s.clips = s.pending[:0], s.clips[:0]
}

// done writes the record of a file that has been classified.
func (s *work) done(ctx context.Context, n note, r records.Result) {
	r.File = safe.String(n.File)
	s.results.Result(r)
	s.notes = append(s.notes, n)
	classified.Inc(ctx, 1)
	processed.Inc(ctx, int64(1000*float64(r.Seconds)))
}

// fail writes a dead letter.
func (s *work) fail(ctx context.Context, path string, err error) {
	if p, ok := errors.AsType[*iofs.PathError](err); ok {
		err = p.Err // the record names the file anyway
	}
	s.failures.Fail(records.Failure{File: safe.String(path), Error: safe.String(err.Error())})
	failed.Inc(ctx, 1)
}

// write writes what has become of shard n. The notes, which come last, say that it is done.
func (s *work) write(ctx context.Context, n int64) error {
	if err := errors.Join(s.results.Flush(), s.failures.Flush()); err != nil {
		return err
	}
	var notes bytes.Buffer
	for _, n := range s.notes {
		notes.Write(records.Marshal(n))
		notes.WriteByte('\n')
	}
	name := fmt.Sprintf("%s-%05d-of-%05d", s.options.Run, n, s.options.Shards)
	for _, file := range []struct {
		folder string
		text   []byte
	}{
		{"failed", s.failureText.Bytes()}, {"results", s.resultText.Bytes()}, {"done", notes.Bytes()},
	} {
		if len(file.text) == 0 {
			continue
		}
		if err := write(ctx, s.options.path(file.folder, name), file.text); err != nil {
			return err
		}
	}
	return nil
}
