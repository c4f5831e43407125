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
	as       string        // the way to answer a sound, unless windows are asked for; "": records.Auto
	pool     polyphon.Pool // "": the server's
	coverage *float64      // nil: no sets of labels
	json     bool          // one object for the whole
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
		case "as":
			q.as = value
			if ways := []string{records.Auto, records.AsClip, records.AsEvents}; !slices.Contains(ways, value) {
				err = fmt.Errorf("%q are possible", ways)
			}
		case "pool":
			q.pool = polyphon.Pool(value)
			if !slices.Contains(polyphon.Pools(), q.pool) {
				err = fmt.Errorf("%q are possible", polyphon.Pools())
			}
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
	pending []pendingSound
	batch   bool // of any number of sounds
}

// classify answers for one sound: the body, or the first file of a multipart form.
func (s *Server) classify(w http.ResponseWriter, r *http.Request) { s.upload(w, r, false) }

// classifyBatch answers for the files of a multipart form, in their order.
func (s *Server) classifyBatch(w http.ResponseWriter, r *http.Request) { s.upload(w, r, true) }

func (s *Server) upload(w http.ResponseWriter, r *http.Request, batch bool) {
	u, err := s.newUpload(w, r, batch)
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
		err = u.answer(r.Context(), parts)
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
func (s *Server) newUpload(w http.ResponseWriter, r *http.Request, batch bool) (*upload, error) {
	q, err := newQuery(r.URL.Query())
	if err != nil {
		return nil, err
	}
	if r.ContentLength > s.config.Limits.Body { // no byte of it has to be read
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
	r.Body = s.bounded(w, r, s.config.Limits.Body)
	u := &upload{
		server: s, model: m, query: q, labels: len(m.recognizer.Labels()), begun: time.Now(), batch: batch,
	}
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
	for _, p := range u.pending { // of a request that broke off
		u.model.wait(p.job)
	}
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
func (u *upload) answer(ctx context.Context, parts *parts) error {
	for tried := 0; ; tried++ {
		name, body, err := parts.next()
		switch {
		case err == io.EOF && tried == 0:
			return fmt.Errorf("%w: the form has no files", ErrRequest)
		case err == io.EOF:
			return u.flush()
		case err != nil:
			return err
		}
		err = u.sound(ctx, name, body)
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return tooLarge // there is no more to read
		}
		if !u.batch {
			return cmp.Or(err, u.flush())
		}
		if err != nil {
			if err := u.flush(); err != nil {
				return err
			}
			u.fail(name, records.Result{}, err)
		}
	}
}

// finish writes the summary.
func (u *upload) finish() error {
	u.summary.Elapsed = records.Seconds(time.Since(u.begun).Seconds())
	if err := u.format.Close(u.summary); err != nil {
		return err
	}
	return u.out.commit()
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
