package inference

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"pgregory.net/rapid"
)

// groupMember is a stream of a group that takes a few recordings one after the other.
type groupMember struct {
	left      [][]float32 // recordings, of the first what is still to be pushed
	pushed    []float32   // of the present recording
	decisions []Decision
	flushed   bool
}

// TestGroupIsOnePass lets the streams of a group begin, end and begin again at any time and in any order. Each gives
// what one pass over its recording gives.
func TestGroupIsOnePass(t *testing.T) {
	devices := []device.Device{oneThread(t), device.Ref()}
	rapid.Check(t, func(t *rapid.T) {
		m, o, d := drawStream(t, devices)
		members := make([]groupMember, rapid.IntRange(1, 6).Draw(t, "streams"))
		g, err := newPlan(t, m, d).Group(len(members), o)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		rng := nettest.Rand(rapid.Uint64().Draw(t, "recordings"))
		for i := range members {
			for range 1 + rng.IntN(2) {
				members[i].left = append(members[i].left, noise(rng, rng.IntN(40000)))
			}
		}
		in := g.streams[0]
		for turn(t, g, members, rng, func(pushed []float32, decisions []Decision) {
			newOnePass(t, m, pushed).check(t, decisions, in.first, in.hop)
		}) {
		}
	})
}

// turn pushes the next piece or the end of some members, takes the decisions that are due, and calls over for
// recordings that are over. It reports whether there is more to come.
func turn(
	t *rapid.T, g *Group, members []groupMember, rng *rand.Rand, over func(pushed []float32, decisions []Decision),
) bool {
	for i := range members {
		if m := &members[i]; len(m.left) > 0 && !m.flushed && rng.IntN(3) > 0 {
			n := min(len(m.left[0]), rng.IntN(6000))
			g.Push(i, m.left[0][:n])
			m.pushed, m.left[0] = append(m.pushed, m.left[0][:n]...), m.left[0][n:]
			if m.flushed = len(m.left[0]) == 0; m.flushed {
				g.Flush(i)
			}
		}
	}
	takeAll(g, func(i int, d Decision, err error) {
		if err != nil {
			t.Fatal(err)
		}
		members[i].decisions = append(members[i].decisions, d)
	})
	more := false
	for i := range members {
		if m := &members[i]; m.flushed {
			over(m.pushed, m.decisions)
			*m = groupMember{left: m.left[1:]}
			g.Reset(i)
		}
		more = more || len(members[i].left) > 0
	}
	return more
}

// takeAll calls each with the decisions of g that are due.
func takeAll(g *Group, each func(i int, d Decision, err error)) {
	for {
		i, d, ok, err := g.Next()
		if !ok {
			return
		}
		d.P = slices.Clone(d.P)
		each(i, d, err)
	}
}

// TestGroupDoesNotAllocate checks the steady state, with steps of all or of some streams.
func TestGroupDoesNotAllocate(t *testing.T) {
	need.Unraced(t, "pools drop what they are given")
	m := nettest.RandomModel(nettest.Tiny(polynet.Pi), nettest.Rand(1))
	tame(m)
	g, err := newPlan(t, m, oneThread(t)).Group(4, StreamOptions{Step: 0.08})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	samples := noise(nettest.Rand(2), 1600)
	k := 0
	step := func() {
		for i := range len(g.streams) - k%2 {
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
		step()
	}
	if n := testing.AllocsPerRun(100, step); n > 0 {
		t.Errorf("%g allocations a turn", n)
	}
}

// TestStreamsShareExecutors runs streams of the same sound on many goroutines at the same time.
func TestStreamsShareExecutors(t *testing.T) {
	m := nettest.RandomModel(nettest.Tiny(polynet.Pi), nettest.Rand(1))
	tame(m)
	p := newPlan(t, m, oneThread(t))
	sound := noise(nettest.Rand(2), 300000)
	stream := func() []Decision {
		s, err := openStream(p, StreamOptions{Step: 0.001})
		if err != nil {
			t.Error(err)
			return nil
		}
		defer s.Close()
		return decisionsAbout(t, s, sound, func() int { return 1000 })
	}
	want := stream()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			equalDecisions(t, stream(), want)
		})
	}
	all.Wait()
}

// TestGroupKeepsDivergenceApart lets one stream of a group diverge. The others give what they would give alone, and so
// does that one once it begins anew or what made it diverge has passed.
func TestGroupKeepsDivergenceApart(t *testing.T) {
	m := configModel(polynet.Linear, 5)
	overflowInSound(m)
	p := newPlan(t, m, oneThread(t))
	g, err := p.Group(3, StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	silence := make([]float32, 30000)
	want := decisionsAbout(t, newStream(t, p, StreamOptions{}), silence, func() int { return len(silence) })
	sound := noise(nettest.Rand(1), len(silence))
	var got [3][]Decision
	var diverged [3]int
	take := func() {
		takeAll(g, func(i int, d Decision, err error) {
			if err != nil {
				if !errors.Is(err, ErrDiverged) || d.P != nil {
					t.Fatalf("stream %d: decision %+v, error %v", i, d, err)
				}
				diverged[i]++
			}
			got[i] = append(got[i], d)
		})
	}
	g.Push(0, silence)
	g.Push(1, append(sound[:9000:9000], silence...))
	g.Push(2, sound)
	take()
	got[2] = nil
	g.Reset(2)
	g.Push(2, silence)
	for i := range got {
		g.Flush(i)
	}
	take()
	if diverged[0] != 0 || diverged[1] == 0 || diverged[1] == len(got[1]) || diverged[2] == 0 {
		t.Errorf("%v of %d decisions about streams diverged", diverged, len(got[1]))
	}
	for _, i := range []int{0, 2} {
		if len(got[i]) != len(want) {
			t.Fatalf("stream %d: %d decisions, want %d", i, len(got[i]), len(want))
		}
		for k, d := range want {
			nearP(t, "decision", got[i][k].P, d.P, 1e-5)
		}
	}
	for _, v := range got[1][len(got[1])-1].P {
		if math.IsNaN(v) {
			t.Error("the stream whose sound has become silent is still not finite")
		}
	}
}
