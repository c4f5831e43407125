// Package serve is polyphon as a service: sound over HTTP and WebSockets in, labels and events out. The live streams of
// a model share groups of listeners (polyphon.ListenerGroup), so that thousands of them cost little more than their
// arithmetic. The messages are described in docs/serve.md and, for machines, in openapi.yaml, which is served.
//
//	s, err := serve.New(serve.Config{})      // the embedded models
//	http.Serve(listener, s.Handler())
//	session, err := s.Listen(ctx, serve.Hello{Rate: 48000})  // one live stream, without HTTP
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/device"
)

// Config says what a Server offers. The zero value serves the embedded models without authentication.
type Config struct {
	Models  []Source      // the first one is the default; none stands for the embedded ones
	Device  device.Device // that computes; nil stands for the processor
	Token   []byte        // that requests need, but for the page, /healthz and /v2/health; empty: none
	Origins []string      // of other pages that may use the service, such as https://example.org
	Hosts   []string      // names without ports by which requests may address the service; none: any
	SaveDir string        // where POST /v1/clips saves clips; "" does not
	Pool    polyphon.Pool // of sounds longer than a window, where a request names none; "": polyphon.PoolMean
	Limits  Limits
	Logger  *slog.Logger // nil: slog.Default
	Page    http.Handler // what is served at /; nil: nothing
	// OnEvent is called with each event of live sound, before the stream's client has it, and with the model and the
	// name that the client has given the sound. It must not wait. nil: nothing else gets them.
	OnEvent func(model, source string, e *Event)
}

// Source is a model that is served.
type Source struct {
	Name string // in requests
	Path string // of its file, or the name of an embedded model
}

// Limits bound what clients may use. Zero fields stand for the defaults.
type Limits struct {
	Body        int64         // bytes of a request's body, 256 MiB; live sound has no such bound
	Duration    time.Duration // of a sound that is uploaded, 1 hour
	Uploads     int           // that are classified or wait for it, 64 and 16 a core
	Streams     int           // live ones, 4096
	Connections int           // for live sound, streams or not yet such, 16384
	Rate        int           // requests a minute and client address; negative, the default: no limit
	Lag         time.Duration // of a live stream, after which it is dropped, 10 s
	Idle        time.Duration // without sound, after which a live stream is dropped, 5 minutes
	Hello       time.Duration // in which a WebSocket has to send its first message, 10 s
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Body:        cmp.Or(l.Body, 256<<20),
		Duration:    cmp.Or(l.Duration, time.Hour),
		Uploads:     cmp.Or(l.Uploads, 64+16*runtime.GOMAXPROCS(0)),
		Streams:     cmp.Or(l.Streams, 4096),
		Connections: cmp.Or(l.Connections, 16384),
		Rate:        cmp.Or(l.Rate, -1),
		Lag:         cmp.Or(l.Lag, 10*time.Second),
		Idle:        cmp.Or(l.Idle, 5*time.Minute),
		Hello:       cmp.Or(l.Hello, 10*time.Second),
	}
}

// Errors of Listen, besides those that wrap ErrRequest.
var (
	ErrClosing = errors.New("the service is closing")
	ErrFull    = errors.New("all streams of the service are in use")
	// ErrRequest marks what a client asked for and cannot have.
	ErrRequest = errors.New("bad request")
	// ErrModel marks a name that no model has.
	ErrModel = errors.New("there is no such model")
)

// Errors of requests.
var (
	errToken       = errors.New("the request needs the service's token")
	errForbidden   = errors.New("forbidden")
	errBusy        = errors.New("the service is busy")
	errRate        = errors.New("too many requests")
	errMisdirected = errors.New("misdirected request")
)

// Server offers models to clients. Its methods may be called by several goroutines.
type Server struct {
	config  Config
	log     *slog.Logger
	handler http.Handler
	compute chan struct{} // has room for what computes at the same time

	mu        sync.Mutex // guards what follows
	models    []*model   // in the order of the configuration
	sessions  map[*Session]struct{}
	closing   bool
	quit      chan struct{} // closed with closing
	connected int           // for live sound

	uploads  chan struct{} // has room for those that are admitted
	decoders sync.Pool

	loading  sync.Mutex     // held while models are opened, and when closing begins
	opened   sync.WaitGroup // models
	requests sync.WaitGroup // that are answered
	metrics  metrics
}

// New opens the models and returns a Server of them. Errors are those of models.Open and polyphon.New, and such about
// Origins.
func New(c Config) (*Server, error) {
	c.Limits = c.Limits.withDefaults()
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if len(c.Models) == 0 {
		c.Models = embedded()
	}
	s := &Server{
		config: c, log: c.Logger, sessions: map[*Session]struct{}{}, quit: make(chan struct{}),
		compute: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	if s.config.Device == nil {
		cpu, err := device.CPU(1)
		if err != nil {
			return nil, err
		}
		s.config.Device = cpu
	}
	s.uploads = make(chan struct{}, c.Limits.Uploads)
	s.metrics.register(s)
	if !validToken(s.config.Token) {
		return nil, fmt.Errorf("%w: a token of other characters than letters, digits and %s", ErrRequest, tokenSigns)
	}
	var err error
	if s.handler, err = s.routes(); err != nil {
		return nil, err
	}
	if s.models, err = s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// Handler returns what answers the service's requests.
func (s *Server) Handler() http.Handler { return s.handler }

// Reload opens the models anew. Streams and requests that are under way go on with those that they began with. An error
// leaves everything as it was.
func (s *Server) Reload() error {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.isClosing() {
		return ErrClosing
	}
	opened, err := s.open()
	if err != nil {
		return err
	}
	s.mu.Lock()
	old := s.models
	s.models = opened
	s.mu.Unlock()
	for _, m := range old {
		m.release()
	}
	return nil
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// Close ends the service: new work is refused, and live streams are ended as by Session.End, so that what they hold is
// answered. It waits for requests that are under way. Streams that have not finished when ctx is done are cut off, and
// its error is returned.
func (s *Server) Close(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	s.mu.Lock()
	models := s.models
	if !s.closing {
		close(s.quit)
	}
	s.closing, s.models = true, nil
	var sessions []*Session
	for session := range s.sessions {
		sessions = append(sessions, session)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	for _, session := range sessions {
		go session.End() // it waits while a Push does
	}
	go func() {
		for _, session := range sessions {
			<-session.done
		}
		s.requests.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		for _, session := range sessions {
			session.Close()
		}
	}
	for _, m := range models {
		m.release()
	}
	s.opened.Wait()
	return ctx.Err()
}
