package serve

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestToken: who has it gets in, by header or, for WebSockets, by subprotocol; the page and checks of health are open.
func TestToken(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the page") })
	_, url := newServer(t, Config{Token: []byte("a-secret"), Page: page})
	for _, c := range []struct {
		path, authorization string
		status              int
	}{
		{"/v1/models", "Bearer a-secret", 200},
		{"/v1/models", "Bearer a-secre", 401},
		{"/v1/models", "Bearer a-secret ", 200}, // HTTP trims what surrounds a header
		{"/v1/models", "Basic a-secret", 401},
		{"/v1/models", "", 401},
		{"/v1/models?token=a-secret", "", 401},
		{"/metrics", "", 401},
		{"/v1/openapi.json", "", 401},
		{"/v2/models/small", "", 401},
		{"/v2", "", 401},
		{"/healthz", "", 200},
		{"/v2/health/ready", "", 200},
		{"/", "", 200},
	} {
		headers := map[string]string{}
		if c.authorization != "" {
			headers["Authorization"] = c.authorization
		}
		status, answer, header := ask(t, "GET", url+c.path, headers, nil)
		if status != c.status || status == 401 && header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s with %q: %d %s", c.path, c.authorization, status, answer)
		}
	}
	for _, protocol := range []string{"bearer.secret", "bearer.", "a-secret", "bearer"} {
		options := &websocket.DialOptions{Subprotocols: []string{subprotocol, protocol}}
		_, response, err := websocket.Dial(t.Context(), url+"/v1/listen", options)
		if err == nil || response.StatusCode != 401 {
			t.Errorf("subprotocol %q: %v", protocol, err)
		}
	}
	options := &websocket.DialOptions{Subprotocols: []string{"bearer.a-secret", subprotocol}}
	conn, response, err := websocket.Dial(t.Context(), url+"/v1/listen", options)
	if err != nil {
		t.Fatal(err)
	}
	if conn.Subprotocol() != subprotocol || strings.Contains(response.Header.Get("Sec-WebSocket-Protocol"), "secret") {
		t.Errorf("the subprotocol is %q", conn.Subprotocol())
	}
	conn.CloseNow()
}

// TestOrigins: pages of other sites get nothing, unless they are allowed, whatever they ask for.
func TestOrigins(t *testing.T) {
	_, url := newServer(t, Config{Origins: []string{"https://good.example"}})
	sound := wav(spoken(t, "yes"))
	for origin, want := range map[string]int{"": 200, url: 200, "https://good.example": 200, "https://evil.example": 403,
		"http://good.example": 403, "https://good.example.evil": 403, "null": 403} {
		headers := map[string]string{}
		if origin != "" {
			headers["Origin"] = origin
		}
		if status, answer, _ := ask(t, "POST", url+"/v1/classify", headers, bytes.NewReader(sound)); status != want {
			t.Errorf("POST from %q: %d %s", origin, status, answer)
		}
		options := &websocket.DialOptions{HTTPHeader: http.Header{}}
		if origin != "" {
			options.HTTPHeader.Set("Origin", origin)
		}
		conn, response, err := websocket.Dial(t.Context(), url+"/v1/listen", options)
		if (err == nil) != (want == 200) || err != nil && response.StatusCode != 403 {
			t.Errorf("WebSocket from %q: %v", origin, err)
		}
		if err == nil {
			conn.CloseNow()
		}
	}
	for _, token := range []string{"a secret", "a/b", "ä", "a=b", "a,b"} {
		if _, err := New(Config{Token: []byte(token)}); err == nil {
			t.Errorf("the token %q is taken", token)
		}
	}
	if _, err := New(Config{Origins: []string{"good.example"}}); err == nil {
		t.Error("an origin without a scheme is taken")
	}
}

// TestHosts: a page whose name resolves to this machine must not use the service.
func TestHosts(t *testing.T) {
	_, url := newServer(t, Config{Hosts: []string{"localhost", "127.0.0.1", "::1"}})
	for host, want := range map[string]int{"localhost": 200, "localhost:8080": 200, "127.0.0.1:1": 200, "[::1]:8080": 200,
		"[::1]": 200, "evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421} {
		if status, answer, _ := ask(t, "GET", url+"/v1/models", map[string]string{"Host": host}, nil); status != want {
			t.Errorf("%s: %d %s", host, status, answer)
		}
	}
}

func TestRate(t *testing.T) {
	_, url := newServer(t, Config{Limits: Limits{Rate: 5}})
	var statuses []int
	for range 7 {
		status, _, _ := ask(t, "GET", url+"/v1/models", nil, nil)
		statuses = append(statuses, status)
	}
	if statuses[4] != 200 || statuses[5] != 429 || statuses[6] != 429 {
		t.Errorf("statuses %v", statuses)
	}
	if status, _, _ := ask(t, "GET", url+"/healthz", nil, nil); status != 200 {
		t.Errorf("/healthz: %d", status)
	}
}

// TestMetrics says what is counted after a few requests.
func TestMetrics(t *testing.T) {
	_, url := newServer(t, Config{})
	ask(t, "POST", url+"/v1/classify", nil, bytes.NewReader(wav(spoken(t, "yes"))))
	ask(t, "POST", url+"/v1/classify", nil, strings.NewReader("no sound"))
	conn := dial(t, url, `{}`)
	push(t, conn, pcm(words(t, "left")), 3200)
	send(t, conn, `{"eof":true}`)
	messages(t, conn)
	var text string
	wait(t, "the stream is counted", func() bool {
		_, text, _ = ask(t, "GET", url+"/metrics", nil, nil)
		return strings.Contains(text, `path="/v1/listen"`)
	})
	for _, line := range []string{
		`polyphon_requests_total{method="POST",path="/v1/classify",status="200"} 1`,
		`polyphon_requests_total{method="POST",path="/v1/classify",status="415"} 1`,
		`polyphon_requests_total{method="GET",path="/v1/listen",status="101"} 1`,
		`polyphon_sound_seconds_total{kind="upload",model="small"} 1`,
		`polyphon_sound_seconds_total{kind="stream",model="small"} 3`,
		`polyphon_events_total{label="left",model="small"} 1`,
		`polyphon_refusals_total{reason="format"} 1`,
		"polyphon_streams 0", "polyphon_stream_lag_seconds_max 0", "polyphon_stream_delay_seconds_count ",
		`polyphon_computing_seconds_total{model="small"} `, "go_goroutines ",
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}
