package inference

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/race"
	"pgregory.net/rapid"
)

// groupMember is what one sound of a group hears, a few recordings one after the other.
type groupMember struct {
	left      [][]float32 // recordings, of the first what is still to be pushed
	heard     []float32   // of the present recording
	decisions []Decision
	flushed   bool
}

// TestStreamGroupIsOnePass has the sounds of a group begin and end when they like, and be heard in any order; each hears what
// one pass over its recording gives.
func TestStreamGroupIsOnePass(t *testing.T) {
	devices := []device.Trainer{oneThread(t), device.Ref()}
	rapid.Check(t, func(t *rapid.T) {
		m, o, d := drawStream(t, devices)
		c, err := NewClassifier(m, d)
		if err != nil {
			t.Fatal(err)
		}
		members := make([]groupMember, rapid.IntRange(1, 6).Draw(t, "sounds"))
		g, err := c.StreamGroup(len(members), o)
		if m.Net.WholeClip() && errors.Is(err, ErrModel) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		rng := seeded(rapid.Uint64().Draw(t, "sounds"))
		for i := range members {
			for range 1 + rng.IntN(2) {
				members[i].left = append(members[i].left, noise(rng, rng.IntN(40000)))
			}
		}
		times := g.sounds[0].streamTimes
		for turn(t, g, members, rng, func(heard []float32, decisions []Decision) {
			newStreamed(t, m, heard).check(t, decisions, times.begin, times.hop)
		}) {
		}
	})
}

// turn gives some of the members their next piece or their end, takes the decisions that are due, and ends recordings that are over. It
// reports whether there is more to come.
func turn(t *rapid.T, g *StreamGroup, members []groupMember, rng *rand.Rand, over func(heard []float32, decisions []Decision)) bool {
	for i := range members {
		if m := &members[i]; len(m.left) > 0 && !m.flushed && rng.IntN(3) > 0 {
			n := min(len(m.left[0]), rng.IntN(6000))
			g.Push(i, m.left[0][:n])
			m.heard, m.left[0] = append(m.heard, m.left[0][:n]...), m.left[0][n:]
			if m.flushed = len(m.left[0]) == 0; m.flushed {
				g.Flush(i)
			}
		}
	}
	for {
		i, d, ok, err := g.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		d.P = append([]float64(nil), d.P...)
		members[i].decisions = append(members[i].decisions, d)
	}
	more := false
	for i := range members {
		if m := &members[i]; m.flushed {
			over(m.heard, m.decisions)
			*m = groupMember{left: m.left[1:]}
			g.Reset(i)
		}
		more = more || len(members[i].left) > 0
	}
	return more
}

// TestStreamGroupDoesNotAllocate hears steps of some of its sounds.
func TestStreamGroupDoesNotAllocate(t *testing.T) {
	if race.Enabled() {
		t.Skip("under the race detector, pools drop what they are given")
	}
	m := randomModel(tiny(Pi), seeded(1))
	m.tame()
	c, err := NewClassifier(m, oneThread(t))
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.StreamGroup(4, StreamOptions{Step: 0.08})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	samples := noise(seeded(2), 1600)
	k := 0
	hear := func() {
		for i := range g.Len() - k%2 {
			g.Push(i, samples)
		}
		k++
		for ok := true; ok; {
			if _, _, ok, err = g.Next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 100 {
		hear()
	}
	if n := testing.AllocsPerRun(100, hear); n > 0 {
		t.Errorf("%g allocations a turn", n)
	}
}

// TestStreamsShareFlows has many goroutines hear the same sound at the same time.
func TestStreamsShareFlows(t *testing.T) {
	m := randomModel(tiny(Pi), seeded(1))
	m.tame()
	c, err := NewClassifier(m, oneThread(t))
	if err != nil {
		t.Fatal(err)
	}
	sound := noise(seeded(2), 300000)
	listen := func() (list []Decision) {
		s, err := c.Stream(StreamOptions{Step: 0.001})
		if err != nil {
			t.Error(err)
			return nil
		}
		defer s.Close()
		return hear(t, s, sound, func() int { return 1000 })
	}
	want := listen()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := listen(); !slices.EqualFunc(got, want, func(a, b Decision) bool { return slices.Equal(a.P, b.P) }) {
				t.Error("a stream beside others hears something else")
			}
		})
	}
	all.Wait()
}
