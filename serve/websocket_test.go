package serve

import (
	"fmt"
	"math"
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
		if got := eventLabels(list); got != "left yes" {
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
		if list, closed := messages(t, conn); eventLabels(list) != "stop" {
			t.Errorf("%s: %q, %v", c.hello, eventLabels(list), closed)
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
	if got := eventLabels(list); got != "left yes" {
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
	for range 6000 {
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
			if list, closed := messages(t, conn); eventLabels(list) != want[i%3] {
				t.Errorf("stream %d: %q, want %q (%v)", i, eventLabels(list), want[i%3], closed)
			}
		})
		if i == 40 {
			time.Sleep(200 * time.Millisecond)
		}
	}
	all.Wait()
	wait(t, "no stream is left", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.sessions) == 0 })
}
