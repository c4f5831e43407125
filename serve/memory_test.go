package serve

import (
	"math"
	"runtime"
	"sync"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/need"
)

// TestMemoryOfStreams lets streams last for minutes: what they need does not grow with the time.
func TestMemoryOfStreams(t *testing.T) {
	need.Long(t, "streams of minutes")
	need.Unraced(t, "the detector drops what sync.Pool keeps, so that memory says nothing")
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
	// push sends the sound so many times on every stream, and returns the bytes that are then in use: the fewest of
	// several moments, since rows and messages wait at some of them.
	push := func(times int) int64 {
		least := int64(math.MaxInt64)
		for range times {
			var pushing sync.WaitGroup
			for _, session := range list {
				pushing.Go(func() {
					if err := session.Push(sound); err != nil {
						t.Error(err)
					}
				})
			}
			pushing.Wait()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			least = min(least, int64(m.HeapAlloc))
		}
		return least
	}
	before := push(6)
	after := push(24)
	for _, session := range list {
		session.End()
	}
	receiving.Wait()
	// What is kept would be 18 MB of sound, 24 times three seconds of 16 bits on eight streams, or 9 MB of rows. Buffers
	// that grew in the first moments alone are 0.8 MB.
	const allowed = 3 << 20
	grown := after - before
	t.Logf("from %d to %d kB", before>>10, after>>10)
	if grown > allowed {
		t.Errorf("the memory of %d streams has grown by %d kB", streams, grown>>10)
	}
}
