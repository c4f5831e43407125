// Package wyoming serves wake words by the Wyoming protocol, version 1.9, in which Home Assistant speaks with voice
// services: events over TCP, each a line of JSON, then as many bytes of JSON and of payload as the line says. A client
// asks what there is (describe, info), names the words that it waits for (detect), sends sound (audio-start,
// audio-chunk, audio-stop), and is answered by detection, or at the end by not-detected.
package wyoming

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/polyphon/polyphon/audio"
)

// Backend is what detects words.
type Backend interface {
	// Models returns what there is at the moment. The first one is the default.
	Models() []Model
	// Open begins a stream of raw PCM from a client's address, which ends with ctx at the latest.
	Open(ctx context.Context, model string, f audio.Format, source string) (Stream, error)
}

// Model is a model and what it detects.
type Model struct {
	Name  string
	Words []string
}

// Stream is sound in which words are detected. Next is called by another goroutine than the rest.
type Stream interface {
	// Push takes PCM, cut anywhere. It may wait.
	Push(pcm []byte) error
	// End says that nothing follows.
	End()
	// Next waits for the next word. It returns io.EOF after End and the last word.
	Next() (Detection, error)
	// Close ends the stream at once.
	Close()
}

// Detection is a word that was detected.
type Detection struct {
	Word string
	Time float64 // seconds since the stream began
}

// Options are limits and the like. Zero fields stand for the defaults.
type Options struct {
	Clients int           // at the same time, 256
	Idle    time.Duration // without an event, after which a client is dropped, 5 minutes
	Write   time.Duration // in which a client takes an answer, 10 s
	Logger  *slog.Logger  // nil: slog.Default
}

// Server serves a Backend's words.
type Server struct {
	backend Backend
	options Options
	log     *slog.Logger

	mu        sync.Mutex // guards what follows
	listeners map[net.Listener]struct{}
	clients   map[*client]struct{}
	closing   bool
	running   sync.WaitGroup // clients
}

// New returns a Server.
func New(b Backend, o Options) *Server {
	o.Clients = cmp.Or(o.Clients, 256)
	o.Idle = cmp.Or(o.Idle, 5*time.Minute)
	o.Write = cmp.Or(o.Write, 10*time.Second)
	s := &Server{
		backend: b, options: o, log: o.Logger,
		listeners: map[net.Listener]struct{}{}, clients: map[*client]struct{}{},
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s
}

// ErrClosed is what Serve returns after Close.
var ErrClosed = errors.New("the Wyoming service is closed")

// pause is what Serve waits after a connection that it could not take, for want of file descriptors, say.
const pause = 100 * time.Millisecond

// Serve serves clients that connect to l, until Close.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.listen(l) {
		return ErrClosed
	}
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return ErrClosed
		case err != nil:
			s.log.Warn("wyoming: accepting a connection", "error", err)
			time.Sleep(pause)
			continue
		}
		if c := s.admit(conn); c != nil {
			go c.run()
		} else {
			conn.Close()
		}
	}
}

// listen notes a listener, unless the server is closed.
func (s *Server) listen(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners[l] = struct{}{}
	return !s.closing
}

// admit returns the client of a connection; nil where there are too many.
func (s *Server) admit(conn net.Conn) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.clients) >= s.options.Clients {
		s.log.Warn("wyoming: too many clients", "clients", len(s.clients), "address", conn.RemoteAddr())
		return nil
	}
	c := &client{server: s, conn: conn, log: s.log.With("client", conn.RemoteAddr().String())}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	s.clients[c] = struct{}{}
	s.running.Add(1)
	return c
}

// leave forgets a client.
func (s *Server) leave(c *client) {
	s.mu.Lock()
	delete(s.clients, c)
	s.mu.Unlock()
	s.running.Done()
}

// Close ends the service: nobody is admitted any more, and clients are disconnected, those that are being answered
// after that, or when ctx is done.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.clients {
		c.conn.SetReadDeadline(time.Now()) // its loop ends, and with it its streams
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.clients {
		c.disconnect()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}
