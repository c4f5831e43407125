package audio

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/pion/opus"
)

// Opus is decoded at 48 kHz, whatever its encoder was given (RFC 7845).
const (
	opusMagic   = "OpusHead"
	opusRate    = 48000
	maxOpusSize = opusRate * 120 / 1000 // samples of a channel in a packet
)

// opusCodec decodes Opus with pion/opus.
type opusCodec struct {
	decoder  opus.Decoder
	channels int
	skip     int64
	gain     float32
	headers  int // that are still to come
	buffer   []float32
}

// openOpus takes the first packet of an Ogg Opus stream (RFC 7845, 5.1).
func openOpus(packet []byte) (oggCodec, Format, error) {
	if len(packet) < 19 {
		return nil, Format{}, fmt.Errorf("%w: its OpusHead has %d bytes, needs 19", ErrCorrupt, len(packet))
	}
	c := &opusCodec{
		channels: int(packet[9]),
		skip:     int64(binary.LittleEndian.Uint16(packet[10:])),
		gain:     float32(math.Pow(10, float64(int16(binary.LittleEndian.Uint16(packet[16:])))/(20*256))),
		headers:  1,
	}
	f := Format{Container: "ogg", Rate: opusRate, Channels: c.channels, Frames: -1}
	if c.channels > 2 || packet[18] != 0 {
		return nil, f, refusal(fmt.Sprintf("Opus of %d channels, mapping family %d", c.channels, packet[18]), "opus")
	}
	if err := f.check(); err != nil {
		return nil, f, err
	}
	c.buffer = make([]float32, maxOpusSize*c.channels)
	return c, f, c.decoder.Init(opusRate, c.channels)
}

func (c *opusCodec) decode(dst []float32, packet []byte) ([]float32, error) {
	if c.headers > 0 { // OpusTags
		c.headers--
		return dst, nil
	}
	n, err := c.decoder.DecodeToFloat32(packet, c.buffer)
	if err != nil {
		return dst, err
	}
	for _, v := range c.buffer[:n*c.channels] {
		dst = append(dst, v*c.gain)
	}
	return dst, nil
}

func (c *opusCodec) gap() {}

func (c *opusCodec) preSkip() int64 { return c.skip }
