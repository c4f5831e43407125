package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
)

// mp3Decoder decodes frames of MPEG layer III with hajimehoshi/go-mp3, giving it one at a time.
//
// The samples of a frame may be in the bytes of those before it (the bit reservoir). Frames that need bytes which were
// lost are made silent, since the library would decode others. At the low rates of MPEG-2, the library mistakes the
// size of some padded frames: there, it gets frames that have what they need in themselves.
type mp3Decoder struct {
	library   *mp3.Decoder
	feed      []byte // the frame that it reads
	reservoir []byte // the latest bytes of sound that frames had
	kept      int    // of these, how many the library has
	raw       []byte
	frame     []byte
	samples   []float32
}

// Sizes of the bit reservoir: 9 bits count it, and 8 at low rates.
const (
	maxReservoir    = 511
	maxReservoirLow = 255
)

var errMP3Library = errors.New("MP3 frame that cannot be decoded")

// decode returns the samples of a frame, interleaved, valid until the next call; zeros with an error.
func (m *mp3Decoder) decode(frame []byte, channels int) (samples []float32, err error) {
	h, _ := mpegHeaderAt(frame)
	n := h.samples()
	m.samples = append(m.samples[:0], make([]float32, n*channels)...)
	m.raw = append(m.raw[:0], make([]byte, 4*n)...) // 16 bits of two channels, whatever the frame has
	if err := m.run(h, frame); err != nil {
		m.forget()
		return m.samples, err
	}
	for i := range n {
		left := float32(int16(binary.LittleEndian.Uint16(m.raw[4*i:]))) * scale16
		right := float32(int16(binary.LittleEndian.Uint16(m.raw[4*i+2:]))) * scale16
		if channels == 1 {
			m.samples[i] = (left + right) / 2
		} else {
			m.samples[2*i], m.samples[2*i+1] = left, right
		}
	}
	return m.samples, nil
}

// run decodes a frame into m.raw. The library's panics become errors.
func (m *mp3Decoder) run(h mpegHeader, frame []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errMP3Library, p)
		}
	}()
	if h.low() {
		m.feed = m.whole(h, frame)
	} else {
		m.feed = m.plain(h, frame)
	}
	if m.library == nil {
		if m.library, err = mp3.NewDecoder(m); err != nil {
			return err
		}
	}
	_, err = io.ReadFull(m.library, m.raw)
	return err
}

// Read implements io.Reader with a frame, for the library.
func (m *mp3Decoder) Read(b []byte) (int, error) {
	if len(m.feed) == 0 {
		return 0, io.EOF
	}
	n := copy(b, m.feed)
	m.feed = m.feed[n:]
	return n, nil
}

// forget says that bytes are missing before the next frame.
func (m *mp3Decoder) forget() {
	m.library = nil
	m.reservoir, m.kept = m.reservoir[:0], 0
}

// plain returns the frame as it is, or without its sound if that is not complete.
func (m *mp3Decoder) plain(h mpegHeader, frame []byte) []byte {
	from, to := h.sideInfo()
	begin := int(frame[from])<<1 | int(frame[from+1])>>7
	if begin > m.kept {
		begin = min(m.kept, maxReservoir)
		m.frame = append(m.frame[:0], frame...)
		clear(m.frame[from:to])
		m.frame[from], m.frame[from+1] = byte(begin>>1), byte(begin<<7)
		frame = m.frame
	}
	m.kept = begin + len(frame) - to
	return frame
}

// whole returns a frame of a low rate that begins with the sound which the frame has in those before it. Without that
// sound, it is silent.
func (m *mp3Decoder) whole(h mpegHeader, frame []byte) []byte {
	from, to := h.sideInfo()
	begin, bits := int(frame[from]), 0
	for c := range h.channels() {
		const first, size = 8, 63 // bits of the channel's part; its first 12 are the length of its sound
		at := first + h.channels() + c*size
		for i := range 12 {
			bits += int(frame[from+(at+i)/8]>>(7-(at+i)%8)&1) << (11 - i)
		}
	}
	m.reservoir = append(m.reservoir, frame[to:]...)
	own := len(m.reservoir) - (len(frame) - to)
	sound := m.reservoir[max(own-begin, 0):]
	sound = sound[:min((bits+7)/8, len(sound))]

	const beforeRate = 0xFFFF0DFF // without bit rate and padding
	header, size := h&beforeRate|1<<16, 0
	for rate := mpegHeader(1); rate < 15 && size < 4+to-from+len(sound); rate++ {
		header = h&beforeRate | 1<<16 | rate<<12
		size = header.size()
	}
	m.frame = append(m.frame[:0], make([]byte, size)...)
	binary.BigEndian.PutUint32(m.frame, uint32(header))
	if side := m.frame[4:]; begin <= own && copy(side[to-from:], sound) == len(sound) {
		copy(side, frame[from:to])
		side[0] = 0
	}
	m.reservoir = append(m.reservoir[:0], m.reservoir[max(len(m.reservoir)-maxReservoirLow, 0):]...)
	return m.frame
}
