package serve

import (
	"slices"
	"sync"
	"time"

	"github.com/polyphon/polyphon"
)

// pool is the groups that compute the live streams of a model.
type pool struct {
	model   *model
	running sync.WaitGroup
	mu      sync.Mutex // guards what follows, and the members of the groups
	groups  []*group
}

// group is streams that are computed together, by one goroutine.
type group struct {
	pool      *pool
	listeners *polyphon.ListenerGroup
	wake      chan struct{}
	members   [groupSize]*Session // nil: free
	count     int
	closed    bool
	turns     []turn
	scratch   [groupSize][]float32
}

// groupSize is the streams of a group: as many as the kernels compute at once (inference.Group). A group of more would
// only compute them in turns.
const groupSize = 32

// attach makes the session a member of a group, at its first sound.
func (p *pool) attach(s *Session) error {
	s.mu.Lock()
	attached := s.attached
	s.mu.Unlock()
	if attached {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := s.over(); err != nil { // and the pool may be closed
		return err
	}
	g, err := p.withRoom()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return s.reason()
	}
	slot := slices.Index(g.members[:], nil)
	g.members[slot] = s
	g.count++
	s.attached, s.group, s.slot, s.fresh = true, g, slot, true
	return nil
}

// withRoom returns the fullest group that has room for another member, a new one where there is none.
func (p *pool) withRoom() (best *group, err error) {
	for _, g := range p.groups {
		if g.count < groupSize && (best == nil || g.count > best.count) {
			best = g
		}
	}
	if best != nil {
		return best, nil
	}
	listeners, err := p.model.recognizer.ListenGroup(groupSize, polyphon.Format{})
	if err != nil {
		return nil, err
	}
	g := &group{pool: p, listeners: listeners, wake: make(chan struct{}, 1)}
	p.groups = append(p.groups, g)
	p.running.Go(g.run)
	return g, nil
}

// close ends the groups, which have no members, and waits for that.
func (p *pool) close() {
	p.mu.Lock()
	for _, g := range p.groups {
		g.closed = true
		g.wakeUp()
	}
	p.groups = nil
	p.mu.Unlock()
	p.running.Wait()
}

// wakeUp has the group look for work.
func (g *group) wakeUp() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// memberTick is the time for which a group collects sound before it computes, for each of its members: the more there
// are, the more is gained by computing them together. A full group's is a step of live sound.
const memberTick = 80 * time.Millisecond / groupSize

// run computes until the group is closed.
func (g *group) run() {
	for range g.wake {
		for waiting, backlog := true, false; waiting; {
			closed, members := g.state()
			if closed {
				g.end()
				return
			}
			if !backlog {
				time.Sleep(time.Duration(members) * memberTick)
			}
			waiting, backlog = g.round()
		}
	}
}

// state returns whether the group is closed, which it also becomes when it is empty and not the only one.
func (g *group) state() (closed bool, members int) {
	g.pool.mu.Lock()
	defer g.pool.mu.Unlock()
	if g.count == 0 && len(g.pool.groups) > 1 && !g.closed {
		g.closed = true
		g.pool.groups = slices.DeleteFunc(g.pool.groups, func(other *group) bool { return other == g })
	}
	return g.closed, g.count
}

func (g *group) end() {
	if err := g.listeners.Close(); err != nil {
		g.pool.model.server.log.Error("closing streams", "model", g.pool.model.name, "error", err)
	}
}

// round does a turn of each member. It reports whether there is more to do, and whether that is a whole turn.
func (g *group) round() (waiting, backlog bool) {
	g.pool.mu.Lock()
	members := g.members
	g.pool.mu.Unlock()
	g.turns = g.turns[:0]
	for i, s := range members {
		if s == nil {
			continue
		}
		t := s.take(g.scratch[i])
		g.scratch[i] = t.samples[:0]
		waiting, backlog = waiting || t.waiting, backlog || t.backlog
		if t.detach {
			g.detach(s)
			continue
		}
		if err := g.begin(t); err != nil {
			s.fail(err)
			continue
		}
		g.turns = append(g.turns, t)
	}
	g.compute()
	for _, e := range g.listeners.Events() {
		members[e.Sound].detected(e.Event)
	}
	for _, t := range g.turns {
		t.session.computed(t, g.listeners.Stats(t.session.slot))
	}
	return waiting, backlog
}

// detach ends the membership of a session that has finished.
func (g *group) detach(s *Session) {
	g.listeners.Observe(s.slot, nil)
	g.pool.mu.Lock()
	g.members[s.slot] = nil
	g.count--
	g.pool.mu.Unlock()
	s.model.release()
}

// begin does what a turn has to do before its sound is computed. An error is the device's.
func (g *group) begin(t turn) error {
	s, i := t.session, t.session.slot
	if s.fresh || t.control == resetControl {
		if err := g.listeners.Reset(i); err != nil {
			return err
		}
		s.restart()
	}
	if s.fresh && s.hello.Decisions {
		g.listeners.Observe(i, s.decided)
	}
	s.fresh = false
	if t.point != nil {
		if err := g.listeners.SetThresholds(i, t.point.threshold, t.point.byLabel); err != nil {
			return err
		}
	}
	s.sendRows(t.samples)
	if err := g.listeners.Push(i, t.samples); err != nil {
		return err
	}
	if t.control == endControl {
		return g.listeners.Flush(i)
	}
	return nil
}

// compute computes the turns. A failure of the device ends them, and others in their turns.
func (g *group) compute() {
	server := g.pool.model.server
	server.compute <- struct{}{}
	begun := time.Now()
	err := g.listeners.Compute()
	now := time.Now()
	<-server.compute
	m := &server.metrics
	m.computing.WithLabelValues(g.pool.model.name).Add(now.Sub(begun).Seconds())
	for _, t := range g.turns {
		if err != nil {
			t.session.fail(err)
		}
		if !t.at.IsZero() {
			m.sound.WithLabelValues(g.pool.model.name, "stream").Add(float64(len(t.samples)) / float64(t.session.rate()))
			m.delay.Observe(now.Sub(t.at).Seconds())
		}
	}
}
