package serve

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio/live"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/records"
)

// streamState is what the goroutine of a session's group knows of the session, besides group, slot and lag, which
// Session.mu guards.
type streamState struct {
	group *group
	slot  int
	lag   live.LagMeter

	processed float64 // seconds of the sound; guarded as well
	fresh     bool    // nothing has been computed
	room      int     // that the answers to one turn need among the messages
	lastRoom  int     // that those to the last turn need

	rows     *features.Framer // nil: none are sent
	row      []float32        // scratch
	rowCount int              // of the sound so far

	end      End
	diverged bool    // a warning has been sent
	lagging  float64 // that has been sent
}

// turn is what is done for a session in one round of its group.
type turn struct {
	session *Session
	detach  bool // the session has finished
	point   *point
	control control
	samples []float32
	at      time.Time // when the oldest of these arrived; zero: there are none
	backlog bool      // a whole turn of samples is left
	waiting bool      // anything is left
}

const takeSeconds = 0.32 // of sound that one turn takes, at most

// take returns the session's next turn.
func (s *Session) take(scratch []float32) (t turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t = turn{session: s, detach: s.finished, samples: scratch[:0]}
	if s.finished {
		return t
	}
	t.point, s.point = s.point, nil
	free := cap(s.out) - 1 - len(s.out)
	if free < s.room {
		t.waiting = len(s.queue) > 0
		return t
	}
	limit := int(takeSeconds * float64(s.rate()))
	for len(s.queue) > 0 && len(t.samples) < limit {
		head := &s.queue[0]
		if head.control != noControl {
			if len(t.samples) > 0 || head.control == endControl && free < s.lastRoom {
				break // in a turn of its own, when there is room
			}
			t.control = head.control
			s.queue = s.queue[1:]
			if t.control == endControl {
				break
			}
			continue
		}
		if t.at.IsZero() {
			t.at = head.at
		}
		n := min(len(head.samples), limit-len(t.samples))
		t.samples = append(t.samples, head.samples[:n]...)
		s.queued -= n
		if head.samples = head.samples[n:]; len(head.samples) == 0 {
			s.queue = s.queue[1:]
		}
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
	t.waiting, t.backlog = len(s.queue) > 0, s.queued >= limit
	select {
	case s.space <- struct{}{}:
	default:
	}
	return t
}

// decided sends a decision.
func (s *Session) decided(d polyphon.Decision) {
	m := &Decision{Time: d.End}
	for _, p := range d.P {
		m.P = append(m.P, float32(p))
	}
	s.send(m)
}

// detected sends an event.
func (s *Session) detected(e polyphon.Event) {
	s.end.Events++
	s.server.metrics.events.WithLabelValues(s.model.name, e.Label).Inc()
	m := &Event{Event: e, Clock: time.Now().Format(records.ClockFormat)}
	if report := s.server.config.OnEvent; report != nil {
		report(s.model.name, s.hello.Source, m)
	}
	s.send(m)
}

// restart begins a new sound.
func (s *Session) restart() {
	s.end, s.diverged, s.rowCount = End{}, false, 0
	if s.rows != nil {
		s.rows.Reset()
	}
}

// sendRows sends the rows that the samples complete, as the network sees them.
func (s *Session) sendRows(samples []float32) {
	if s.rows == nil || len(samples) == 0 {
		return
	}
	net := s.model.recognizer.Model()
	f := net.Features
	s.row = slices.Grow(s.row[:0], f.Mels)[:f.Mels]
	m := &Frames{Time: float64(s.rowCount*f.Hop) / float64(f.Rate), Mels: f.Mels}
	limit := net.Norm.Limit
	if limit == 0 {
		limit = defaultRowLimit
	}
	s.rows.Push(samples)
	for s.rows.Next(s.row) {
		net.Norm.Apply(s.row)
		for _, v := range s.row {
			part := max(0, min((v+limit)/(2*limit), 1))
			m.Rows = append(m.Rows, byte(math.Round(float64(part)*255)))
		}
		s.rowCount++
	}
	if len(m.Rows) > 0 {
		s.send(m)
	}
}

// defaultRowLimit is the value that stands for 255 in Frames where the model has no limit, in deviations.
const defaultRowLimit = 4

// computed notes what has been computed of a turn, and sends what is to be said about it.
func (s *Session) computed(t turn, stats polyphon.ListenStats) {
	if stats.Diverged > 0 && !s.diverged {
		s.diverged = true
		s.warn(stats.FirstErr.Error())
	}
	s.end.AudioSeconds, s.end.Refused, s.end.Decisions = stats.Seconds, stats.Refused, stats.Decisions
	s.end.Frames, s.end.Gated, s.end.Diverged = stats.Frames, stats.Gated, stats.Diverged
	rate := float64(s.rate())
	s.mu.Lock()
	s.processed += float64(len(t.samples)) / rate
	lag := 0.0
	if s.queued > 0 {
		lag = s.lag.Lag(live.Mark{At: time.Now(), Seconds: s.processed})
	}
	warnings := s.warned[s.sent:]
	s.sent = len(s.warned)
	unread := cap(s.out)-1-len(s.out) < s.room
	s.mu.Unlock()
	for _, text := range warnings {
		s.send(&Warning{Text: text})
	}
	s.end.WorstLag = max(s.end.WorstLag, lag)
	s.reportLag(lag, unread)
	if t.control == endControl {
		end := s.end
		s.finish(&end)
	}
}

// reportLag sends the lag where it has changed, and drops a stream whose lag is beyond the limit.
func (s *Session) reportLag(lag float64, unread bool) {
	const step = 1 // seconds
	if lag > s.server.config.Limits.Lag.Seconds() {
		s.server.metrics.dropped.WithLabelValues(s.model.name).Inc()
		if unread {
			s.fail(fmt.Errorf("%.1f s behind the sound: the messages are not received fast enough", lag))
			return
		}
		s.fail(fmt.Errorf("%.1f s behind the sound: the service is too slow for all of its streams", lag))
		return
	}
	if over := lag < step/2 && s.lagging > 0; over || math.Abs(lag-s.lagging) >= step {
		if s.lagging = lag; over {
			s.lagging = 0
		}
		s.send(&Lag{Seconds: s.lagging})
	}
}
