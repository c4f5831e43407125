package audio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// wavFormat is a fmt chunk: Microsoft's WAVEFORMAT (14 bytes), PCMWAVEFORMAT (16), WAVEFORMATEX (18 and more) or
// WAVEFORMATEXTENSIBLE (40). Of what follows the first 16 bytes, a codec's own fields and their size are not read.
type wavFormat struct {
	tag       uint16
	channels  int
	rate      int
	byteRate  int
	align     int // bytes of a frame
	bits      int // of a sample; 0 in WAVEFORMAT
	valid     int // of these, the significant ones
	ambisonic bool
}

// readFormat reads the fmt chunk.
func (w *wavReader) readFormat(c riffChunk) error {
	b, err := w.body(c, make([]byte, 40), 14)
	if err != nil {
		return err
	}
	order := w.order
	f := wavFormat{
		tag: order.Uint16(b), channels: int(order.Uint16(b[2:])), align: int(order.Uint16(b[12:])),
		rate: toInt(order.Uint32(b[4:])), byteRate: toInt(order.Uint32(b[8:])),
	}
	if len(b) >= 16 {
		f.bits = int(order.Uint16(b[14:]))
	}
	if f.tag == tagExtensible {
		if err := f.extend(b, order); err != nil {
			return err
		}
	}
	w.format.Channels, w.format.Rate, w.ambisonic = f.channels, f.rate, f.ambisonic
	if err := w.format.check(); err != nil {
		return err
	}
	if w.format.Encoding, err = f.encoding(); err != nil {
		return err
	}
	size := w.format.Encoding.Bytes()
	if w.packed = 0; f.tag == tagPCM && f.bits%8 == 0 && f.bits < 8*size {
		w.packed = encodingOf(f.tag, f.bits/8)
	}
	if order == binary.BigEndian {
		w.format.Encoding, w.packed = otherOrder(w.format.Encoding), otherOrder(w.packed)
	}
	w.format.Bits = 8 * size
	for _, bits := range []int{f.bits, f.valid} {
		if bits > 0 && size > 1 {
			w.format.Bits = min(w.format.Bits, bits)
		}
	}
	if f.align != f.channels*size {
		w.noteFrames(f.align)
	}
	return nil
}

// noteFrames notes that frames are not as large as the fmt chunk says.
func (w *wavReader) noteFrames(said int) {
	w.note = fmt.Sprintf("fmt chunk says %d-byte frames, %d channels of %v are %d bytes",
		said, w.format.Channels, w.format.Encoding, w.format.Channels*w.format.Encoding.Bytes())
}

// pack judges the next bytes, of claimed ones, where frames are said to be larger than the bits of their samples: these
// would lie in the highest bytes and leave the lowest ones 0. Where they do not, they may be packed, or lie in the
// lowest bytes.
func (w *wavReader) pack(claimed int64) {
	if w.packed == 0 {
		return
	}
	data, _ := w.r.Peek(readAhead)
	if claimed >= 0 && claimed < int64(len(data)) {
		data = data[:claimed]
	}
	size, small := w.format.Encoding.Bytes(), w.packed.Bytes()
	filled, extended := 0, 0
	for sample := range slices.Chunk(data[:len(data)/size*size], size) {
		sample = slices.Clone(sample)
		if w.order == binary.BigEndian {
			slices.Reverse(sample)
		}
		if sample[0] != 0 {
			filled++
		}
		top := sample[small:]
		if sign := top[0]; (sign == 0 || sign == 0xFF) && bytes.Count(top, top[:1]) == len(top) {
			extended++
		}
	}
	if 2*size*filled <= len(data) {
		return
	}
	next := func(e Encoding) float64 {
		samples := make([]float32, len(data)/e.Bytes())
		encodings[e].decode(samples, data)
		_, next := smooth(samples, w.format.Channels)
		return next
	}
	switch packed := next(w.packed); {
	case small == 2 && size*extended == len(data): // for 24 bits, screen finds out
		w.gain = float32(int(1) << (8 * (size - small)))
		w.addNote(fmt.Sprintf("the samples lie in the low %d of %d bits: read as such", 8*small, 8*size))
	case packed > 0.5 && packed > next(w.format.Encoding):
		said := w.format.Channels * size
		w.format.Encoding = w.packed
		w.noteFrames(said)
	}
}

// toInt returns a header's number, or the largest int where that has 32 bits and is smaller.
func toInt(n uint32) int { return int(min(int64(n), math.MaxInt)) }

// extend reads the extension of WAVEFORMATEXTENSIBLE: the significant bits, and the format tag.
func (f *wavFormat) extend(b []byte, order binary.ByteOrder) error {
	if len(b) < 40 {
		return fmt.Errorf("%w: extensible fmt chunk has %d bytes, needs 40", ErrCorrupt, len(b))
	}
	guid := b[24:40]
	f.valid, f.tag = int(order.Uint16(b[18:])), order.Uint16(guid)
	switch string(guid[2:]) {
	case subFormatTail:
		return nil
	case ambisonicTail:
		f.ambisonic = true
		return nil
	case passedTail:
		return refusal(fmt.Sprintf("a compressed S/PDIF stream (IEC 61937, 0x%04x) in a WAV file", f.tag), "wav")
	}
	return refusal(fmt.Sprintf("WAV sub-format {%08X-%04X-%04X-%X-%X}", binary.LittleEndian.Uint32(guid),
		binary.LittleEndian.Uint16(guid[4:]), binary.LittleEndian.Uint16(guid[6:]), guid[8:10], guid[10:]), "wav")
}

// encoding returns how the samples are written. Their size is what the frames' size says; integers of fewer bits lie
// in its highest ones. Where there is no such encoding, or where the byte rate agrees with the bits of a sample and not
// with the frames' size, it is what these bits say.
func (f *wavFormat) encoding() (Encoding, error) {
	rounded := (f.bits + 7) / 8
	size := 0
	if f.align%f.channels == 0 {
		size = f.align / f.channels
	}
	byBits := rounded > 0 && f.byteRate == f.rate*f.channels*rounded && f.byteRate != f.rate*f.align
	if e := encodingOf(f.tag, size); e != 0 && !byBits && (8*size >= f.bits || e == ALaw || e == MuLaw) {
		return e, nil
	}
	if e := encodingOf(f.tag, rounded); e != 0 && f.bits%8 == 0 {
		return e, nil
	}
	switch name := codecName(f.tag); {
	case name == "":
		return 0, refusal(fmt.Sprintf("WAV format tag 0x%04x", f.tag), "wav")
	case f.tag == tagPCM || f.tag == tagFloat || f.tag == tagALaw || f.tag == tagMuLaw:
		return 0, refusal(fmt.Sprintf("%d-bit %s in frames of %d bytes", f.bits, name, f.align), "wav")
	default:
		return 0, refusal(name+" in a WAV file", "wav")
	}
}

// encodingOf returns the encoding of samples of the format tag and size in bytes, 0 where there is none.
func encodingOf(tag uint16, size int) Encoding {
	for e := U8; e <= MuLaw; e++ {
		if encodings[e].tag == tag && e.Bytes() == size {
			return e
		}
	}
	return 0
}

// otherOrder returns the encoding with its bytes in the other order, e itself where there is none.
func otherOrder(e Encoding) Encoding {
	for little, big := range bigEndians {
		switch e {
		case little:
			return big
		case big:
			return little
		}
	}
	return e
}
