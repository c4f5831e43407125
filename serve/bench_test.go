package serve

import (
	"bytes"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// BenchmarkStreams is 64 live streams over WebSockets, in pieces of 100 ms as fast as they are taken: the seconds of
// sound that are computed a second.
func BenchmarkStreams(b *testing.B) {
	_, url := newServer(b, Config{Models: []Source{{Name: "base", Path: "base"}}})
	const streams = 64
	sound := pcm(words(b, "left", "yes", "stop"))
	b.ResetTimer()
	var all sync.WaitGroup
	for range streams {
		conn := dial(b, url, `{}`)
		all.Go(func() {
			for range b.N {
				push(b, conn, sound, 3200)
			}
			send(b, conn, `{"eof":true}`)
		})
		all.Go(func() {
			if _, closed := messages(b, conn); websocket.CloseStatus(closed) != websocket.StatusNormalClosure {
				b.Error(closed)
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N*streams*len(sound)/2/rate)/b.Elapsed().Seconds(), "s-sound/s")
}

// BenchmarkUploads is sounds of a second, 16 at once.
func BenchmarkUploads(b *testing.B) {
	_, url := newServer(b, Config{Models: []Source{{Name: "base", Path: "base"}}})
	sound := wav(spoken(b, "left"))
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if status, answer, _ := ask(b, "POST", url+"/v1/classify", nil, bytes.NewReader(sound)); status != 200 {
				b.Fatal(answer)
			}
		}
	})
}
