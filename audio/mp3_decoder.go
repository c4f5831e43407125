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
// lost are made silent, since the library would decode others. Of frames at 22.05 kHz, the library mistakes the size of
// some that are padded. From the first of these on, it gets frames that have what they need in themselves; where that
// is more than a frame can have, which happens at 80 kbit/s and more, the frame is made silent, too.
type mp3Decoder struct {
	library   *mp3.Decoder
	mistaken  bool   // the library has met a frame whose size it mistakes
	tooLarge  bool   // the frame needs more than it can have in itself
	feed      []byte // the frame that it reads
	reservoir []byte // the latest bytes of sound that frames had
	sound     []byte // of a frame
	kept      int    // of these, how many the library has
	raw       []byte
	frame     []byte
	samples   []float32
}

// maxReservoirLow is the size of the bit reservoir at low rates, where 8 bits count it.
const maxReservoirLow = 255

var (
	errMP3Library = errors.New("MP3 frame that is damaged")
	errTooLarge   = errors.New("MP3 frame that the library cannot be given")
)

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
	if m.tooLarge {
		return m.samples, errTooLarge
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
	if m.mistaken = m.mistaken || h.mistaken(); m.mistaken {
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
	begin := int(frame[from])
	if !h.low() { // 9 bits
		begin = begin<<1 | int(frame[from+1])>>7
	}
	if begin > m.kept {
		m.frame = append(m.frame[:0], frame...)
		clear(m.frame[from:to])
		if begin = min(m.kept, maxReservoirLow); h.low() {
			m.frame[from] = byte(begin)
		} else {
			m.frame[from], m.frame[from+1] = byte(begin>>1), byte(begin<<7)
		}
		frame = m.frame
	}
	m.kept = begin + len(frame) - to
	m.keep(frame[to:])
	return frame
}

// keep adds to the bytes of sound that are kept for the frames that follow.
func (m *mp3Decoder) keep(sound []byte) {
	m.reservoir = append(m.reservoir, sound...)
	m.reservoir = append(m.reservoir[:0], m.reservoir[max(len(m.reservoir)-maxReservoirLow, 0):]...)
}

// whole returns a frame of a low rate that begins with the sound which the frame has in those before it. Without that
// sound, or with too much of it, it is silent.
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
	earlier := m.reservoir[max(len(m.reservoir)-begin, 0):]
	sound := append(append(m.sound[:0], earlier...), frame[to:]...)
	complete := begin <= len(m.reservoir)
	m.sound, sound = sound, sound[:min((bits+7)/8, len(sound))]
	m.keep(frame[to:])

	const beforeRate = 0xFFFF0DFF // without bit rate and padding
	header, size := h&beforeRate|1<<16, 0
	for rate := mpegHeader(1); rate < 15 && size < 4+to-from+len(sound); rate++ {
		header = h&beforeRate | 1<<16 | rate<<12
		size = header.size()
	}
	m.frame = append(m.frame[:0], make([]byte, size)...)
	binary.BigEndian.PutUint32(m.frame, uint32(header))
	side := m.frame[4:]
	if m.tooLarge = complete && size < 4+to-from+len(sound); complete && !m.tooLarge {
		copy(side[to-from:], sound)
		copy(side, frame[from:to])
		side[0] = 0
	}
	return m.frame
}

// mistaken reports whether the library takes the frame for one byte shorter than it is.
func (h mpegHeader) mistaken() bool {
	padded := h>>9&1 == 1
	return h.low() && padded && 144*1000*mp3Kilobits[1][h>>12&15]/h.rate()%2 == 0
}
