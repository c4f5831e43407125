package wyoming

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// How much of an event is read, in bytes. Clients send sound in chunks of some kilobytes.
const (
	maxLine    = 8 << 10
	maxData    = 64 << 10
	maxPayload = 1 << 20
)

// errProtocol marks what is no Wyoming event, after which nothing more can be read.
var errProtocol = errors.New("not the Wyoming protocol")

// event is a message of the protocol: a type, an object, and bytes.
type event struct {
	kind    string
	data    json.RawMessage // an object; nil where it is empty
	payload []byte          // valid until the next event is read
}

// header is the line that an event begins with.
type header struct {
	Type          string          `json:"type"`
	Version       string          `json:"version,omitempty"`
	Data          json.RawMessage `json:"data,omitempty"`
	DataLength    int64           `json:"data_length,omitempty"`
	PayloadLength int64           `json:"payload_length,omitempty"`
}

// version is that of the protocol as it is spoken here.
const version = "1.9.0"

// reader reads events.
type reader struct {
	in      *bufio.Reader // holds a line
	payload []byte
}

func newReader(r io.Reader) *reader { return &reader{in: bufio.NewReaderSize(r, maxLine)} }

// next reads an event. What the lengths claim is allocated only as it arrives. Errors wrap errProtocol or are those of
// the connection; io.EOF is that of a connection that ends between two events.
func (r *reader) next() (e event, err error) {
	line, err := r.in.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return e, fmt.Errorf("%w: a line of more than %d bytes", errProtocol, maxLine)
	case err == io.EOF && len(line) > 0:
		return e, io.ErrUnexpectedEOF
	case err != nil:
		return e, err
	}
	var h header
	if err := json.Unmarshal(line, &h); err != nil {
		return e, fmt.Errorf("%w: %v", errProtocol, err)
	}
	switch {
	case h.Type == "":
		return e, fmt.Errorf("%w: an event without a type", errProtocol)
	case h.DataLength < 0 || h.DataLength > maxData:
		return e, fmt.Errorf("%w: data of %d bytes, %d are read at most", errProtocol, h.DataLength, maxData)
	case h.PayloadLength < 0 || h.PayloadLength > maxPayload:
		return e, fmt.Errorf("%w: a payload of %d bytes, %d are read at most", errProtocol, h.PayloadLength, maxPayload)
	}
	e = event{kind: h.Type, data: h.Data}
	if h.DataLength > 0 {
		data, err := r.bytes(nil, h.DataLength)
		if err != nil {
			return e, err
		}
		if e.data, err = merge(h.Data, data); err != nil {
			return e, fmt.Errorf("%w: %v", errProtocol, err)
		}
	}
	if h.PayloadLength > 0 {
		if r.payload, err = r.bytes(r.payload[:0], h.PayloadLength); err != nil {
			return e, err
		}
		e.payload = r.payload
	}
	return e, nil
}

// bytes appends n bytes to b, in memory that grows as they arrive.
func (r *reader) bytes(b []byte, n int64) ([]byte, error) {
	buffer := bytes.NewBuffer(b)
	got, err := io.CopyN(buffer, r.in, n)
	if err == io.EOF || got < n && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return buffer.Bytes(), err
}

// merge returns the object in the line with the fields of the one that follows it.
func merge(inLine, after json.RawMessage) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	for _, object := range []json.RawMessage{inLine, after} {
		if len(object) == 0 {
			continue
		}
		if err := json.Unmarshal(object, &fields); err != nil {
			return nil, err
		}
	}
	return json.Marshal(fields)
}

// decode reads an event's object into v, whose fields may all be missing.
func (e event) decode(v any) error {
	if len(e.data) == 0 {
		return nil
	}
	if err := json.Unmarshal(e.data, v); err != nil {
		return fmt.Errorf("%w: %s: %v", errProtocol, e.kind, err)
	}
	return nil
}

// encode returns an event with an object, nil for none, as bytes.
func encode(kind string, object any) []byte {
	h := header{Type: kind, Version: version}
	var data []byte
	if object != nil {
		data, _ = json.Marshal(object) // of this package's own types
		h.DataLength = int64(len(data))
	}
	line, _ := json.Marshal(h)
	return append(append(line, '\n'), data...)
}
