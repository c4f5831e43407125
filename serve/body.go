package serve

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/polyphon/polyphon/audio"
)

// How long a client may take to send the next bytes of a body, or to take those of an answer.
const transferWithin = 30 * time.Second

// boundedBody is a request's body whose reads have a deadline.
type boundedBody struct {
	io.ReadCloser
	control *http.ResponseController
	within  time.Duration
}

// maxInMemory is how many bytes a body has at most that is held in memory: one in JSON, or a clip that is saved.
const maxInMemory = 16 << 20

// bounded returns the body of a request within the limits, and of so many bytes at most.
func (s *Server) bounded(w http.ResponseWriter, r *http.Request, most int64) io.ReadCloser {
	return &boundedBody{
		http.MaxBytesReader(w, r.Body, min(most, s.config.Limits.Body)), http.NewResponseController(w), transferWithin,
	}
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	b.control.SetReadDeadline(time.Now().Add(b.within)) // tests' writers have none
	return b.ReadCloser.Read(p)
}

// fullReader reads as from a file: in whole pieces, however the sound arrives. How much of a long sound is computed at
// once follows from that, and so does how the last digits of its probabilities are rounded.
type fullReader struct{ io.Reader }

// Read implements io.Reader.
func (f fullReader) Read(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var got int
		got, err = f.Reader.Read(p[n:])
		n += got
	}
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// lateWriter is an answer that is kept until it is certain, or has become long, so that an error can still have a
// status of its own.
type lateWriter struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	kept      bytes.Buffer
	committed bool
	failed    error // of the connection
}

// maxKept is how many bytes are kept.
const maxKept = 1 << 16

func newLateWriter(w http.ResponseWriter) *lateWriter {
	return &lateWriter{w: w, control: http.NewResponseController(w)}
}

// Write implements io.Writer.
func (l *lateWriter) Write(p []byte) (int, error) {
	if l.failed != nil {
		return 0, l.failed
	}
	l.kept.Write(p)
	if l.kept.Len() > maxKept {
		return len(p), l.commit()
	}
	return len(p), nil
}

// commit sends what is kept.
func (l *lateWriter) commit() error {
	if !l.committed {
		l.committed = true
		l.control.EnableFullDuplex() // the rest of the body is still read; HTTP/2 always does
	}
	l.control.SetWriteDeadline(time.Now().Add(transferWithin))
	if _, err := l.kept.WriteTo(l.w); err != nil && l.failed == nil {
		l.failed = err
	}
	return l.failed
}

// takeDecoder returns a decoder, to be given back.
func (s *Server) takeDecoder() *audio.Decoder {
	if d, ok := s.decoders.Get().(*audio.Decoder); ok {
		return d
	}
	return new(audio.Decoder)
}

func (s *Server) returnDecoder(d *audio.Decoder) {
	d.Close()
	s.decoders.Put(d)
}
