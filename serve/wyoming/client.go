package wyoming

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/polyphon/polyphon/audio"
)

// client is a connection. One goroutine reads events, another one for each stream writes what is detected.
type client struct {
	server *Server
	conn   net.Conn
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc

	names     []string // that detect has named; none: all of the default model
	sound     *sound   // nil: none is being sent
	listening sync.WaitGroup

	writing sync.Mutex
}

// sound is what one audio-start begins: it goes to a stream of each model of which words are waited for.
type sound struct {
	format   audioFormat
	streams  []Stream
	detected atomic.Int64
	closed   atomic.Bool    // without waiting for its end
	answered sync.WaitGroup // all streams have ended
}

// audioFormat is the object of audio-start and audio-chunk. Timestamps are in milliseconds.
type audioFormat struct {
	Rate      int    `json:"rate"`
	Width     int    `json:"width"` // bytes of a sample
	Channels  int    `json:"channels"`
	Timestamp *int64 `json:"timestamp"`
}

// encodings are those of sample widths, in bytes.
var encodings = map[int]audio.Encoding{1: audio.U8, 2: audio.S16LE, 3: audio.S24LE, 4: audio.S32LE}

// run serves the client until it leaves or fails.
func (c *client) run() {
	defer c.server.leave(c)
	defer c.disconnect()
	err := c.serve()
	c.end()
	if err != nil && err != io.EOF && c.ctx.Err() == nil {
		c.log.Info("wyoming: a client is dropped", "error", err)
		if errors.Is(err, errProtocol) || errors.Is(err, errRefused) {
			c.write("error", map[string]string{"text": err.Error(), "code": "bad-request"})
		}
	}
	c.disconnect()
	c.listening.Wait()
}

// disconnect ends the connection and what it waits for.
func (c *client) disconnect() {
	c.cancel()
	c.conn.Close()
}

func (c *client) serve() error {
	r := newReader(c.conn)
	for {
		c.conn.SetReadDeadline(time.Now().Add(c.server.options.Idle))
		if c.server.isClosing() { // its deadline may have been replaced by ours
			return c.stop()
		}
		e, err := r.next()
		if err == nil {
			err = c.take(e)
		} else if c.server.isClosing() {
			return c.stop()
		}
		if err != nil {
			return err
		}
	}
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// errRefused marks what a client asked for and cannot have.
var errRefused = errors.New("refused")

// take answers an event. Kinds that a wake word service has nothing to do with are left out.
func (c *client) take(e event) error {
	switch e.kind {
	case "describe":
		return c.write("info", c.server.info())
	case "ping":
		var ping struct {
			Text *string `json:"text"`
		}
		if err := e.decode(&ping); err != nil {
			return err
		}
		return c.write("pong", ping)
	case "detect":
		var detect struct {
			Names []string `json:"names"`
		}
		err := e.decode(&detect)
		c.names = detect.Names
		return err
	case "audio-start", "audio-chunk":
		var f audioFormat
		if err := e.decode(&f); err != nil {
			return err
		}
		return c.takeSound(e, f)
	case "audio-stop":
		return c.stop()
	}
	return nil
}

// takeSound takes the beginning or a chunk of sound. A chunk without a beginning is one itself.
func (c *client) takeSound(e event, f audioFormat) error {
	if e.kind == "audio-start" || c.sound == nil {
		c.end()
		if err := c.start(f); err != nil {
			return err
		}
	}
	if e.kind == "audio-start" {
		return nil
	}
	if s := c.sound.format; f.Rate != s.Rate || f.Width != s.Width || f.Channels != s.Channels {
		return fmt.Errorf("%w: the format of the sound changes without an audio-start", errProtocol)
	}
	for _, stream := range c.sound.streams {
		if err := stream.Push(e.payload); err != nil {
			return err
		}
	}
	return nil
}

// start opens the streams of a sound.
func (c *client) start(f audioFormat) error {
	encoding, ok := encodings[f.Width]
	if !ok {
		return fmt.Errorf("%w: samples of %d bytes", errRefused, f.Width)
	}
	format := audio.Format{Container: "raw", Rate: f.Rate, Channels: f.Channels, Encoding: encoding}
	wanted := c.server.wanted(c.names)
	if len(wanted) == 0 {
		return fmt.Errorf("%w: there are no wake words %q", errRefused, c.names)
	}
	s := &sound{format: f}
	c.sound = s
	for _, w := range wanted {
		stream, err := c.server.backend.Open(c.ctx, w.model, format, c.host())
		if err != nil {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
		s.streams = append(s.streams, stream)
		s.answered.Add(1)
		c.listening.Go(func() {
			defer s.answered.Done()
			c.answer(s, stream, w)
		})
	}
	return nil
}

// host returns the client's address without its port.
func (c *client) host() string {
	address := c.conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// answer writes what is detected in a stream until it ends.
func (c *client) answer(s *sound, stream Stream, w words) {
	for {
		d, err := stream.Next()
		if err != nil {
			if err != io.EOF && c.ctx.Err() == nil && !s.closed.Load() {
				c.write("error", map[string]string{"text": err.Error(), "code": "stream"})
				c.disconnect()
			}
			return
		}
		name, ok := w.names[d.Word]
		if !ok {
			continue
		}
		s.detected.Add(1)
		timestamp := int64(1000*d.Time + 0.5)
		if s.format.Timestamp != nil {
			timestamp += *s.format.Timestamp
		}
		c.log.Info("wyoming: detection", "name", name, "timestamp", timestamp)
		err = c.write("detection", map[string]any{"name": name, "timestamp": timestamp})
		if err != nil {
			return
		}
	}
}

// stop ends the sound as its sender says, and answers what is left of it.
func (c *client) stop() error {
	s := c.sound
	if s == nil {
		return nil
	}
	c.sound = nil
	for _, stream := range s.streams {
		stream.End()
	}
	s.answered.Wait()
	for _, stream := range s.streams {
		stream.Close()
	}
	if s.detected.Load() > 0 {
		return nil
	}
	return c.write("not-detected", nil)
}

// end ends the sound, if there is one, without an answer.
func (c *client) end() {
	if c.sound == nil {
		return
	}
	c.sound.closed.Store(true)
	for _, stream := range c.sound.streams {
		stream.Close()
	}
	c.sound = nil
}

// write sends an event.
func (c *client) write(kind string, object any) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(c.server.options.Write))
	out := bufio.NewWriter(c.conn)
	out.Write(encode(kind, object))
	err := out.Flush()
	if err != nil {
		c.disconnect()
	}
	return err
}

// words are those of a model that a client waits for, with the names that it knows them by.
type words struct {
	model string
	names map[string]string
}

// separator is between a model and a word in names of words of other models than the default one.
const separator = "/"

// name returns the name of a word of the model with that number.
func name(number int, m Model, word string) string {
	if number == 0 {
		return word
	}
	return m.Name + separator + word
}

// wanted returns the words of some names, none standing for all of the default model. Upper and lower case, and an
// underscore for a space, are the same, as in the clients' settings.
func (s *Server) wanted(names []string) (list []words) {
	same := func(x, y string) bool {
		plain := func(s string) string { return strings.ReplaceAll(s, "_", " ") }
		return strings.EqualFold(plain(x), plain(y))
	}
	for i, m := range s.backend.Models() {
		w := words{m.Name, map[string]string{}}
		for _, word := range m.Words {
			full := name(i, m, word)
			if len(names) == 0 && i == 0 || slices.ContainsFunc(names, func(n string) bool { return same(n, full) }) {
				w.names[word] = full
			}
		}
		if len(w.names) > 0 {
			list = append(list, w)
		}
	}
	return list
}
