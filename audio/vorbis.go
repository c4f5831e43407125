package audio

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jfreymuth/vorbis"
)

const vorbisMagic = "\x01vorbis"

// vorbisCodec decodes Vorbis I with jfreymuth/vorbis, which allocates what headers claim and follows code trees for as
// long as they lead on: so headers are checked before.
type vorbisCodec struct {
	decoder vorbis.Decoder
	buffer  []float32
	headers int // that are still to come
	broken  error
}

// maxVorbisChannels is the largest number whose order Vorbis defines (4.3.9).
const maxVorbisChannels = 8

// openVorbis takes the first packet of an Ogg Vorbis stream.
func openVorbis(packet []byte) (oggCodec, Format, error) {
	const size = 30
	if len(packet) < size {
		return nil, Format{}, fmt.Errorf("%w: its Vorbis header has %d bytes, needs %d", ErrCorrupt, len(packet), size)
	}
	f := Format{
		Container: "ogg",
		Rate:      int(min(binary.LittleEndian.Uint32(packet[12:]), 1<<30)),
		Channels:  int(packet[11]),
		Frames:    -1,
	}
	if err := f.check(); err != nil {
		return nil, f, err
	}
	if f.Channels > maxVorbisChannels {
		return nil, f, refusal(fmt.Sprintf("Vorbis of %d channels", f.Channels), "ogg")
	}
	if short, long := packet[28]&15, packet[28]>>4; short < 6 || short > long || long > 13 {
		return nil, f, fmt.Errorf("%w: Vorbis blocks of 2^%d and 2^%d samples", ErrCorrupt, short, long)
	}
	c := &vorbisCodec{headers: 2}
	if err := c.decoder.ReadHeader(packet); err != nil {
		return nil, f, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	c.buffer = make([]float32, c.decoder.BufferSize())
	return c, f, nil
}

func (c *vorbisCodec) decode(dst []float32, packet []byte) ([]float32, error) {
	switch {
	case vorbis.IsHeader(packet) && c.headers > 0:
		c.headers--
		if packet[0] == 5 {
			c.broken = c.setUp(packet)
		}
		return dst, c.broken
	case c.broken != nil || !c.decoder.HeadersRead():
		return dst, errors.Join(c.broken, errors.New("the setup header is missing"))
	case len(packet) == 0:
		return dst, nil
	}
	samples, err := c.decoder.DecodeInto(packet, c.buffer)
	if err != nil {
		return dst, err
	}
	return append(dst, samples...), nil
}

func (c *vorbisCodec) setUp(packet []byte) error {
	if err := checkCodebooks(packet[7:]); err != nil {
		return err
	}
	return c.decoder.ReadHeader(packet)
}

func (c *vorbisCodec) gap() { c.decoder.Clear() }

func (c *vorbisCodec) preSkip() int64 { return 0 }

// Bounds of the codebooks, some times those of libvorbis.
const (
	maxVorbisEntries    = 1 << 15 // of a book
	maxVorbisDimensions = 64
	maxVorbisValues     = 1 << 21 // of all books
)

var errCodebook = errors.New("a codebook is damaged or too large")

// checkCodebooks checks the codebooks in a setup header (Vorbis I, 3.2.1): their sizes, and that every sequence of bits
// leads to an entry.
func checkCodebooks(setup []byte) error {
	r := &vorbisBits{data: setup}
	values := 0
	for range r.read(8) + 1 {
		if r.read(24) != 0x564342 {
			return errCodebook
		}
		dimensions, entries := r.read(16), r.read(24)
		if values += entries * dimensions; entries < 1 || entries > maxVorbisEntries || dimensions < 1 ||
			dimensions > maxVorbisDimensions || values > maxVorbisValues || !r.tree(entries) {
			return errCodebook
		}
		switch lookup := r.read(4); lookup {
		case 0:
		case 1, 2:
			r.read(32)
			r.read(32)
			size := r.read(4) + 1
			r.read(1)
			count := entries * dimensions
			if lookup == 1 {
				count = wholeRoot(entries, dimensions)
			}
			r.skip(size * count)
		default:
			return errCodebook
		}
		if r.at > 8*len(setup) {
			return errCodebook
		}
	}
	return nil
}

// wholeRoot returns the largest number whose power is at most n.
func wholeRoot(n, power int) int {
	for root := 1; ; root++ {
		product := 1
		for range power {
			if product *= root + 1; product > n {
				return root
			}
		}
	}
}

// vorbisBits reads numbers of bits, lowest first; zeros after the end.
type vorbisBits struct {
	data []byte
	at   int // bits
}

func (r *vorbisBits) read(bits int) (v int) {
	for i := range bits {
		if r.at < 8*len(r.data) {
			v |= int(r.data[r.at/8]>>(r.at%8)&1) << i
		}
		r.at++
	}
	return v
}

func (r *vorbisBits) skip(bits int) { r.at += bits }

// tree reads the lengths of so many code words, and reports whether these make a tree without gaps.
func (r *vorbisBits) tree(entries int) bool {
	const whole = 1 << 32
	sum := uint64(0) // of the shares of all sequences that code words have
	if r.read(1) == 0 {
		sparse := r.read(1) == 1
		for range entries {
			if !sparse || r.read(1) == 1 {
				sum += whole >> (r.read(5) + 1)
			}
		}
		return sum == whole
	}
	length := r.read(5) + 1
	for done := 0; done < entries; length++ {
		bits := 0
		for rest := entries - done; rest > 0; rest >>= 1 {
			bits++
		}
		n := r.read(bits)
		if done += n; done > entries || length > 32 {
			return false
		}
		sum += uint64(n) * (whole >> length)
	}
	return sum == whole
}
