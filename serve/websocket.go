package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	subprotocol = "polyphon.v1"

	maxFrame     = 1 << 20 // bytes of a client's message
	pingEvery    = 20 * time.Second
	pongWithin   = 10 * time.Second
	maxCloseText = 120 // bytes of a reason of closing
)

// errGarbage marks a message of a client that cannot be read.
var errGarbage = fmt.Errorf("%w: a message that cannot be read", ErrRequest)

// request is a text message of a client after the first one.
type request struct {
	Reset      bool               `json:"reset"`
	EOF        bool               `json:"eof"`
	Thresholds map[string]float64 `json:"thresholds"`
}

// listenWebSocket is a live stream over a WebSocket.
func (s *Server) listenWebSocket(w http.ResponseWriter, r *http.Request) {
	if err := s.connect(); err != nil {
		s.refuse(w, err)
		return
	}
	defer s.disconnect()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, OriginPatterns: s.config.Origins,
	})
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	session, unknown, err := s.greet(ctx, conn)
	if err != nil {
		s.closeWith(ctx, conn, &Error{Text: err.Error(), err: err})
		return
	}
	defer session.Close()
	if unknown != "" {
		session.warn("the first message: " + unknown)
	}
	c := &connection{server: s, conn: conn, session: session}
	go c.receive(ctx)
	c.answer(ctx)
}

// connect counts a connection for live sound.
func (s *Server) connect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return ErrClosing
	case s.connected >= s.config.Limits.Connections:
		return fmt.Errorf("%w: %d connections", ErrFull, s.connected)
	}
	s.connected++
	return nil
}

func (s *Server) disconnect() {
	s.mu.Lock()
	s.connected--
	s.mu.Unlock()
}

// greet receives the first message and begins the stream. unknown says which field of it is not known.
func (s *Server) greet(ctx context.Context, conn *websocket.Conn) (session *Session, unknown string, err error) {
	type message struct {
		kind websocket.MessageType
		data []byte
		err  error
	}
	received := make(chan message, 1)
	go func() { // a Read whose context ends closes the connection, without a word
		kind, data, err := conn.Read(ctx)
		received <- message{kind, data, err}
	}()
	var first message
	select {
	case first = <-received:
	case <-time.After(s.config.Limits.Hello):
		return nil, "", fmt.Errorf("%w: no first message within %v", ErrRequest, s.config.Limits.Hello)
	case <-s.quit:
		return nil, "", ErrClosing
	}
	if first.err != nil {
		return nil, "", first.err
	}
	if first.kind != websocket.MessageText {
		return nil, "", fmt.Errorf("%w: the first message has to be a JSON object as text", ErrRequest)
	}
	var h Hello
	if unknown, err = decodeObject(first.data, &h); err != nil {
		return nil, "", err
	}
	session, err = s.Listen(ctx, h)
	return session, unknown, err
}

// decodeObject decodes a JSON object. unknown says which field v does not have; "" where there is none.
func decodeObject(data []byte, v any) (unknown string, err error) {
	if err := json.Unmarshal(data, v); err != nil {
		return "", fmt.Errorf("%w: %w", errGarbage, err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return strings.TrimPrefix(err.Error(), "json: "), nil
	}
	return "", nil
}

// connection is a WebSocket with a live stream.
type connection struct {
	server  *Server
	conn    *websocket.Conn
	session *Session
	latest  atomic.Int64 // when something was received, in nanoseconds since 1970
}

// receive passes what the client sends to the session, until either ends.
func (c *connection) receive(ctx context.Context) {
	var data bytes.Buffer // of one message after the other
	for {
		kind, message, err := c.conn.Reader(ctx)
		if err == nil {
			data.Reset()
			_, err = data.ReadFrom(message)
		}
		if err != nil {
			c.session.Close() // nobody is there any more
			return
		}
		c.latest.Store(time.Now().UnixNano())
		if kind == websocket.MessageBinary {
			err = c.session.Push(data.Bytes())
		} else {
			err = c.session.request(data.Bytes())
		}
		if err != nil {
			c.session.fail(err)
			return
		}
	}
}

// request does what a text message asks for.
func (s *Session) request(data []byte) error {
	var r request
	if _, err := decodeObject(data, &r); err != nil {
		return err
	}
	if r.Thresholds != nil {
		if err := s.SetThresholds(r.Thresholds); err != nil {
			return err
		}
	}
	if r.Reset {
		s.Reset()
	}
	if r.EOF {
		s.End()
	}
	return nil
}

// answer sends the session's messages until the last one, and ends when the client is gone.
func (c *connection) answer(ctx context.Context) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case m, ok := <-c.session.Messages():
			switch {
			case !ok:
				return
			case isLast(m):
				c.server.closeWith(ctx, c.conn, m)
				return
			}
			if c.server.write(ctx, c.conn, m) != nil {
				return
			}
		case now := <-ping.C:
			if now.Sub(time.Unix(0, c.latest.Load())) < pingEvery {
				continue // who sends is there
			}
			waiting, cancel := context.WithTimeout(ctx, pongWithin)
			err := c.conn.Ping(waiting)
			cancel()
			if err != nil {
				return
			}
		}
	}
}

func isLast(m Message) bool {
	switch m.(type) {
	case *End, *Error:
		return true
	}
	return false
}

// write sends a message. A client that does not take it within the limit of lag is cut off.
func (s *Server) write(ctx context.Context, conn *websocket.Conn, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Limits.Lag)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, Encode(m))
}

// closeWith sends the last message and closes the connection.
func (s *Server) closeWith(ctx context.Context, conn *websocket.Conn, last Message) {
	if s.write(ctx, conn, last) != nil {
		return
	}
	code, reason := websocket.StatusNormalClosure, ""
	if e, ok := last.(*Error); ok {
		code, reason = closeCode(e), e.Text[:min(len(e.Text), maxCloseText)]
	}
	conn.Close(code, reason)
}

// closeCode returns the code with which a connection is closed after an error (RFC 6455, section 7.4).
func closeCode(err error) websocket.StatusCode {
	switch {
	case errors.Is(err, errGarbage):
		return websocket.StatusInvalidFramePayloadData
	case errors.Is(err, ErrRequest), errors.Is(err, ErrModel):
		return websocket.StatusPolicyViolation
	case errors.Is(err, ErrFull):
		return websocket.StatusTryAgainLater
	case errors.Is(err, ErrClosing):
		return websocket.StatusGoingAway
	}
	return websocket.StatusInternalError
}
