package serve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const rate = 16000

// newServer returns a server and its address, and closes both at the end of the test. A machine that is too slow for
// the streams drops none, unless the test says when.
func newServer(t testing.TB, c Config) (*Server, string) {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Models == nil {
		c.Models = []Source{{Name: "small", Path: "small"}}
	}
	c.Limits.Lag = cmp.Or(c.Limits.Lag, time.Hour)
	c.Limits.Hello = cmp.Or(c.Limits.Hello, time.Minute)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
		web.Close()
	})
	return s, web.URL
}

// spoken returns an example's samples, at 16,000 Hz.
func spoken(t testing.TB, name string) []float32 {
	t.Helper()
	clip, err := audio.ReadFile("../examples/"+name+".wav", rate)
	if err != nil {
		t.Fatal(err)
	}
	return clip.Samples
}

// words returns examples with a second of silence before each and after the last one.
func words(t testing.TB, names ...string) []float32 {
	t.Helper()
	samples := make([]float32, rate)
	for _, name := range names {
		samples = append(samples, spoken(t, name)...)
		samples = append(samples, make([]float32, rate)...)
	}
	return samples
}

func pcm(samples []float32) []byte { return audiotest.PCM(audio.S16LE, samples) }

func wav(samples []float32) []byte { return audiotest.WAV(audio.S16LE, rate, samples) }

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
	if hello != "" {
		send(t, conn, hello)
	}
	return conn
}

func send(t testing.TB, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// push sends PCM in pieces.
func push(t testing.TB, conn *websocket.Conn, pcm []byte, size int) {
	t.Helper()
	for len(pcm) > 0 {
		n := min(size, len(pcm))
		if err := conn.Write(t.Context(), websocket.MessageBinary, pcm[:n]); err != nil {
			t.Fatal(err)
		}
		pcm = pcm[n:]
	}
}

// message is any message of a server.
type message struct {
	Type         string
	Label, Text  string
	Labels       []string
	Time         float64
	P            json.RawMessage
	Rows         []byte
	Mels, Events int
	Seconds      float64
	AudioSeconds float64 `json:"audio_seconds"`
	Thresholds   map[string]float64
}

// messages receives messages until the connection is closed.
func messages(t testing.TB, conn *websocket.Conn) (list []message, closed error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
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

// eventLabels returns the labels of the events.
func eventLabels(list []message) string {
	var labels []string
	for _, m := range ofType(list, "event") {
		labels = append(labels, m.Label)
	}
	return strings.Join(labels, " ")
}

// ask sends a request with the headers, and returns the status and the answer.
func ask(
	t testing.TB, method, url string, headers map[string]string, body io.Reader,
) (status int, answer string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, text.String(), response.Header
}
