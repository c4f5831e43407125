package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/serve/mqtt"
)

// messages is a broker's hook that passes on what is published.
type messages struct {
	mochi.HookBase
	published chan packets.Packet
}

func (m *messages) Provides(b byte) bool                           { return b == mochi.OnPublished }
func (m *messages) OnPublished(_ *mochi.Client, pk packets.Packet) { m.published <- pk }

// mqttBroker starts a broker, and returns its address and what is published.
func mqttBroker(t *testing.T) (address string, published chan packets.Packet) {
	t.Helper()
	broker := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	m := &messages{published: make(chan packets.Packet, 100)}
	listener := listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:0"})
	for _, err := range []error{
		broker.AddHook(new(auth.AllowHook), nil), broker.AddHook(m, nil), broker.AddListener(listener), broker.Serve(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { broker.Close() })
	return listener.Address(), m.published
}

// TestServeAtHome speaks to the service as Home Assistant does, and expects the word by the Wyoming protocol and MQTT.
func TestServeAtHome(t *testing.T) {
	broker, published := mqttBroker(t)
	ctx, stop := context.WithCancel(t.Context())
	errs := &watched{lines: make(chan string, 1000)}
	done := make(chan int)
	go func() {
		args := []string{"serve", "--addr", "127.0.0.1:0", "--model", "base", "--model", "two=small",
			"--wyoming", "tcp://127.0.0.1:0", "--mqtt", "mqtt://" + broker + "/home"}
		done <- runCommand(ctx, args, program.Streams{Out: io.Discard, Err: errs})
	}()
	address := ""
	for address == "" {
		line := <-errs.lines
		if m := regexp.MustCompile(`url=tcp://(\S+) protocol=wyoming`).FindStringSubmatch(line); m != nil {
			address = m[1]
		}
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	answers := bufio.NewReader(conn)
	answer := func() string {
		line, err := answers.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var h struct {
			Type   string
			Length int `json:"data_length"`
		}
		if err := json.Unmarshal([]byte(line), &h); err != nil {
			t.Fatal(err)
		}
		data := make([]byte, h.Length)
		if _, err := io.ReadFull(answers, data); err != nil {
			t.Fatal(err)
		}
		return h.Type + " " + string(data)
	}
	fmt.Fprintln(conn, `{"type":"describe"}`)
	contains(t, "info", answer(), `"name":"two/left"`)

	quiet := make([]float32, rate)
	sound := raw(audio.S16LE, slices.Concat(quiet, spoken(t, "stop.wav", 1), quiet, spoken(t, "left.wav", 1), quiet))
	const format = `{"rate":16000,"width":2,"channels":1}`
	fmt.Fprintf(conn, `{"type":"detect","data":{"names":["left","two/left"]}}`+"\n")
	fmt.Fprintf(conn, `{"type":"audio-start","data":%s}`+"\n", format)
	for chunk := range slices.Chunk(sound, 2048) {
		fmt.Fprintf(conn, `{"type":"audio-chunk","data":%s,"payload_length":%d}`+"\n%s", format, len(chunk), chunk)
	}
	fmt.Fprintln(conn, `{"type":"audio-stop"}`)
	found := []string{answer(), answer()}
	slices.Sort(found)
	for i, name := range []string{"left", "two/left"} {
		var d struct {
			Name      string
			Timestamp int
		}
		kind, data, _ := strings.Cut(found[i], " ")
		err := json.Unmarshal([]byte(data), &d)
		if err != nil || kind != "detection" || d.Name != name || d.Timestamp < 3000 || d.Timestamp > 5000 {
			t.Errorf("answer %s, want a detection of %s", found[i], name)
		}
	}
	var got []string
	for len(got) < 4 { // two words in two models
		select {
		case pk := <-published:
			var e mqtt.Event
			if json.Unmarshal(pk.Payload, &e) == nil && strings.HasSuffix(pk.TopicName, "/event") {
				got = append(got, fmt.Sprintf("%s %s %s", pk.TopicName, e.Type, e.Source))
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("published %v", got)
		}
	}
	slices.Sort(got)
	expect(t, "published", got, []string{
		"home/base/event left 127.0.0.1", "home/base/event stop 127.0.0.1",
		"home/two/event left 127.0.0.1", "home/two/event stop 127.0.0.1",
	})
	stop()
	expect(t, "status", <-done, statusOK)
	for last := ""; last != "home/status offline"; {
		select {
		case pk := <-published:
			last = pk.TopicName + " " + string(pk.Payload)
		case <-time.After(30 * time.Second):
			t.Fatalf("the last message is %s", last)
		}
	}
}

func TestServeAtHomeUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--wyoming 0.0.0.0:10400":  "--wyoming 0.0.0.0:10400: expected tcp://HOST:PORT",
		"--mqtt http://host":       "--mqtt: http://host is no MQTT broker's URL",
		"--mqtt mqtt://u:p@h:x/":   "--mqtt: the MQTT broker's URL cannot be read",
		"--mqtt mqtt://host/a/%23": "signs that topics may not have",
	} {
		status, _, errs := classify(t, nil, append([]string{"serve", "--addr", "127.0.0.1:0"}, strings.Fields(args)...)...)
		expect(t, args, status, statusUsage)
		contains(t, args, errs, want)
	}
}
