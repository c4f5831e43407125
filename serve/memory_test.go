package serve

import (
	"runtime"
	"sync"
	"testing"

	"github.com/polyphon/polyphon/audio"
)

// TestMemoryOfStreams lets streams speak for minutes: what they need does not grow with the time.
func TestMemoryOfStreams(t *testing.T) {
	s, _ := newServer(t, Config{})
	const streams = 8
	sound := pcm(words(t, "left", "yes", "stop"))
	var list [streams]*Session
	var receiving sync.WaitGroup
	for i := range list {
		session, err := s.Listen(t.Context(), Hello{Rate: rate, Encoding: audio.S16LE, Decisions: true})
		if err != nil {
			t.Fatal(err)
		}
		list[i] = session
		receiving.Go(func() {
			for range session.Messages() {
			}
		})
	}
	push := func(times int) (heap int64) {
		var pushing sync.WaitGroup
		for _, session := range list {
			pushing.Go(func() {
				for range times {
					if err := session.Push(sound); err != nil {
						t.Error(err)
					}
				}
			})
		}
		pushing.Wait()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := push(5)
	after := push(20)
	for _, session := range list {
		session.End()
	}
	receiving.Wait()
	const allowed = streams * 64 << 10 // what happens to wait
	if grown := after - before; grown > allowed {
		t.Errorf("the memory of %d streams has grown by %d kB", streams, grown>>10)
	}
}
