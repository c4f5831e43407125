package serve

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// newHello reads a Hello from the parameters of a request: thresholds are label=p after each other, with commas
// between. Errors wrap ErrRequest.
func newHello(values url.Values) (h Hello, err error) {
	for name, list := range values {
		value := list[0]
		switch name {
		case "model":
			h.Model = value
		case "source":
			h.Source = value
		case "rate":
			h.Rate, err = strconv.Atoi(value)
		case "channels":
			h.Channels, err = strconv.Atoi(value)
		case "encoding":
			err = h.Encoding.UnmarshalText([]byte(value))
		case "decisions":
			h.Decisions, err = strconv.ParseBool(value)
		case "frames":
			h.Frames, err = strconv.ParseBool(value)
		case "thresholds":
			h.Thresholds, err = parseThresholds(value)
		default:
			err = fmt.Errorf("no such parameter")
		}
		if err != nil {
			return h, fmt.Errorf("%w: %s=%s: %w", ErrRequest, name, value, err)
		}
	}
	return h, nil
}

func parseThresholds(text string) (map[string]float64, error) {
	thresholds := map[string]float64{}
	for part := range strings.SplitSeq(text, ",") {
		at := strings.LastIndexByte(part, '=')
		if at < 0 {
			return nil, fmt.Errorf("%q is no label=threshold", part)
		}
		p, err := strconv.ParseFloat(part[at+1:], 64)
		if err != nil {
			return nil, err
		}
		thresholds[part[:at]] = p
	}
	return thresholds, nil
}

// listenEvents is a live stream as the body of a request, answered with server-sent events (HTML Standard, 9.2).
func (s *Server) listenEvents(w http.ResponseWriter, r *http.Request) {
	h, err := newHello(r.URL.Query())
	if err == nil {
		err = s.connect()
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	defer s.disconnect()
	session, err := s.Listen(r.Context(), h)
	if err != nil {
		s.refuse(w, err)
		return
	}
	control := http.NewResponseController(w)
	control.EnableFullDuplex()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.pushBody(session, &boundedBody{r.Body, control, s.config.Limits.Idle})
	}()
	defer func() {
		session.Close()
		control.SetReadDeadline(time.Now()) // ends a read that goes on
		<-read
	}()
	for m := range session.Messages() {
		control.SetWriteDeadline(time.Now().Add(s.config.Limits.Lag))
		if _, err := fmt.Fprintf(w, "data: %s\n\n", Encode(m)); err != nil {
			return
		}
		if control.Flush() != nil {
			return
		}
	}
}

// pushBody pushes a body to its end, and ends the session.
func (s *Server) pushBody(session *Session, body io.Reader) {
	buffer := make([]byte, convertBytes)
	for {
		n, err := body.Read(buffer)
		if pushed := session.Push(buffer[:n]); pushed != nil {
			session.fail(pushed)
			return
		}
		switch {
		case err == io.EOF:
			session.End()
			return
		case err != nil:
			session.fail(err)
			return
		}
	}
}
