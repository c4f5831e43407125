package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/polyphon/polyphon/audio"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newServer returns a server and its address, and closes both at the end of the test.
func newServer(t testing.TB, c Config) (*Server, string) {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Models == nil {
		c.Models = []Source{{Name: "small", Path: "small"}}
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
		web.Close()
	})
	return s, web.URL
}

// speech returns the example's sound, between silence, as 16-bit PCM at 16,000 Hz.
func speech(t testing.TB) []byte {
	t.Helper()
	clip, err := audio.ReadFile("../examples/left.wav", 16000)
	if err != nil {
		t.Fatal(err)
	}
	quiet := make([]byte, 2*16000)
	pcm := bytes.Clone(quiet)
	for _, v := range clip.Samples {
		n := int16(v * 32767)
		pcm = append(pcm, byte(n), byte(n>>8))
	}
	return append(pcm, quiet...)
}

// dial opens a live stream and sends its first message.
func dial(t testing.TB, url, hello string) *websocket.Conn {
	t.Helper()
	options := &websocket.DialOptions{Subprotocols: []string{subprotocol}}
	conn, _, err := websocket.Dial(t.Context(), url+"/v1/listen", options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(1 << 20)
	send(t, conn, hello)
	return conn
}

func send(t testing.TB, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// message is any message of a server.
type message struct {
	Type         string
	Label        string
	Text         string
	Labels       []string
	Time         float64
	P            json.RawMessage
	Rows         []byte
	Mels         int
	Seconds      float64
	Events       int
	AudioSeconds float64 `json:"audio_seconds"`
	Thresholds   map[string]float64
}

// messages receives messages until the connection is closed.
func messages(t testing.TB, conn *websocket.Conn) (list []message, closed error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return list, err
		}
		var m message
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		list = append(list, m)
	}
}

// ofType returns the messages of a type.
func ofType(list []message, kind string) (found []message) {
	for _, m := range list {
		if m.Type == kind {
			found = append(found, m)
		}
	}
	return found
}

func TestWebSocketReportsEvents(t *testing.T) {
	_, url := newServer(t, Config{})
	for _, size := range []int{1, 333, 6400, 1 << 19} {
		conn := dial(t, url, `{"decisions":true,"frames":true}`)
		pcm := speech(t)
		for at := 0; at < len(pcm); {
			n := min(size, len(pcm)-at)
			if at%100 == 0 && size == 1 { // a byte now and then
				n = 1
			} else if size == 1 {
				n = min(99, len(pcm)-at)
			}
			if err := conn.Write(t.Context(), websocket.MessageBinary, pcm[at:at+n]); err != nil {
				t.Fatal(err)
			}
			at += n
		}
		send(t, conn, `{"eof":true}`)
		list, closed := messages(t, conn)
		if websocket.CloseStatus(closed) != websocket.StatusNormalClosure {
			t.Fatalf("pieces of %d: closed with %v", size, closed)
		}
		if list[0].Type != "ready" || len(list[0].Labels) != 19 {
			t.Errorf("pieces of %d: the first message is %+v", size, list[0])
		}
		events := ofType(list, "event")
		if len(events) != 1 || events[0].Label != "left" {
			t.Errorf("pieces of %d: events %+v", size, events)
		}
		last := list[len(list)-1]
		if last.Type != "end" || last.Events != 1 || last.AudioSeconds != float64(len(pcm)/2)/16000 {
			t.Errorf("pieces of %d: the last message is %+v", size, last)
		}
		if n := len(ofType(list, "decision")); n < 20 {
			t.Errorf("pieces of %d: %d decisions", size, n)
		}
		rows := 0
		for _, m := range ofType(list, "frames") {
			rows += len(m.Rows) / m.Mels
		}
		if want := len(pcm) / 2 / 160; rows < want-4 || rows > want+1 {
			t.Errorf("pieces of %d: %d rows of %d", size, rows, want)
		}
	}
}
