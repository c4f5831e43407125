package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// unnamed is the file in the record of a sound that has no name, as of the command's standard input.
const unnamed = "-"

// query is what a request asks for.
type query struct {
	model    string
	top      int // labels; 0 is all
	windows  bool
	coverage *float64 // nil: no sets of labels
	json     bool     // one object for the whole
}

// newQuery reads the parameters of a request. Errors wrap ErrRequest.
func newQuery(values url.Values) (q query, err error) {
	q.top = 1
	for name, list := range values {
		value := list[0]
		switch name {
		case "model":
			q.model = value
		case "top":
			q.top, err = strconv.Atoi(value)
			if err == nil && q.top < 0 {
				err = errors.New("negative")
			}
		case "windows":
			q.windows, err = strconv.ParseBool(value)
		case "coverage":
			var share float64
			share, err = strconv.ParseFloat(value, 64)
			q.coverage = &share
		case "format":
			q.json = value == "json"
			if value != "json" && value != "ndjson" {
				err = errors.New("json and ndjson are possible")
			}
		default:
			err = errors.New("no such parameter")
		}
		if err != nil {
			return q, fmt.Errorf("%w: %s=%s: %w", ErrRequest, name, value, err)
		}
	}
	return q, nil
}

// upload is a request with sounds.
type upload struct {
	server *Server
	model  *model
	query  query
	labels int // of each window and result
	out    *lateWriter
	format records.Format
	begun  time.Time

	summary records.Summary
}

// classify answers for one sound: the body, or the first file of a multipart form.
func (s *Server) classify(w http.ResponseWriter, r *http.Request) { s.upload(w, r, false) }

// classifyBatch answers for the files of a multipart form, in their order.
func (s *Server) classifyBatch(w http.ResponseWriter, r *http.Request) { s.upload(w, r, true) }

func (s *Server) upload(w http.ResponseWriter, r *http.Request, batch bool) {
	u, err := s.newUpload(w, r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	defer u.close()
	parts, err := newParts(r)
	if err == nil && batch && parts.form == nil {
		err = fmt.Errorf("%w: the body has to be multipart/form-data", ErrRequest)
	}
	if err == nil {
		err = u.answer(r.Context(), parts, batch)
	}
	if err != nil && !u.out.committed {
		s.refuse(w, err)
		return
	}
	if err == nil {
		err = u.finish()
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the client must not take what it has for the whole
	}
}

// newUpload prepares a request with sounds, to be closed.
func (s *Server) newUpload(w http.ResponseWriter, r *http.Request) (*upload, error) {
	q, err := newQuery(r.URL.Query())
	if err != nil {
		return nil, err
	}
	if r.ContentLength > s.config.Limits.Body {
		return nil, &http.MaxBytesError{Limit: s.config.Limits.Body}
	}
	m, err := s.use(q.model)
	if err != nil {
		return nil, err
	}
	if q.coverage != nil {
		_, err = m.recognizer.SetOf(nil, *q.coverage)
	}
	if err == nil {
		err = s.admit()
	}
	if err != nil {
		m.release()
		return nil, err
	}
	r.Body = s.bounded(w, r)
	u := &upload{server: s, model: m, query: q, labels: len(m.recognizer.Labels()), begun: time.Now()}
	if q.top > 0 {
		u.labels = min(q.top, u.labels)
	}
	u.out = newLateWriter(w)
	out := records.NewOutput(u.out)
	u.format = records.NDJSON{Output: out}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if q.json {
		u.format = records.NewJSON(out, q.windows)
		w.Header().Set("Content-Type", "application/json")
	}
	net := m.recognizer.Model()
	rate := float64(net.Features.Rate)
	u.summary = records.Summary{
		Window: records.Seconds(net.Window), Hop: records.Seconds(math.Round(net.Window/2*rate) / rate),
		Model: safe.String(m.name), Device: safe.String(s.config.Device.Name()), Threads: 1,
	}
	return u, nil
}

func (u *upload) close() {
	<-u.server.uploads
	u.model.release()
}

// admit counts an upload, which close ends.
func (s *Server) admit() error {
	select {
	case s.uploads <- struct{}{}:
		return nil
	default:
		return fmt.Errorf("%w: %d uploads are classified or wait for it", errBusy, cap(s.uploads))
	}
}

// answer classifies the sounds. The error of one ends a request for one, and is a record among those of many.
func (u *upload) answer(ctx context.Context, parts *parts, batch bool) error {
	for {
		name, body, err := parts.next()
		if err == io.EOF && u.summary.Files > 0 {
			return nil
		}
		if err == io.EOF {
			err = fmt.Errorf("%w: the form has no files", ErrRequest)
		}
		if err != nil {
			return err
		}
		result, err := u.sound(ctx, name, body)
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return tooLarge // there is no more to read
		}
		if err != nil && !batch && !u.out.committed {
			return err
		}
		u.add(name, result, err)
		if !batch {
			return nil
		}
	}
}

// add writes the last record of a sound.
func (u *upload) add(name string, r records.Result, err error) {
	s := &u.summary
	s.Files++
	s.AudioSeconds += r.Seconds
	s.Windows += r.Windows
	s.Events += r.Events
	s.Refused += r.Refusals()
	u.server.metrics.sound.WithLabelValues(u.model.name, "upload").Add(float64(r.Seconds))
	if err != nil {
		s.Failed++
		u.format.Fail(records.Failure{File: safe.String(name), Error: safe.String(err.Error())})
		return
	}
	u.format.Result(r)
}

// finish writes the summary.
func (u *upload) finish() error {
	u.summary.Elapsed = records.Seconds(time.Since(u.begun).Seconds())
	if err := u.format.Close(u.summary); err != nil {
		return err
	}
	return u.out.commit()
}

// sound classifies a sound, as the command does with a file.
func (u *upload) sound(ctx context.Context, name string, body io.Reader) (r records.Result, err error) {
	decoder := u.server.takeDecoder()
	defer u.server.returnDecoder(decoder)
	if err := decoder.Reset(fullReader{body}); err != nil {
		return r, err
	}
	recognizer := u.model.recognizer
	limited := &limitedSource{Source: decoder, left: u.server.config.Limits.Duration}
	src, err := audio.Resample(limited, recognizer.Model().Features.Rate)
	if err != nil {
		return r, err
	}
	r.File, r.As = safe.String(name), records.AsClip
	samples := make([]float32, recognizer.Model().WindowSamples()+1)
	n, err := audio.ReadFull(src, samples)
	var scores []polyphon.Score
	switch {
	case n == len(samples):
		scores, err = u.long(ctx, name, &records.Sound{Source: src, Beginning: samples, Err: err}, &r)
	case err == io.EOF:
		clip := audio.Clip{Rate: src.Rate(), Samples: samples[:n]}
		r.Seconds = records.Seconds(float64(n) / float64(src.Rate()))
		scores, err = u.model.classify(clip)
		if u.query.windows && err == nil {
			r.As = records.AsWindows
			u.window(&r, polyphon.Window{End: float64(r.Seconds), Scores: scores})
		}
	}
	if err != nil {
		return r, err
	}
	r.Answer = u.of(scores)
	r.Warning = records.Warnings(decoder.Warning())
	return r, nil
}

// long classifies a sound that is longer than a window.
func (u *upload) long(
	ctx context.Context, name string, src *records.Sound, r *records.Result,
) (scores []polyphon.Score, err error) {
	way := records.Auto
	if u.query.windows {
		way = records.AsWindows
	}
	r.As = src.Choose(way, u.model.recognizer)
	turns := &turnSource{Source: src, compute: u.server.compute}
	turns.compute <- struct{}{}
	begun := time.Now()
	scores, r.RefusedEvents, err = records.Find(ctx, u.model.recognizer, r.As, turns, records.Finder{
		Window: func(found polyphon.Window) error {
			turns.without(func() { u.window(r, found) })
			return u.out.failed
		},
		Event: func(found polyphon.Event) error {
			r.Events++
			turns.without(func() { u.format.Event(records.NewEvent(name, found)) })
			return u.out.failed
		},
	})
	<-turns.compute
	spent := time.Since(begun) - turns.waited
	u.server.metrics.computing.WithLabelValues(u.model.name).Add(spent.Seconds())
	r.Seconds = src.Seconds()
	return scores, err
}

// window writes the answer for a window.
func (u *upload) window(r *records.Result, found polyphon.Window) {
	w := records.Window{
		File: r.File, Start: records.Seconds(found.Start), End: records.Seconds(found.End), Answer: u.of(found.Scores),
	}
	r.Windows++
	if w.Refused {
		r.RefusedWindows++
	}
	u.format.Window(w)
}

// of returns the answer of scores.
func (u *upload) of(scores []polyphon.Score) records.Answer {
	a := records.NewAnswer(u.model.recognizer, scores, u.labels)
	if u.query.coverage != nil {
		set, err := u.model.recognizer.SetOf(scores, *u.query.coverage)
		if err != nil {
			panic(err) // it has been checked
		}
		a.Set = records.NewLabelSet(set)
	}
	return a
}

// turnSource is a source in whose reads others may compute, since it may wait for a client.
type turnSource struct {
	audio.Source
	compute chan struct{}
	waited  time.Duration
}

// Read implements audio.Source.
func (s *turnSource) Read(dst []float32) (n int, err error) {
	s.without(func() { n, err = s.Source.Read(dst) })
	return n, err
}

// without does what may wait while others compute.
func (s *turnSource) without(do func()) {
	begun := time.Now()
	<-s.compute
	do()
	s.compute <- struct{}{}
	s.waited += time.Since(begun)
}

// limitedSource is a source that fails where it goes on for too long.
type limitedSource struct {
	audio.Source
	left  time.Duration
	limit time.Duration
}

// Read implements audio.Source.
func (s *limitedSource) Read(dst []float32) (int, error) {
	n, err := s.Source.Read(dst)
	s.limit = cmp.Or(s.limit, s.left)
	if s.left -= time.Duration(n) * time.Second / time.Duration(s.Rate()); s.left < 0 {
		return n, fmt.Errorf("%w: the limit is %v", audio.ErrTooLong, s.limit)
	}
	return n, err
}

// parts are the sounds of a request.
type parts struct {
	form *multipart.Reader // nil: the body is the only one
	body io.Reader         // nil: it has been returned
}

func newParts(r *http.Request) (*parts, error) {
	kind, _, err := mime.ParseMediaType(cmp.Or(r.Header.Get("Content-Type"), "application/octet-stream"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if !slices.Contains([]string{"multipart/form-data", "multipart/mixed"}, kind) {
		return &parts{body: r.Body}, nil
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return &parts{form: form}, nil
}

// next returns the next sound and its name, or io.EOF. Fields of the form that are no files are left out.
func (p *parts) next() (name string, body io.Reader, err error) {
	if p.form == nil {
		body, p.body = p.body, nil
		if body == nil {
			return "", nil, io.EOF
		}
		return unnamed, body, nil
	}
	for {
		part, err := p.form.NextPart()
		switch tooLarge, ok := errors.AsType[*http.MaxBytesError](err); {
		case ok:
			return "", nil, tooLarge
		case err == io.EOF:
			return "", nil, io.EOF
		case err != nil:
			return "", nil, fmt.Errorf("%w: %w", ErrRequest, err)
		case part.FileName() != "":
			return part.FileName(), part, nil
		}
	}
}
