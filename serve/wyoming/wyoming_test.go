package wyoming

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"go.uber.org/goleak"
)

// words detects the letters of the alphabet: a byte 'a' in the PCM is the word a. A byte '!' fails.
type letters struct {
	mu   sync.Mutex
	open int // streams
	last audio.Format
}

func (l *letters) Models() []Model {
	return []Model{{"base", []string{"a", "b", "hey_you"}}, {"other", []string{"a", "z"}}}
}

func (l *letters) Open(ctx context.Context, model string, f audio.Format, source string) (Stream, error) {
	if f.Rate < audio.MinRate || source != "127.0.0.1" {
		return nil, fmt.Errorf("a rate of %d", f.Rate)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	l.last = f
	s := &letterStream{owner: l, format: f, found: make(chan Detection, 100), done: make(chan struct{})}
	context.AfterFunc(ctx, s.Close)
	return s, nil
}

func (l *letters) opened() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

type letterStream struct {
	owner  *letters
	format audio.Format
	bytes  int
	found  chan Detection
	end    sync.Once
	close  sync.Once
	done   chan struct{}
}

func (s *letterStream) Push(pcm []byte) error {
	for _, b := range pcm {
		if s.bytes++; b == '!' {
			return errors.New("no more sound")
		}
		if b >= 'a' && b <= 'z' {
			second := float64(s.format.Rate * s.format.Channels * s.format.Encoding.Bytes())
			s.found <- Detection{string(b), float64(s.bytes) / second}
		}
	}
	return nil
}

func (s *letterStream) End() { s.end.Do(func() { close(s.found) }) }

func (s *letterStream) Next() (Detection, error) {
	select {
	case d, ok := <-s.found:
		if !ok {
			return d, io.EOF
		}
		return d, nil
	case <-s.done:
		return Detection{}, errors.New("closed")
	}
}

func (s *letterStream) Close() {
	s.close.Do(func() {
		close(s.done)
		s.owner.mu.Lock()
		s.owner.open--
		s.owner.mu.Unlock()
	})
}

// start serves letters on the loopback interface.
func start(t *testing.T, o Options) (*letters, *Server, string) {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	b := new(letters)
	s := New(b, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != ErrClosed {
			t.Errorf("Serve: %v", err)
		}
		if n := b.opened(); n != 0 {
			t.Errorf("%d streams are left open", n)
		}
	})
	return b, s, l.Addr().String()
}

// peer is a client.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, address string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &peer{t, conn, bufio.NewReader(conn)}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Fatal(err)
	}
}

// say sends an event as the reference implementation writes it: the data after the line.
func (p *peer) say(kind, data, payload string) {
	p.t.Helper()
	line := fmt.Sprintf(`{"type": %q, "version": "1.9.0"`, kind)
	if data != "" {
		line += fmt.Sprintf(`, "data_length": %d`, len(data))
	}
	if payload != "" {
		line += fmt.Sprintf(`, "payload_length": %d`, len(payload))
	}
	p.send(line + "}\n" + data + payload)
}

// next returns the next event as "type data".
func (p *peer) next() string {
	p.t.Helper()
	line, err := p.in.ReadBytes('\n')
	if err != nil {
		return err.Error()
	}
	var h struct {
		Type    string
		Version string
		Length  int `json:"data_length"`
	}
	if err := json.Unmarshal(line, &h); err != nil || h.Version == "" {
		p.t.Fatalf("%v in %s", err, line)
	}
	data := make([]byte, h.Length)
	if _, err := io.ReadFull(p.in, data); err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(h.Type + " " + string(data))
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.next(); got != w {
			p.t.Errorf("answer:\n%s\nwant\n%s", got, w)
		}
	}
}

const cd = `{"rate": 16000, "width": 2, "channels": 1}`

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConversation(t *testing.T) {
	b, _, address := start(t, Options{})
	p := dial(t, address)
	p.say("ping", `{"text": "x"}`, "")
	p.say("ping", "", "")
	p.expect(`pong {"text":"x"}`, `pong {"text":null}`)

	// Home Assistant: detect, audio-start, chunks; the connection is closed after a detection.
	p.say("detect", `{"names": ["a"]}`, "")
	p.say("audio-start", `{"rate": 16000, "width": 2, "channels": 1, "timestamp": 500}`, "")
	silence := strings.Repeat("\x00", 32000)
	p.say("audio-chunk", `{"rate": 16000, "width": 2, "channels": 1, "timestamp": 500}`, silence)
	p.say("audio-chunk", `{"rate": 16000, "width": 2, "channels": 1, "timestamp": 1500}`, "b\x00a\x00")
	p.expect(`detection {"name":"a","timestamp":1500}`)
	p.say("audio-stop", `{"timestamp": 1600}`, "")

	// Again in the same connection: nothing, then any word, in a sound without a start.
	p.say("audio-start", cd, "")
	p.say("audio-chunk", cd, silence)
	p.say("audio-stop", "", "")
	p.expect("not-detected")
	p.say("detect", `{"names": null}`, "")
	p.say("audio-chunk", `{"rate": 8000, "width": 1, "channels": 2}`, "\x00\x00\x00b")
	p.say("audio-stop", "", "")
	p.expect(`detection {"name":"b","timestamp":0}`)
	if f := b.last; f.Rate != 8000 || f.Channels != 2 || f.Encoding != audio.U8 {
		t.Errorf("format %+v", f)
	}

	// Words of several models; data in the line; an unknown event with data and payload.
	p.send(`{"type":"detect","data":{"names":["A","OTHER/z","nothing"]}}` + "\n")
	p.say("transcribe", `{"language": "en"}`, "abc")
	p.send(`{"type":"audio-start","data":{"rate":1,"width":2},"data_length":34}` + "\n" +
		`{"rate":16000,"channels":1       }`)
	p.say("audio-chunk", cd, "z")
	p.expect(`detection {"name":"other/z","timestamp":0}`)
	p.say("audio-chunk", cd, "a")
	p.expect(`detection {"name":"a","timestamp":0}`)
	p.say("audio-start", cd, "") // in place of a stop
	p.say("audio-stop", "", "")
	p.expect("not-detected")
	p.say("audio-stop", "", "")
	p.say("ping", "", "")
	p.expect(`pong {"text":null}`)
}

func TestInfo(t *testing.T) {
	_, _, address := start(t, Options{})
	p := dial(t, address)
	p.say("describe", "", "")
	kind, data, _ := strings.Cut(p.next(), " ")
	var got struct {
		ASR, TTS, Handle, Intent, Mic, Snd []any
		Wake                               []struct {
			Name, Description string
			Installed         bool
			Attribution       struct{ Name, URL string }
			Models            []struct {
				Name, Description, Phrase string
				Installed                 bool
				Languages                 []string
				Attribution               struct{ Name, URL string }
			}
		}
	}
	if err := json.Unmarshal([]byte(data), &got); err != nil || kind != "info" || len(got.Wake) != 1 {
		t.Fatalf("%v: %s %s", err, kind, data)
	}
	// The clients' classes have no default for these fields.
	if strings.Count(data, `"version":null`) != 6 || strings.Count(data, `"languages":[]`) != 5 || got.ASR == nil ||
		got.Snd == nil {
		t.Errorf("info %s", data)
	}
	var names []string
	w := got.Wake[0]
	for _, m := range w.Models {
		names = append(names, m.Name+"="+m.Phrase)
		if !m.Installed || m.Attribution.Name == "" || m.Attribution.URL == "" || m.Description == "" {
			t.Errorf("model %+v", m)
		}
	}
	if got := strings.Join(names, " "); w.Name != "polyphon" || got != "a=a b=b hey_you=hey_you other/a=a other/z=z" {
		t.Errorf("%s: %s", w.Name, got)
	}
}

// TestGarbage sends what is no event, or more than is read: the client gets the reason, and is disconnected.
func TestGarbage(t *testing.T) {
	_, _, address := start(t, Options{})
	for text, want := range map[string]string{
		"GET / HTTP/1.1\r\n\r\n":       "not the Wyoming protocol: invalid character",
		strings.Repeat("x", 2*maxLine): "a line of more than 8192 bytes",
		"{}\n":                         "an event without a type",
		"[1]\n":                        "cannot unmarshal array",
		"\n":                           "unexpected end of JSON input",
		`{"type":"ping","data_length":65537}` + "\n":                  "data of 65537 bytes, 65536 are read at most",
		`{"type":"ping","data_length":-1}` + "\n":                     "data of -1 bytes",
		`{"type":"ping","payload_length":1048577}` + "\n":             "a payload of 1048577 bytes",
		`{"type":"ping","payload_length":1e99}` + "\n":                "cannot unmarshal number",
		`{"type":"ping","data_length":4}` + "\n" + `[12]`:             "cannot unmarshal array",
		`{"type":"ping","data":7}` + "\n":                             "ping: json: cannot unmarshal number",
		`{"type":"audio-start","data":{"rate":"x"}}` + "\n":           "audio-start: json: cannot unmarshal string",
		`{"type":"audio-start","data":{"rate":16000}}` + "\n":         "refused: samples of 0 bytes",
		`{"type":"audio-start","data":{"rate":1,"width":2}}` + "\n":   "refused: a rate of 1",
		`{"type":"detect","data":{"names":["q"]}}` + "\n" + chunk(cd): `refused: there are no wake words ["q"]`,
		chunk(cd) + chunk(`{"rate":8000,"width":2,"channels":1}`):     "the format of the sound changes",
	} {
		p := dial(t, address)
		p.conn.Write([]byte(text)) // may fail at its end
		if got := p.next(); !strings.HasPrefix(got, "error ") || !strings.Contains(unquote(got), want) {
			// A reset connection may lose the answer to more than was read.
			if len(text) < maxLine || !strings.Contains(got, "reset") {
				t.Errorf("%.60q: %s, want %s", text, got, want)
			}
		}
		if got := p.next(); got != "EOF" && !strings.Contains(got, "reset") {
			t.Errorf("%.60q: then %s", text, got)
		}
	}
}

func unquote(s string) string { return strings.ReplaceAll(s, `\"`, `"`) }

func chunk(format string) string {
	return `{"type":"audio-chunk","data":` + format + `,"payload_length":2}` + "\n\x00\x00"
}

// TestLengthsAreNotBelieved checks that memory grows with what arrives.
func TestLengthsAreNotBelieved(t *testing.T) {
	in := bytes.NewReader([]byte(`{"type":"x","payload_length":1048576}` + "\nabc"))
	r := newReader(in)
	if _, err := r.next(); err != io.ErrUnexpectedEOF || cap(r.payload) > 4096 {
		t.Errorf("%v, %d bytes allocated", err, cap(r.payload))
	}
	for _, cut := range []string{`{"type":"x"`, `{"type":"x","data_length":9}` + "\n{}"} {
		if _, err := newReader(strings.NewReader(cut)).next(); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", cut, err)
		}
	}
}

func TestStreamThatFails(t *testing.T) {
	_, _, address := start(t, Options{})
	p := dial(t, address)
	p.send(chunk(cd))
	p.say("audio-chunk", cd, "!")
	p.expect("EOF")
}

// TestManyClients has sixteen clients speak at once, each of which is answered for its own sound.
func TestManyClients(t *testing.T) {
	_, _, address := start(t, Options{})
	var all sync.WaitGroup
	for i := range 16 {
		p := dial(t, address)
		all.Go(func() {
			for n := range 20 {
				p.say("audio-start", cd, "")
				if i%2 == 0 {
					p.say("audio-chunk", cd, "a\x00")
				}
				p.say("audio-stop", "", "")
				want := "not-detected"
				if i%2 == 0 {
					want = `detection {"name":"a","timestamp":0}`
				}
				if got := p.next(); got != want {
					t.Errorf("client %d, sound %d: %s", i, n, got)
				}
			}
		})
	}
	all.Wait()
}

func TestLimitOfClients(t *testing.T) {
	_, _, address := start(t, Options{Clients: 2})
	first, second := dial(t, address), dial(t, address)
	first.say("ping", "", "")
	second.say("ping", "", "")
	first.expect(`pong {"text":null}`)
	second.expect(`pong {"text":null}`)
	if got := dial(t, address).next(); got != "EOF" && !strings.Contains(got, "reset") {
		t.Errorf("a third client: %s", got)
	}
	first.conn.Close()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		p := dial(t, address)
		p.conn.Write([]byte(`{"type":"ping"}` + "\n"))
		if p.next() == `pong {"text":null}` {
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the place of a client that has left is not free")
		}
	}
}

// TestSilentClients drops clients that say nothing, also within an event and in a sound.
func TestSilentClients(t *testing.T) {
	b, _, address := start(t, Options{Idle: 100 * time.Millisecond})
	for _, text := range []string{"", `{"type":`, `{"type":"audio-chunk","payload_length":99}` + "\nx", chunk(cd)} {
		p := dial(t, address)
		p.send(text)
		if got := p.next(); got != "EOF" && !strings.Contains(got, "reset") {
			t.Errorf("%q: %s", text, got)
		}
	}
	for begun := time.Now(); b.opened() > 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("a stream is left")
		}
	}
}

// TestSlowReader drops a client that sends and takes no answers.
func TestSlowReader(t *testing.T) {
	_, _, address := start(t, Options{Write: 100 * time.Millisecond})
	p := dial(t, address)
	describe := []byte(strings.Repeat(`{"type":"describe"}`+"\n", 1000))
	for begun := time.Now(); ; {
		if _, err := p.conn.Write(describe); err != nil {
			break
		}
		if time.Since(begun) > 15*time.Second {
			t.Fatal("a client that reads nothing is still served")
		}
	}
}

// TestCloseAnswers closes the service while a sound is being sent.
func TestCloseAnswers(t *testing.T) {
	_, s, address := start(t, Options{})
	p := dial(t, address)
	p.send(chunk(cd))
	p.say("ping", "", "")
	p.expect(`pong {"text":null}`)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	p.expect("not-detected", "EOF")
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("a closed service takes connections")
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"type":"detect","data":{"names":["a"]}}` + "\n" + chunk(cd)))
	f.Add([]byte(`{"type":"ping","data_length":2}` + "\n{}"))
	f.Add([]byte("{\"type\":\"x\",\"payload_length\":3}\nab"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := newReader(bytes.NewReader(text))
		for n := 0; ; n++ {
			e, err := r.next()
			if err != nil {
				return
			}
			if n > len(text) || len(e.payload) > len(text) {
				t.Fatal("more than there was")
			}
			e.decode(&audioFormat{})
		}
	})
}
