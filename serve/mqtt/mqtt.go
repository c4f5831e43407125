// Package mqtt publishes events to an MQTT broker (version 3.1.1), and announces itself to Home Assistant, which then
// shows the words of each model without any configuration.
//
// Below a prefix, such as polyphon/kitchen, there are two kinds of topics: PREFIX/status is online or offline
// (retained; the broker itself writes offline when the connection breaks), and PREFIX/MODEL/event has each event in
// JSON. An event is delivered at least once: until the broker has acknowledged it, it is kept, over broken connections
// as well, and sent again. At most 1,024 are kept, of which the oldest give way; these, and what is kept when the
// process ends, are all that is lost.
package mqtt

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Config says where events go.
type Config struct {
	// URL is the broker's: mqtt://user:password@host:1883/prefix, or with mqtts, ws or wss. The prefix of the topics is
	// polyphon/HOSTNAME unless the path is one; with ws and wss, the path is the broker's own.
	URL     string
	Models  func() []Model // what there is at the moment
	Version string         // of the program
	Logger  *slog.Logger   // nil: slog.Default
}

// Model is a model and the labels that its events can have.
type Model struct {
	Name  string
	Words []string
}

// Event is what is published. Times are in seconds.
type Event struct {
	ID     string  `json:"id"` // its own, by which what is delivered twice is known
	Type   string  `json:"event_type"`
	Model  string  `json:"model"`
	P      float64 `json:"p"`
	Time   float64 `json:"time"`
	Start  float64 `json:"start"`
	End    float64 `json:"end"`
	Clock  string  `json:"clock"`            // RFC 3339
	Source string  `json:"source,omitempty"` // of the sound
}

const (
	maxKept        = 1024
	connectTimeout = 10 * time.Second
	ackTimeout     = 10 * time.Second
	keepAlive      = 30 * time.Second
	minWait        = time.Second // before another connection is tried
	maxWait        = time.Minute
	closingWait    = 100 * time.Millisecond
	goodbye        = 250 // ms for the last message to leave
	atLeastOnce    = 1
)

// Publisher publishes events. Its methods may be called by several goroutines.
type Publisher struct {
	config Config
	log    *slog.Logger
	broker *url.URL
	prefix string
	id     string // of this publisher in Home Assistant
	run    string // begins the ids of events
	wait   time.Duration

	cancel  context.CancelFunc
	closing chan struct{} // closed by Close
	close   sync.Once
	done    chan struct{}
	news    chan struct{} // has an element when kept has grown
	changed chan struct{} // has an element when the models have changed

	mu      sync.Mutex // guards what follows
	kept    []Event
	number  int
	dropped int
}

// Start connects to the broker, again and again if need be, and returns a Publisher. An error says that the URL makes
// no sense.
func Start(c Config) (*Publisher, error) { return start(c, minWait) }

// start is Start with the least time between two attempts to connect.
func start(c Config, wait time.Duration) (*Publisher, error) {
	p := &Publisher{
		config: c, log: c.Logger, wait: wait, run: strings.ToLower(rand.Text()[:10]),
		closing: make(chan struct{}), done: make(chan struct{}),
		news: make(chan struct{}, 1), changed: make(chan struct{}, 1),
	}
	if p.log == nil {
		p.log = slog.Default()
	}
	if err := p.parse(c.URL); err != nil {
		return nil, err
	}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	go p.deliver(ctx)
	return p, nil
}

// parse takes the parts of the URL.
func (p *Publisher) parse(text string) error {
	u, err := url.Parse(text)
	if err != nil { // its text may have a password
		return fmt.Errorf("the MQTT broker's URL cannot be read; expected mqtt://host:1883/prefix")
	}
	ports := map[string]string{"mqtt": "1883", "mqtts": "8883", "ws": "80", "wss": "443"}
	port, ok := ports[u.Scheme]
	if !ok || u.Hostname() == "" {
		return fmt.Errorf("%s is no MQTT broker's URL; expected mqtt://, mqtts://, ws:// or wss://host", u.Redacted())
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	p.prefix = "polyphon/" + identifier(host)
	if path := strings.Trim(u.Path, "/"); path != "" && !strings.HasPrefix(u.Scheme, "ws") {
		if strings.ContainsAny(path, "+#\x00") {
			return fmt.Errorf("the prefix %q has signs that topics may not have", path)
		}
		p.prefix, u.Path = path, ""
	}
	p.id = identifier(p.prefix)
	u.Host = u.Hostname() + ":" + cmp.Or(u.Port(), port)
	if strings.Contains(u.Hostname(), ":") {
		u.Host = "[" + u.Hostname() + "]:" + cmp.Or(u.Port(), port)
	}
	p.broker = u
	return nil
}

// identifier returns a text in the signs that Home Assistant's identifiers and all topics may have.
func identifier(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, text)
}

// Publish has an event published, and never waits. It sets the event's ID.
func (p *Publisher) Publish(e Event) {
	p.mu.Lock()
	p.number++
	e.ID = p.run + "-" + strconv.Itoa(p.number)
	if len(p.kept) == maxKept {
		p.kept = slices.Delete(p.kept, 0, 1)
		if p.dropped++; p.dropped == 1 {
			p.log.Warn("mqtt: events are lost: the broker has not taken any for too long", "kept", maxKept)
		}
	}
	p.kept = append(p.kept, e)
	p.mu.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// Changed announces to Home Assistant the models that there are now.
func (p *Publisher) Changed() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Close has the events that are kept published, and says that p is offline. When ctx is done, it gives up; its error
// says how many events are lost.
func (p *Publisher) Close(ctx context.Context) error {
	p.close.Do(func() { close(p.closing) })
	select {
	case <-p.done:
	case <-ctx.Done():
	}
	p.cancel()
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	if lost := len(p.kept) + p.dropped; lost > 0 {
		return fmt.Errorf("%d events were not taken by the MQTT broker", lost)
	}
	return nil
}

// deliver connects and publishes until p is closed.
func (p *Publisher) deliver(ctx context.Context) {
	defer close(p.done)
	failed := ""
	for wait := p.wait; ; {
		began := time.Now()
		connected, err := p.session(ctx)
		if ctx.Err() != nil || err == nil {
			return
		}
		if text := err.Error(); text != failed || connected {
			failed = text
			p.log.Warn("mqtt: no connection", "broker", p.broker.Redacted(), "error", err)
		}
		if connected && time.Since(began) > wait {
			wait = p.wait
		}
		if !p.pause(ctx, wait) {
			return
		}
		wait = min(2*wait, maxWait)
	}
}

// pause waits before another connection is tried, shortly when p is being closed, and reports whether there is anything
// to connect for.
func (p *Publisher) pause(ctx context.Context, wait time.Duration) bool {
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	case <-p.closing:
	}
	if _, more := p.first(); !more {
		return false
	}
	select {
	case <-time.After(min(wait, closingWait)):
		return true
	case <-ctx.Done():
		return false
	}
}

// session publishes in one connection. It returns nil when p is closed and all is published.
func (p *Publisher) session(ctx context.Context) (connected bool, err error) {
	lost := make(chan error, 1)
	broker := *p.broker
	broker.User = nil
	o := paho.NewClientOptions().AddBroker(broker.String()).SetClientID(p.id+"-"+p.run).
		SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(connectTimeout).SetWriteTimeout(ackTimeout).
		SetKeepAlive(keepAlive).SetPingTimeout(ackTimeout).SetOrderMatters(false).
		SetWill(p.statusTopic(), "offline", atLeastOnce, true).
		SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	if user := p.broker.User; user != nil {
		password, _ := user.Password()
		o.SetUsername(user.Username()).SetPassword(password)
	}
	client := paho.NewClient(o)
	s := &session{client: client, lost: lost}
	defer client.Disconnect(goodbye)
	if err := s.wait(ctx, client.Connect(), connectTimeout); err != nil {
		return false, err
	}
	p.log.Info("mqtt: connected", "broker", p.broker.Redacted(), "prefix", p.prefix)
	if err := p.announce(ctx, s); err != nil {
		return true, err
	}
	return true, p.publishAll(ctx, s)
}

// session is a connection.
type session struct {
	client paho.Client
	lost   chan error
}

// wait waits until the broker has done something.
func (s *session) wait(ctx context.Context, token paho.Token, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case err := <-s.lost:
		return fmt.Errorf("the connection is lost: %w", err)
	case <-timer.C:
		return fmt.Errorf("no answer for %v", limit)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// publish publishes a message and waits for its acknowledgement.
func (s *session) publish(ctx context.Context, topic string, retained bool, payload any) error {
	body, ok := payload.(string)
	if !ok {
		text, err := json.Marshal(payload)
		if err != nil {
			return err
		}
		body = string(text)
	}
	return s.wait(ctx, s.client.Publish(topic, atLeastOnce, retained, body), ackTimeout)
}

// publishAll publishes events as they come.
func (p *Publisher) publishAll(ctx context.Context, s *session) error {
	for {
		e, ok := p.first()
		if !ok {
			select {
			case <-p.news:
				continue
			case <-p.changed:
				if err := p.announce(ctx, s); err != nil {
					return err
				}
				continue
			case err := <-s.lost:
				return fmt.Errorf("the connection is lost: %w", err)
			case <-ctx.Done():
				return ctx.Err()
			case <-p.closing:
				if _, more := p.first(); more {
					continue
				}
				return s.publish(ctx, p.statusTopic(), true, "offline")
			}
		}
		if err := s.publish(ctx, p.eventTopic(e.Model), false, e); err != nil {
			return err
		}
		p.delivered(e)
	}
}

func (p *Publisher) first() (Event, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) == 0 {
		return Event{}, false
	}
	return p.kept[0], true
}

// delivered forgets an event, which may have given way in the meantime.
func (p *Publisher) delivered(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) > 0 && p.kept[0].ID == e.ID {
		p.kept = slices.Delete(p.kept, 0, 1)
		return
	}
	p.dropped-- // it was counted as lost
}

func (p *Publisher) statusTopic() string { return p.prefix + "/status" }

func (p *Publisher) eventTopic(model string) string {
	return p.prefix + "/" + identifier(model) + "/event"
}
