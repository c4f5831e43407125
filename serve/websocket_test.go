package serve

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
)

func TestWebSocketReportsEvents(t *testing.T) {
	_, url := newServer(t, Config{})
	sound := words(t, "left", "yes")
	for _, size := range []int{33, 6401, 1 << 19} {
		conn := dial(t, url, `{"decisions":true,"frames":true}`)
		push(t, conn, pcm(sound), size)
		send(t, conn, `{"eof":true}`)
		list, closed := messages(t, conn)
		if websocket.CloseStatus(closed) != websocket.StatusNormalClosure {
			t.Fatalf("pieces of %d: closed with %v", size, closed)
		}
		if list[0].Type != "ready" || len(list[0].Labels) != 19 || list[0].Thresholds["*"] == 0 {
			t.Errorf("pieces of %d: the first message is %+v", size, list[0])
		}
		if got := heard(list); got != "left yes" {
			t.Errorf("pieces of %d: events %q", size, got)
		}
		last := list[len(list)-1]
		if last.Type != "end" || last.Events != 2 || last.AudioSeconds != float64(len(sound))/rate {
			t.Errorf("pieces of %d: the last message is %+v", size, last)
		}
		if n, want := len(ofType(list, "decision")), len(sound)/1280; n < want-1 || n > want+1 {
			t.Errorf("pieces of %d: %d decisions, not about %d", size, n, want)
		}
		rows := 0
		for _, m := range ofType(list, "frames") {
			if want := float64(rows) / 100; math.Abs(m.Time-want) > 1e-9 {
				t.Fatalf("pieces of %d: rows of %g s, not %g", size, m.Time, want)
			}
			rows += len(m.Rows) / m.Mels
		}
		if want := len(sound) / 160; rows < want-4 || rows > want+1 {
			t.Errorf("pieces of %d: %d rows, not about %d", size, rows, want)
		}
	}
}

// TestWebSocketTakesAnyEncoding sends the same word in other encodings, rates and channels.
func TestWebSocketTakesAnyEncoding(t *testing.T) {
	_, url := newServer(t, Config{})
	mono := words(t, "stop")
	stereo := make([]float32, 0, 2*len(mono))
	for _, v := range mono {
		stereo = append(stereo, v, v)
	}
	slow := make([]float32, 0, len(mono)/2) // half the rate, which loses the upper half of the band
	for i := 0; i+1 < len(mono); i += 2 {
		slow = append(slow, (mono[i]+mono[i+1])/2)
	}
	for _, c := range []struct {
		hello string
		pcm   []byte
	}{
		{`{"encoding":"f32le"}`, audiotest.PCM(audio.F32LE, mono)},
		{`{"encoding":"s24be","rate":16000}`, audiotest.PCM(audio.S24BE, mono)},
		{`{"encoding":"mulaw"}`, audiotest.PCM(audio.MuLaw, mono)},
		{`{"channels":2}`, pcm(stereo)},
		{`{"rate":8000,"thresholds":{"*":0.3}}`, pcm(slow)},
	} {
		conn := dial(t, url, c.hello)
		push(t, conn, c.pcm, 4095)
		send(t, conn, `{"eof":true}`)
		if list, closed := messages(t, conn); heard(list) != "stop" {
			t.Errorf("%s: %q, %v", c.hello, heard(list), closed)
		}
	}
}

func TestWebSocketRefusesNonsense(t *testing.T) {
	_, url := newServer(t, Config{Limits: Limits{Hello: 300 * time.Millisecond}})
	for _, c := range []struct {
		first, then string // messages; "pcm" is binary
		says        string
		code        websocket.StatusCode
	}{
		{"", "", "no first message within 300ms", websocket.StatusPolicyViolation},
		{"pcm", "", "has to be a JSON object as text", websocket.StatusPolicyViolation},
		{"{", "", "cannot be read", websocket.StatusInvalidFramePayloadData},
		{"[1]", "", "cannot be read", websocket.StatusInvalidFramePayloadData},
		{`{"rate":"fast"}`, "", "cannot be read", websocket.StatusInvalidFramePayloadData},
		{`{"encoding":"s17le"}`, "", "s17le", websocket.StatusInvalidFramePayloadData},
		{`{"rate":1}`, "", "from 1 to 16000 Hz", websocket.StatusPolicyViolation},
		{`{"rate":-16000}`, "", "-16000", websocket.StatusPolicyViolation},
		{`{"channels":65}`, "", "65 channels", websocket.StatusPolicyViolation},
		{`{"model":"large"}`, "", `no such model: "large"`, websocket.StatusPolicyViolation},
		{`{"thresholds":{"lefty":0.5}}`, "", `"lefty", which is none of the labels`, websocket.StatusPolicyViolation},
		{`{"thresholds":{"*":2}}`, "", "a threshold of 2", websocket.StatusPolicyViolation},
		{`{}`, "}", "cannot be read", websocket.StatusInvalidFramePayloadData},
		{`{}`, `{"thresholds":{"left":0}}`, "a threshold of 0", websocket.StatusPolicyViolation},
		{`{}`, `{"thresholds":{"_silence_":0.5}}`, "begins no events", websocket.StatusPolicyViolation},
	} {
		conn := dial(t, url, "")
		for _, m := range []string{c.first, c.then} {
			switch m {
			case "":
			case "pcm":
				push(t, conn, make([]byte, 100), 100)
			default:
				send(t, conn, m)
			}
		}
		list, closed := messages(t, conn)
		if len(list) == 0 || list[len(list)-1].Type != "error" || !strings.Contains(list[len(list)-1].Text, c.says) {
			t.Errorf("%s %s: messages %+v, want %q", c.first, c.then, list, c.says)
		}
		if got := websocket.CloseStatus(closed); got != c.code {
			t.Errorf("%s %s: closed with %v, want %v", c.first, c.then, closed, c.code)
		}
	}
}

// TestUnknownFieldIsAWarning: a field that is mistyped must not be ignored in silence.
func TestUnknownFieldIsAWarning(t *testing.T) {
	_, url := newServer(t, Config{})
	conn := dial(t, url, `{"treshold":0.5}`)
	push(t, conn, pcm(words(t, "yes")), 3200)
	send(t, conn, `{"eof":true}`)
	list, _ := messages(t, conn)
	if w := ofType(list, "warning"); len(w) != 1 || w[0].Text != `the first message: unknown field "treshold"` {
		t.Errorf("warnings %+v", w)
	}
}

func TestWarningsAboutTheSound(t *testing.T) {
	_, url := newServer(t, Config{})
	conn := dial(t, url, `{"encoding":"s16le"}`)
	push(t, conn, audiotest.PCM(audio.F32LE, words(t, "yes", "left", "stop")), 3200)
	send(t, conn, `{"eof":true}`)
	list, _ := messages(t, conn)
	found := false
	for _, w := range ofType(list, "warning") {
		found = found || strings.Contains(w.Text, "32-bit float")
	}
	if !found {
		t.Errorf("floats declared as 16-bit samples: warnings %+v", ofType(list, "warning"))
	}
}

func TestResetBeginsANewSound(t *testing.T) {
	_, url := newServer(t, Config{})
	conn := dial(t, url, `{"decisions":true}`)
	push(t, conn, pcm(words(t, "left")), 5000)
	send(t, conn, `{"reset":true}`)
	push(t, conn, pcm(words(t, "yes")), 5000)
	send(t, conn, `{"eof":true}`)
	list, _ := messages(t, conn)
	if got := heard(list); got != "left yes" {
		t.Errorf("events %q", got)
	}
	last, restarts := 0.0, 0
	for _, d := range ofType(list, "decision") {
		if d.Time < last {
			restarts++
		}
		last = d.Time
	}
	if end := list[len(list)-1]; restarts != 1 || end.Events != 1 || end.AudioSeconds != 3 {
		t.Errorf("%d times began anew, the end is %+v", restarts, end)
	}
}

// TestThresholdsActAtOnce: the same word is no event, then one, then none again.
func TestThresholdsActAtOnce(t *testing.T) {
	s, _ := newServer(t, Config{})
	session, err := s.Listen(t.Context(), Hello{Thresholds: map[string]float64{"*": 1}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	received := make(chan struct{})
	go func() {
		defer close(received)
		for m := range session.Messages() {
			switch m := m.(type) {
			case *Event:
				got = append(got, fmt.Sprintf("%s %.0f", m.Label, m.Time))
			case *Error:
				got = append(got, m.Text)
			}
		}
	}()
	word := pcm(words(t, "yes"))
	for _, threshold := range []float64{1, 0.5, 1} {
		if err := session.SetThresholds(map[string]float64{"yes": threshold}); err != nil {
			t.Fatal(err)
		}
		if err := session.Push(word); err != nil {
			t.Fatal(err)
		}
		wait(t, "the sound is computed", func() bool {
			session.mu.Lock()
			defer session.mu.Unlock()
			return session.queued == 0
		})
		time.Sleep(50 * time.Millisecond) // the latest turn
	}
	session.End()
	<-received
	if fmt.Sprint(got) != "[yes 5]" {
		t.Errorf("events %v", got)
	}
}

// wait waits for a condition.
func wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not so: %s", what)
}

// TestManyStreamsGetTheSameAnswers: streams of several groups, begun and ended at different times.
func TestManyStreamsGetTheSameAnswers(t *testing.T) {
	s, url := newServer(t, Config{})
	sounds := [][]byte{pcm(words(t, "left", "stop")), pcm(words(t, "yes")), pcm(words(t, "stop", "yes", "left"))}
	want := []string{"left stop", "yes", "stop yes left"}
	var all sync.WaitGroup
	for i := range 75 {
		all.Go(func() {
			conn := dial(t, url, `{}`)
			go func() {
				push(t, conn, sounds[i%3], 1000+111*i)
				send(t, conn, `{"eof":true}`)
			}()
			if list, closed := messages(t, conn); heard(list) != want[i%3] {
				t.Errorf("stream %d: %q, want %q (%v)", i, heard(list), want[i%3], closed)
			}
		})
		if i == 40 {
			time.Sleep(200 * time.Millisecond)
		}
	}
	all.Wait()
	wait(t, "no stream is left", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.sessions) == 0 })
}

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
	if list, _ := messages(t, conn); heard(list) != "left" {
		t.Errorf("events %q", heard(list))
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
	if list, _ := messages(t, good); heard(list) != "stop" {
		t.Errorf("events %q", heard(list))
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
	case <-time.After(20 * time.Second):
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
				if list, closed := messages(t, conn); heard(list) != "yes left" {
					t.Errorf("events %q, closed with %v", heard(list), closed)
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
	if heard(list) != "left" || list[len(list)-1].Type != "end" {
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
