package serve

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/live"
)

// Session is one live stream. Its methods may be called by several goroutines. Messages are to be received by another
// one than that which pushes, since Push waits where too many of them wait.
type Session struct {
	server *Server
	model  *model
	hello  Hello
	out    chan Message
	done   chan struct{} // closed after the last message

	pushing   sync.Mutex // guards what follows
	converter *audio.Converter
	checks    *live.Checks
	mono      []float32 // scratch
	pushed    int       // samples, at the model's rate

	space chan struct{} // has an element when the queue has shrunk

	mu       sync.Mutex // guards what follows
	queue    []piece
	queued   int      // samples in it
	warned   []string // of which the first ones, sent, have been sent
	sent     int
	point    *point // that is to be set
	ended    bool   // by End
	finished bool
	failure  *Error
	attached bool        // to a group
	current  point       // as clients see it
	idle     *time.Timer // ends the session
	unbind   func() bool // from the context

	streamState // of the group's goroutine
}

// piece is sound that waits to be computed, or what is to be done in its place.
type piece struct {
	samples []float32 // mono, at the model's rate
	at      time.Time // when the first of them arrived
	control control
}

type control int

const (
	noControl control = iota
	resetControl
	endControl
)

const (
	queueSeconds = 2       // of sound that waits to be computed, at most: then Push waits
	convertBytes = 1 << 15 // that are converted at a time
	joinWithin   = 20 * time.Millisecond
)

// Listen begins a live stream, which ends with ctx at the latest. Errors: ErrRequest for a Hello that makes no sense,
// ErrModel, ErrFull, ErrClosing.
func (s *Server) Listen(ctx context.Context, h Hello) (*Session, error) {
	m, err := s.use(h.Model)
	if err != nil {
		return nil, err
	}
	session, err := newSession(m, h)
	if err == nil {
		err = s.enter(session)
	}
	if err != nil {
		m.release()
		return nil, err
	}
	session.send(session.ready())
	session.mu.Lock()
	defer session.mu.Unlock()
	if !session.finished {
		limit := s.config.Limits.Idle
		session.idle = time.AfterFunc(limit, func() { session.fail(fmt.Errorf("no sound has arrived for %v", limit)) })
		session.unbind = context.AfterFunc(ctx, session.Close)
	}
	return session, nil
}

func newSession(m *model, h Hello) (*Session, error) {
	net := m.recognizer.Model()
	h.Model = m.name
	h.Rate, h.Channels = cmp.Or(h.Rate, 16000), cmp.Or(h.Channels, 1)
	h.Encoding = cmp.Or(h.Encoding, audio.S16LE)
	format := audio.Format{Container: "raw", Rate: h.Rate, Channels: h.Channels, Encoding: h.Encoding}
	s := &Session{server: m.server, model: m, hello: h, done: make(chan struct{}), space: make(chan struct{}, 1)}
	base := net.DetectionConfig()
	p, err := (point{base.Threshold, base.Thresholds}).with(h.Thresholds, net.Labels)
	if err != nil {
		return nil, err
	}
	s.point, s.current = &p, p
	if s.converter, err = audio.NewConverter(format, net.Features.Rate); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	s.checks = live.NewChecks(format, s.warn)
	if h.Frames {
		s.rows = m.extractor.Framer()
	}
	s.room = m.messages(takeSeconds)
	last := net.Window + base.Smoothing + base.MinDuration + m.lookahead().Seconds()
	s.lastRoom = m.messages(takeSeconds + last)
	s.out = make(chan Message, s.room+s.lastRoom)
	return s, nil
}

// messages returns how many messages so many seconds of sound are answered with, at most: an event and a decision each
// time, and a few others.
func (m *model) messages(seconds float64) int {
	const others = 16
	return 2*(int(seconds/m.decisionHop())+1) + others
}

// enter counts a session as one of the server's.
func (s *Server) enter(session *Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return ErrClosing
	case len(s.sessions) >= s.config.Limits.Streams:
		return fmt.Errorf("%w: %d", ErrFull, len(s.sessions))
	}
	s.sessions[session] = struct{}{}
	return nil
}

func (s *Session) ready() *Ready {
	info := s.model.info()
	thresholds := map[string]float64{"*": s.current.threshold}
	maps.Copy(thresholds, s.current.byLabel)
	return &Ready{
		Model: info.Name, Labels: info.Labels, Window: info.Window, DecisionHop: info.DecisionHop,
		Lookahead: info.Lookahead, Mels: info.Mels, FrameHop: info.Hop, Thresholds: thresholds,
	}
}

// Messages returns what the stream answers. It is closed after the last one, which is *End or *Error; after Close there
// may be none.
func (s *Session) Messages() <-chan Message { return s.out }

// Push takes PCM in the format of the Hello, cut anywhere. It waits while more sound is queued than can be computed, or
// than the messages about it are received. After End or the stream's last message it returns an error.
func (s *Session) Push(pcm []byte) error {
	s.pushing.Lock()
	defer s.pushing.Unlock()
	at := time.Now()
	s.arrives(at)
	for len(pcm) > 0 {
		part := pcm[:min(len(pcm), convertBytes)]
		pcm = pcm[len(part):]
		s.checks.Write(part)
		s.mono = s.converter.Write(s.mono[:0], part)
		s.checks.Levels(s.mono)
		s.warn(s.converter.Warning())
		if err := s.add(at); err != nil {
			return err
		}
	}
	return nil
}

// arrives notes that sound arrives.
func (s *Session) arrives(at time.Time) {
	s.mu.Lock()
	if s.idle != nil && !s.finished {
		s.idle.Reset(s.server.config.Limits.Idle)
	}
	caughtUp, flooded := s.queued == 0, s.queued >= s.maxQueued()
	if caughtUp {
		s.lag.CaughtUp(live.Mark{At: at, Seconds: s.processed})
	}
	s.mu.Unlock()
	switch {
	case caughtUp:
		s.checks.CaughtUp(live.Mark{At: at, Seconds: float64(s.pushed) / float64(s.rate())})
	case flooded:
		s.checks.Flooded()
	}
}

func (s *Session) rate() int { return s.model.recognizer.Model().Features.Rate }

// maxQueued returns how many samples wait at most, but for the latest piece.
func (s *Session) maxQueued() int { return queueSeconds * s.rate() }

// add queues the samples in s.mono.
func (s *Session) add(at time.Time) error {
	if len(s.mono) == 0 {
		return nil
	}
	if err := s.model.streams.attach(s); err != nil {
		s.fail(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.queued >= s.maxQueued() && !s.finished && !s.ended {
		s.mu.Unlock()
		select {
		case <-s.space:
		case <-s.done:
		}
		s.mu.Lock()
	}
	if s.finished || s.ended {
		return s.reason()
	}
	s.pushed += len(s.mono)
	s.enqueue(at)
	return nil
}

// enqueue adds the samples in s.mono to the queue, joined with those that arrived just before.
func (s *Session) enqueue(at time.Time) {
	s.queued += len(s.mono)
	if last := len(s.queue) - 1; last >= 0 && s.queue[last].control == noControl &&
		at.Sub(s.queue[last].at) < joinWithin {
		s.queue[last].samples = append(s.queue[last].samples, s.mono...)
		return
	}
	s.queue = append(s.queue, piece{samples: append([]float32(nil), s.mono...), at: at})
	s.group.wakeUp()
}

// over returns why no more sound is taken, or nil.
func (s *Session) over() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished || s.ended {
		return s.reason()
	}
	return nil
}

// reason returns why no more sound is taken from a stream that has finished.
func (s *Session) reason() error {
	if s.failure != nil {
		return s.failure
	}
	return polyphon.ErrEnded
}

// SetThresholds replaces thresholds, of labels and of all under "*", at once. An error wraps ErrRequest.
func (s *Session) SetThresholds(thresholds map[string]float64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.current.with(thresholds, s.model.recognizer.Model().Labels)
	if err != nil {
		return err
	}
	s.current, s.point = p, &p
	s.wakeGroup()
	return nil
}

// Reset begins a new sound: times count from 0 again, and what has been pushed before is answered first.
func (s *Session) Reset() { s.put(resetControl) }

// End ends the sound: what has been pushed is answered, and *End follows.
func (s *Session) End() { s.put(endControl) }

// put queues what is to be done after the sound so far.
func (s *Session) put(c control) {
	s.pushing.Lock()
	defer s.pushing.Unlock()
	s.mono = s.converter.Flush(s.mono[:0])
	s.converter.Reset()
	if s.add(time.Now()) != nil {
		return
	}
	s.mu.Lock()
	done := s.finished || s.ended
	silent := !done && !s.attached // there has been no sound
	if !done {
		s.ended = c == endControl
	}
	if !done && !silent {
		s.queue = append(s.queue, piece{control: c, at: time.Now()})
		s.group.wakeUp()
	}
	s.mu.Unlock()
	if silent && c == endControl {
		s.finish(&End{})
	}
}

// Close ends the stream at once. Any goroutine may call it, also after the stream has ended.
func (s *Session) Close() { s.finish(nil) }

// fail ends the stream with an error.
func (s *Session) fail(err error) { s.finish(&Error{Text: err.Error(), err: err}) }

// finish sends the last message, if there is one, and ends the session.
func (s *Session) finish(last Message) {
	s.mu.Lock()
	if s.finished {
		s.mu.Unlock()
		return
	}
	s.finished, s.queue, s.queued = true, nil, 0
	if e, ok := last.(*Error); ok {
		s.failure = e
	}
	if last != nil {
		s.out <- last // send leaves room for it
	}
	close(s.out)
	close(s.done)
	attached, processed := s.attached, s.processed
	s.wakeGroup()
	if s.idle != nil {
		s.idle.Stop()
		s.unbind()
	}
	s.mu.Unlock()
	s.server.mu.Lock()
	delete(s.server.sessions, s)
	s.server.mu.Unlock()
	failure := ""
	if s.failure != nil {
		failure = s.failure.Text
	}
	s.server.log.Debug("a stream has ended", "model", s.model.name, "source", s.hello.Source, "seconds", processed,
		"error", failure)
	if !attached {
		s.model.release()
	}
}

// send sends a message to a stream that has not finished.
func (s *Session) send(m Message) {
	s.mu.Lock()
	full := false
	if !s.finished {
		if full = len(s.out) >= cap(s.out)-1; !full {
			s.out <- m
		}
	}
	s.mu.Unlock()
	if full { // the room has been computed wrongly
		s.fail(fmt.Errorf("%d messages wait to be received", cap(s.out)-1))
	}
}

// maxWarnings is how many different warnings a stream is sent.
const maxWarnings = 16

// warn has a warning sent with the next answers, once.
func (s *Session) warn(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sentence := range strings.SplitSeq(text, "; ") {
		if sentence != "" && len(s.warned) < maxWarnings && !slices.Contains(s.warned, sentence) {
			s.warned = append(s.warned, sentence)
		}
	}
}

// lagNow returns by how many seconds the stream is behind its sound.
func (s *Session) lagNow() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queued == 0 {
		return 0
	}
	return s.lag.Lag(live.Mark{At: time.Now(), Seconds: s.processed})
}

func (s *Session) wakeGroup() {
	if s.attached {
		s.group.wakeUp()
	}
}
