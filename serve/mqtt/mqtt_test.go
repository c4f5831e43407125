package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/polyphon/polyphon/internal/need"
	"go.uber.org/goleak"
)

var someModels = []Model{{"base", []string{"left", "right"}}, {"my model/2", []string{"bark"}}}

// publisher starts a Publisher that connects again at once.
func publisher(t *testing.T, url string) (*Publisher, *lockedBuffer) {
	t.Helper()
	log := new(lockedBuffer)
	p, err := start(Config{
		URL: url, Models: func() []Model { return someModels }, Version: "v1",
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	}, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.cancel)
	return p, log
}

// address returns one that nothing listens on.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// broker is a broker in this process, and what it was sent.
type broker struct {
	*mochi.Server
	recorded
	closed sync.Once
}

// Close may be called again.
func (b *broker) Close() { b.closed.Do(func() { b.Server.Close() }) }

// recorded are messages as "topic payload", with retained ones marked.
type recorded struct {
	mu       sync.Mutex
	messages []string
}

func (r *recorded) add(topic string, payload []byte, retained bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := topic + " " + string(payload)
	if retained {
		text = "retained " + text
	}
	r.messages = append(r.messages, text)
}

func (r *recorded) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// count returns how many messages begin like that.
func (r *recorded) count(prefix string) (n int) {
	for _, m := range r.all() {
		if strings.HasPrefix(m, prefix) {
			n++
		}
	}
	return n
}

// hook records what clients publish, wills included, and can withhold acknowledgements.
type hook struct {
	mochi.HookBase
	to *recorded
}

func (h *hook) Provides(b byte) bool { return b == mochi.OnPublished || b == mochi.OnWillSent }
func (h *hook) OnPublished(_ *mochi.Client, pk packets.Packet) {
	h.to.add(pk.TopicName, pk.Payload, pk.FixedHeader.Retain)
}
func (h *hook) OnWillSent(_ *mochi.Client, pk packets.Packet) {
	h.to.add("will "+pk.TopicName, pk.Payload, pk.FixedHeader.Retain)
}

// serve starts a broker. Users have to have the password, unless it is empty.
func serve(t *testing.T, address, password string) *broker {
	t.Helper()
	b := &broker{Server: mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})}
	var err error
	if password == "" {
		err = b.AddHook(new(auth.AllowHook), nil)
	} else {
		err = b.AddHook(new(auth.Hook), &auth.Options{Ledger: &auth.Ledger{
			Auth: auth.AuthRules{{Username: "me", Password: auth.RString(password), Allow: true}},
		}})
	}
	if err == nil {
		err = b.AddHook(&hook{to: &b.recorded}, nil)
	}
	if err == nil {
		err = b.AddListener(listeners.NewTCP(listeners.Config{ID: "t", Address: address}))
	}
	if err == nil {
		err = b.Serve()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func closePublisher(t *testing.T, p *Publisher) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return p.Close(ctx)
}

func event(n int) Event {
	return Event{Type: "left", Model: "base", P: 0.9, Time: float64(n), Start: float64(n), End: float64(n) + 0.5}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPublishes(t *testing.T) {
	b := serve(t, address(t), "secret")
	p, log := publisher(t, "mqtt://me:secret@"+listenerAddress(b)+"/home/kitchen")
	e := event(3)
	e.Clock, e.Source = "2026-01-02T03:04:05.678Z", "10.0.0.9"
	p.Publish(e)
	p.Publish(Event{Type: "bark", Model: "my model/2"})
	p.Changed()
	waitFor(t, "a second announcement", func() bool { return b.count("retained homeassistant/") == 8 })
	if err := closePublisher(t, p); err != nil {
		t.Error(err)
	}
	// The broker acknowledges a message before its hooks see it.
	waitFor(t, "the end", func() bool { return b.count("retained home/kitchen/status offline") == 1 })
	got := b.all()
	id := p.run
	for _, want := range []string{
		"retained home/kitchen/status online",
		`home/kitchen/base/event {"id":"` + id + `-1","event_type":"left","model":"base","p":0.9,"time":3,"start":3,` +
			`"end":3.5,"clock":"2026-01-02T03:04:05.678Z","source":"10.0.0.9"}`,
		`home/kitchen/my_model_2/event {"id":"` + id + `-2","event_type":"bark","model":"my model/2","p":0,"time":0,` +
			`"start":0,"end":0,"clock":""}`,
		"retained home/kitchen/status offline",
	} {
		if n := slices.Index(got, want); n < 0 {
			t.Errorf("no message %s in:\n%s", want, strings.Join(got, "\n"))
		} else {
			got = got[n+1:] // they come in order
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the log has the password: %s", log)
	}
}

func listenerAddress(b *broker) string {
	l, _ := b.Listeners.Get("t")
	return l.Address()
}

// TestDiscovery checks what Home Assistant requires of its discovery messages.
func TestDiscovery(t *testing.T) {
	b := serve(t, address(t), "")
	p, _ := publisher(t, "mqtt://"+listenerAddress(b)+"/kitchen")
	if err := closePublisher(t, p); err != nil {
		t.Error(err)
	}
	found := map[string]map[string]any{}
	for _, m := range b.all() {
		rest, ok := strings.CutPrefix(m, "retained homeassistant/")
		if !ok {
			continue
		}
		topic, payload, _ := strings.Cut(rest, " ")
		var fields map[string]any
		if err := json.Unmarshal([]byte(payload), &fields); err != nil {
			t.Fatal(err)
		}
		found[topic] = fields
	}
	for topic, want := range map[string]map[string]any{
		"event/kitchen_base_event/config": {
			"name": "base event", "unique_id": "kitchen_base_event", "state_topic": "kitchen/base/event",
			"event_types": []any{"left", "right"}, "availability_topic": "kitchen/status",
		},
		"sensor/kitchen_base_latest/config": {
			"unique_id": "kitchen_base_latest", "value_template": "{{ value_json.event_type }}",
			"json_attributes_topic": "kitchen/base/event", "state_topic": "kitchen/base/event",
		},
		"event/kitchen_my_model_2_event/config":   {"event_types": []any{"bark"}, "state_topic": "kitchen/my_model_2/event"},
		"sensor/kitchen_my_model_2_latest/config": {"name": "my model/2 latest"},
	} {
		for key, value := range want {
			if got := found[topic][key]; fmt.Sprint(got) != fmt.Sprint(value) {
				t.Errorf("%s: %s is %v, want %v", topic, key, got, value)
			}
		}
		if d, _ := found[topic]["device"].(map[string]any); fmt.Sprint(d["identifiers"]) != "[kitchen]" {
			t.Errorf("%s: device %v", topic, d)
		}
	}
	if len(found) != 4 {
		t.Errorf("%d entities", len(found))
	}
}

// TestBrokerIsKilled kills the broker between and during events, starts it again, and expects all of them, in order.
func TestBrokerIsKilled(t *testing.T) {
	at := address(t)
	p, _ := publisher(t, "mqtt://"+at+"/k")
	p.Publish(event(1)) // before there is a broker
	first := serve(t, at, "")
	waitFor(t, "the first event", func() bool { return first.count("k/base/event") == 1 })
	for n := 2; n <= 100; n++ {
		p.Publish(event(n))
	}
	first.Close()
	for n := 101; n <= 150; n++ {
		p.Publish(event(n))
	}
	second := serve(t, at, "")
	if err := closePublisher(t, p); err != nil {
		t.Fatal(err)
	}
	var times []float64
	for _, m := range append(first.all(), second.all()...) {
		if payload, ok := strings.CutPrefix(m, "k/base/event "); ok {
			var e Event
			if err := json.Unmarshal([]byte(payload), &e); err != nil {
				t.Fatal(err)
			}
			times = append(times, e.Time)
		}
	}
	times = slices.Compact(times) // what was not acknowledged comes twice
	if len(times) != 150 || !slices.IsSorted(times) {
		t.Errorf("%d events: %v", len(times), times)
	}
	if second.count("retained k/status online") != 1 || second.count("retained homeassistant/") != 4 {
		t.Errorf("the new broker was told %v", second.all()[:5])
	}
}

// TestWill breaks the connection: the broker says that the publisher is offline.
func TestWill(t *testing.T) {
	at := address(t)
	b := serve(t, at, "")
	p, _ := publisher(t, "mqtt://"+at+"/k")
	waitFor(t, "the connection", func() bool { return b.count("retained k/status online") == 1 })
	for _, c := range b.Clients.GetAll() {
		if !c.Net.Inline {
			c.Net.Conn.Close()
		}
	}
	waitFor(t, "the will", func() bool { return b.count("retained will k/status offline") == 1 })
	waitFor(t, "the next connection", func() bool { return b.count("retained k/status online") == 2 })
	if err := closePublisher(t, p); err != nil {
		t.Error(err)
	}
}

// TestTooManyEvents publishes more than is kept, and closes without a broker.
func TestTooManyEvents(t *testing.T) {
	p, log := publisher(t, "mqtt://"+address(t))
	for n := range maxKept + 10 {
		p.Publish(event(n))
	}
	if e, _ := p.first(); e.Time != 10 {
		t.Errorf("the oldest event that is kept is %v", e)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil || err.Error() != "1034 events were not taken by the MQTT broker" {
		t.Errorf("Close: %v", err)
	}
	for _, part := range []string{"events are lost", "no connection"} {
		if n := strings.Count(log.String(), part); n != 1 {
			t.Errorf("%d lines say %q", n, part)
		}
	}
	idle, _ := publisher(t, "mqtt://"+address(t))
	if err := closePublisher(t, idle); err != nil {
		t.Errorf("Close without events and without a broker: %v", err)
	}
}

// TestBrokerThatRefuses has a wrong password, and one that takes connections and says nothing.
func TestBrokerThatRefuses(t *testing.T) {
	b := serve(t, address(t), "secret")
	p, log := publisher(t, "mqtt://me:wrong@"+listenerAddress(b))
	time.Sleep(300 * time.Millisecond)
	p.Publish(event(1))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil {
		t.Error("an event is published with a wrong password")
	}
	if text := log.String(); strings.Count(text, "no connection") != 1 || strings.Contains(text, "wrong@") {
		t.Errorf("log: %s", text)
	}
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	p, _ = publisher(t, "mqtt://"+mute.Addr().String())
	p.Publish(event(1))
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil {
		t.Error("an event is published to a broker that says nothing")
	}
}

func TestURLs(t *testing.T) {
	for url, want := range map[string]string{
		"mqtt://host":                    "mqtt://host:1883 polyphon/",
		"mqtts://u:p@host/a/b":           "mqtts://u:p@host:8883 a/b",
		"wss://host/mqtt":                "wss://host:443/mqtt polyphon/",
		"mqtt://[::1]:99/x":              "mqtt://[::1]:99 x",
		"http://u:secret@host":           "no MQTT broker's URL",
		"host:1883":                      "no MQTT broker's URL",
		"mqtt://":                        "no MQTT broker's URL",
		"mqtt://host/a%2Bb/%23":          "signs that topics may not have",
		"mqtt://u:sec ret@host:port/":    "cannot be read",
		"mqtt://u:secret%zz@host/polyph": "cannot be read",
	} {
		var p Publisher
		err := p.parse(url)
		got := fmt.Sprint(err)
		if err == nil {
			got = p.broker.String() + " " + p.prefix
		}
		if !strings.Contains(got, want) || err != nil && strings.Contains(got, "sec") {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

// TestMosquitto publishes to another broker, which is killed and started again, and reads with its own client.
func TestMosquitto(t *testing.T) {
	need.Long(t, "runs another program")
	program, reader := mosquitto(t), need.Tool(t, "mosquitto_sub")
	at := address(t)
	host, port, _ := net.SplitHostPort(at)
	configuration := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\nuser root\n", port, host)
	if err := os.WriteFile(configuration, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func() *exec.Cmd {
		cmd := exec.Command(program, "-c", configuration)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		waitFor(t, "mosquitto", func() bool {
			conn, err := net.Dial("tcp", at)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		return cmd
	}
	subscribe := func() (lines func() string) {
		out := new(lockedBuffer)
		cmd := exec.Command(reader, "-h", host, "-p", port, "-t", "k/#", "-v", "-q", "1")
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		return out.String
	}
	broker := run()
	p, _ := publisher(t, "mqtt://"+at+"/k")
	before := subscribe()
	waitFor(t, "the status", func() bool { return strings.Contains(before(), "k/status online\n") })
	p.Publish(event(1))
	waitFor(t, "an event", func() bool { return strings.Contains(before(), `k/base/event {"id":"`+p.run+"-1") })
	broker.Process.Kill()
	broker.Wait()
	run()
	after := subscribe()
	waitFor(t, "the status", func() bool { return strings.Contains(after(), "k/status online\n") })
	p.Publish(event(2))
	if err := closePublisher(t, p); err != nil {
		t.Error(err)
	}
	waitFor(t, "the end", func() bool {
		return strings.Contains(after(), `k/base/event {"id":"`+p.run+"-2") && strings.Contains(after(), "k/status offline\n")
	})
}

// mosquitto returns the broker's path: Debian keeps it where only root looks.
func mosquitto(t *testing.T) string {
	if path := "/usr/sbin/mosquitto"; fileExists(path) {
		return path
	}
	return need.Tool(t, "mosquitto")
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
