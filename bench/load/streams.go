package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
)

const (
	pieceSeconds = 0.1 // of sound in a message
	openAtOnce   = 32  // connections
)

// tally is what the streams have measured.
type tally struct {
	mu        sync.Mutex
	delays    []float64 // seconds from the end of an event's window until the event arrived
	lookahead float64
	sent      float64 // seconds of sound
	lags      int     // messages about a lag
	failed    []string
}

func (t *tally) fail(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = append(t.failed, fmt.Sprintf(format, args...))
}

// streams lets live streams speak for a while.
func streams(ctx context.Context, o options) error {
	sound, err := o.words()
	if err != nil {
		return err
	}
	pcm := audiotest.PCM(audio.S16LE, sound)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.seconds*float64(time.Second)))
	defer cancel()
	var t tally
	var all sync.WaitGroup
	opening := make(chan struct{}, openAtOnce)
	for i := range o.count {
		all.Go(func() { speak(ctx, o, pcm, i, opening, &t) })
	}
	memory := o.watch(ctx)
	all.Wait()
	for _, problem := range t.failed[:min(len(t.failed), 5)] {
		fmt.Println("failed:", problem)
	}
	p50, p99, most := quantile(t.delays, 0.5), quantile(t.delays, 0.99), quantile(t.delays, 1)
	fmt.Println("| streams | seconds each | events | delay p50 | p99 | max | lookahead | lags | failed | MB | at end |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	begin, end := 0.0, 0.0
	if n := len(memory); n > 0 {
		begin, end = memory[n*3/10], memory[n-1]
	}
	fmt.Printf("| %d | %.0f | %d | %.3f | %.3f | %.3f | %.3f | %d | %d | %.0f | %.0f |\n",
		o.count, t.sent/float64(o.count), len(t.delays), p50, p99, most, t.lookahead, t.lags, len(t.failed), begin, end)
	return nil
}

// dial opens a WebSocket. opening has room for those that are opened at the same time.
func (o options) dial(ctx context.Context, opening chan struct{}) (*websocket.Conn, error) {
	opening <- struct{}{}
	defer func() { <-opening }()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(o.url, "http")+"/v1/listen", nil)
	return conn, err
}

// speak sends sound in real time, from a random place on, and measures the delays of events.
func speak(ctx context.Context, o options, pcm []byte, number int, opening chan struct{}, t *tally) {
	conn, err := o.dial(ctx, opening)
	if err != nil {
		t.fail("stream %d: %v", number, err)
		return
	}
	defer conn.CloseNow()
	hello := fmt.Sprintf(`{"model":%q,"rate":%d}`, o.model, rate)
	if err := conn.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
		t.fail("stream %d: %v", number, err)
		return
	}
	select { // so that not all speak at once
	case <-time.After(time.Duration(rand.Float64() * float64(2*time.Second))):
	case <-ctx.Done():
		return
	}
	begun := time.Now()
	var receiving sync.WaitGroup
	receiving.Go(func() { receive(ctx, conn, begun, number, t) })
	defer receiving.Wait()
	piece := int(pieceSeconds*rate) * 2
	at := rand.IntN(len(pcm)/piece) * piece
	for i := 1; ctx.Err() == nil; i++ {
		due := begun.Add(time.Duration(float64(i) * pieceSeconds * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return
		}
		if err := conn.Write(ctx, websocket.MessageBinary, pcm[at:min(at+piece, len(pcm))]); err != nil && ctx.Err() == nil {
			t.fail("stream %d: %v", number, err)
			return
		}
		if at += piece; at >= len(pcm) {
			at = 0
		}
		t.mu.Lock()
		t.sent += pieceSeconds
		t.mu.Unlock()
	}
}

// receive measures how long after the end of its window each event arrives.
func receive(ctx context.Context, conn *websocket.Conn, begun time.Time, number int, t *tally) {
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			if ctx.Err() == nil {
				t.fail("stream %d: %v", number, err)
			}
			return
		}
		var m struct {
			Type, Text     string
			End, Lookahead float64
		}
		if err := json.Unmarshal(data, &m); err != nil {
			t.fail("stream %d: %v", number, err)
			return
		}
		t.mu.Lock()
		switch m.Type {
		case "ready":
			t.lookahead = m.Lookahead
		case "event":
			t.delays = append(t.delays, time.Since(begun).Seconds()-m.End)
		case "lag":
			t.lags++
		case "error":
			t.failed = append(t.failed, m.Text)
		}
		t.mu.Unlock()
	}
}

// silent opens connections that say nothing, while one stream speaks.
func silent(ctx context.Context, o options) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.seconds*float64(time.Second)))
	defer cancel()
	var t tally
	var all sync.WaitGroup
	opening := make(chan struct{}, openAtOnce)
	opened := 0
	for i := range o.count {
		all.Go(func() {
			conn, err := o.dial(ctx, opening)
			if err != nil {
				t.fail("connection %d: %v", i, err)
				return
			}
			defer conn.CloseNow()
			t.mu.Lock()
			opened++
			t.mu.Unlock()
			conn.Read(ctx) // until the service ends it
		})
	}
	memory := o.watch(ctx)
	all.Wait()
	for _, problem := range t.failed[:min(len(t.failed), 5)] {
		fmt.Println("failed:", problem)
	}
	if len(memory) == 0 {
		return fmt.Errorf("the service does not answer")
	}
	fmt.Printf("| silent connections | opened | failed | most MB | goroutines at the end |\n%s\n",
		"| --- | --- | --- | --- | --- |")
	goroutines, err := o.gauge("go_goroutines")
	fmt.Printf("| %d | %d | %d | %.0f | %.0f |\n", o.count, opened, len(t.failed), quantile(memory, 1), goroutines)
	return err
}
