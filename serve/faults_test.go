package serve

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestStreamsAreLimited(t *testing.T) {
	s, url := newServer(t, Config{Limits: Limits{Streams: 2, Connections: 3}})
	first, second := dial(t, url, `{}`), dial(t, url, `{}`)
	for _, conn := range []*websocket.Conn{first, second} {
		if _, _, err := conn.Read(t.Context()); err != nil { // ready
			t.Fatal(err)
		}
	}
	list, closed := messages(t, dial(t, url, `{}`))
	if len(list) != 1 || list[0].Type != "error" || websocket.CloseStatus(closed) != websocket.StatusTryAgainLater {
		t.Errorf("a third stream: %+v, %v", list, closed)
	}
	wait(t, "it is gone", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.connected == 2 })
	dial(t, url, "")
	wait(t, "a fourth connection is refused", func() bool {
		_, response, err := websocket.Dial(t.Context(), url+"/v1/listen", nil)
		return err != nil && response != nil && response.StatusCode == http.StatusServiceUnavailable
	})
}

// TestSilentConnections: they hold no stream and go away by themselves, while another one works.
func TestSilentConnections(t *testing.T) {
	s, url := newServer(t, Config{Limits: Limits{Hello: 500 * time.Millisecond}})
	for range 300 {
		dial(t, url, "")
	}
	conn := dial(t, url, `{}`)
	push(t, conn, pcm(words(t, "left")), 3200)
	send(t, conn, `{"eof":true}`)
	if list, _ := messages(t, conn); eventLabels(list) != "left" {
		t.Errorf("events %q", eventLabels(list))
	}
	wait(t, "silent connections are closed", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.connected == 0 })
}

func TestIdleStreamsAreDropped(t *testing.T) {
	_, url := newServer(t, Config{Limits: Limits{Idle: 200 * time.Millisecond}})
	conn := dial(t, url, `{}`)
	list, _ := messages(t, conn)
	if last := list[len(list)-1]; last.Type != "error" || last.Text != "no sound has arrived for 200ms" {
		t.Errorf("messages %+v", list)
	}
}

// TestGarbageFrames sends bytes that are no frames; another stream does not notice.
func TestGarbageFrames(t *testing.T) {
	s, url := newServer(t, Config{})
	good := dial(t, url, `{}`)
	for _, garbage := range [][]byte{
		bytes.Repeat([]byte{0xff}, 5000), {0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4},
		{0x81, 0x05, 'h', 'e', 'l', 'l', 'o'}, // not masked
		{0x0f, 0x80, 0, 0, 0, 0},              // an opcode that is none
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /v1/listen HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		conn.Write(garbage)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		buffer := make([]byte, 4096)
		for err == nil { // until the server closes the connection
			_, err = conn.Read(buffer)
		}
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Errorf("% x: the connection stays", garbage[:4])
		}
		conn.Close()
	}
	push(t, good, pcm(words(t, "stop")), 3200)
	send(t, good, `{"eof":true}`)
	if list, _ := messages(t, good); eventLabels(list) != "stop" {
		t.Errorf("events %q", eventLabels(list))
	}
	wait(t, "no connection is left", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.connected == 0 })
}

// TestSlowReaders: who does not receive its messages has to wait with its sound, and is dropped past the limit of lag,
// with bounded memory. A stream of the same group goes on.
func TestSlowReaders(t *testing.T) {
	s, _ := newServer(t, Config{Limits: Limits{Lag: time.Second}})
	slow, err := s.Listen(t.Context(), Hello{Decisions: true, Frames: true})
	if err != nil {
		t.Fatal(err)
	}
	good, err := s.Listen(t.Context(), Hello{})
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() {
		for {
			if err := slow.Push(make([]byte, 3200)); err != nil {
				stopped <- err
				return
			}
		}
	}()
	go func() {
		good.Push(pcm(words(t, "left")))
		good.End()
	}()
	got := ""
	for m := range good.Messages() {
		if e, ok := m.(*Event); ok {
			got += e.Label
		}
	}
	if got != "left" {
		t.Errorf("events %q", got)
	}
	select {
	case err = <-stopped:
	case <-time.After(time.Minute):
		t.Fatal("a stream whose messages nobody receives goes on")
	}
	if err == nil || !strings.Contains(err.Error(), "the messages are not received fast enough") {
		t.Errorf("dropped with %v", err)
	}
	slow.mu.Lock()
	defer slow.mu.Unlock()
	if slow.queued > slow.maxQueued() {
		t.Errorf("%d samples are queued", slow.queued)
	}
}

// TestHalfOpenConnections: a client that is gone without a word has its stream ended.
func TestHalfOpenConnections(t *testing.T) {
	s, url := newServer(t, Config{Limits: Limits{Lag: time.Second, Idle: 2 * time.Second}})
	for range 20 {
		conn := dial(t, url, `{"decisions":true}`) // never reads again
		push(t, conn, pcm(words(t, "left")), 3200)
	}
	wait(t, "no stream is left", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.sessions) == 0 })
}

// TestReloadUnderLoad loads the models again and again while streams come and go.
func TestReloadUnderLoad(t *testing.T) {
	s, url := newServer(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	var reloading, all sync.WaitGroup
	reloading.Go(func() {
		for ctx.Err() == nil {
			if err := s.Reload(); err != nil {
				t.Errorf("reload: %v", err)
			}
		}
	})
	sound := pcm(words(t, "yes", "left"))
	for range 8 {
		all.Go(func() {
			for range 4 {
				conn := dial(t, url, `{}`)
				push(t, conn, sound, 8000)
				send(t, conn, `{"eof":true}`)
				if list, closed := messages(t, conn); eventLabels(list) != "yes left" {
					t.Errorf("events %q, closed with %v", eventLabels(list), closed)
				}
			}
		})
		all.Go(func() {
			for range 10 {
				status, answer, _ := ask(t, "POST", url+"/v1/classify", nil, bytes.NewReader(wav(spoken(t, "stop"))))
				if status != 200 || !strings.Contains(answer, `"label":"stop"`) {
					t.Errorf("%d %s", status, answer)
				}
			}
		})
	}
	all.Wait()
	cancel()
	reloading.Wait()
}

// TestCloseFinishesStreams: what has been pushed when the service closes is answered, and new work is refused.
func TestCloseFinishesStreams(t *testing.T) {
	s, url := newServer(t, Config{})
	conn := dial(t, url, `{}`)
	silent := dial(t, url, "")
	push(t, conn, pcm(words(t, "left")), 3200)
	closed := make(chan error, 1)
	wait(t, "all has been received", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for session := range s.sessions {
			session.pushing.Lock()
			defer session.pushing.Unlock()
			return session.pushed == 3*rate
		}
		return false
	})
	go func() { closed <- s.Close(context.Background()) }()
	list, _ := messages(t, conn)
	if eventLabels(list) != "left" || list[len(list)-1].Type != "end" {
		t.Errorf("messages %+v", list)
	}
	messages(t, silent)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if status, answer, _ := ask(t, "GET", url+"/v1/models", nil, nil); status != 503 {
		t.Errorf("after the end: %d %s", status, answer)
	}
	if _, err := s.Listen(t.Context(), Hello{}); err != ErrClosing {
		t.Errorf("after the end: %v", err)
	}
}
