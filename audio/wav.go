package audio

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

// The WAV reader follows "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE), Microsoft's
// WAVEFORMATEXTENSIBLE, and EBU Tech 3306 (RF64). It trusts no size before the bytes have arrived.

// Format tags of a fmt chunk.
const (
	tagPCM        = 0x0001
	tagFloat      = 0x0003
	tagALaw       = 0x0006
	tagMuLaw      = 0x0007
	tagExtensible = 0xFFFE
)

// tagNames are the names of format tags. Of PCM, float and G.711, some sample sizes are read; of the others, none.
var tagNames = map[uint16]string{
	tagPCM: "PCM", tagFloat: "float", tagALaw: "A-law", tagMuLaw: "µ-law",
	0x0002: "Microsoft ADPCM", 0x0011: "IMA ADPCM", 0x0031: "GSM 6.10", 0x0045: "G.726 ADPCM", 0x0050: "MPEG audio",
	0x0055: "MP3", 0x0092: "AC-3", 0x00FF: "AAC", 0x0161: "Windows Media Audio", 0x674F: "Vorbis",
}

// subFormatTail are the last 14 bytes of every sub-format GUID that stands for a format tag.
const subFormatTail = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71"

// knownChunks are ids by which a chunk is recognised where it should not begin.
var knownChunks = []string{
	"fmt ", "data", "LIST", "fact", "bext", "cue ", "smpl", "id3 ", "ID3 ", "PEAK", "iXML", "JUNK",
}

// riffChunk is the head of a chunk.
type riffChunk struct {
	id   string
	size int64 // as the file claims
}

// wavReader walks the chunks of a WAV file.
type wavReader struct {
	r        *bufio.Reader
	seeker   io.ReadSeeker // what r reads, to skip faster; nil where that cannot seek
	format   Format        // Channels is 0 before the fmt chunk
	dataSize int64         // from the ds64 chunk, 0 without one
	note     string
}

// openWAV reads up to the samples of a WAV file.
func (d *Decoder) openWAV() error {
	w := wavReader{r: d.in}
	if err := w.begin(); err != nil {
		return err
	}
	for {
		c, err := w.chunk()
		if err != nil {
			return cutShort(err, "the chunks before its data")
		}
		if c.id == "data" {
			claimed, err := w.data(c)
			if err != nil {
				return err
			}
			return d.beginPCM(w.format, claimed, w.note)
		}
		if err := w.pass(c); err != nil {
			return err
		}
	}
}

// begin reads the head of the file.
func (w *wavReader) begin() error {
	var head [magicSize]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return cutShort(err, "its first 12 bytes")
	}
	var err error
	if w.format.Container, err = Sniff(head[:]); err == nil && !isWAVE(head[:]) {
		err = fmt.Errorf("%w: not a WAV file", ErrFormat)
	}
	return err
}

// chunk reads the head of the next chunk.
func (w *wavReader) chunk() (riffChunk, error) {
	var head [8]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return riffChunk{}, err
	}
	return riffChunk{string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))}, nil
}

// pass reads a chunk that says how the samples are written, and skips any other.
func (w *wavReader) pass(c riffChunk) error {
	switch c.id {
	case "fmt ":
		return w.readFormat(c)
	case "ds64":
		return w.readSizes(c)
	}
	return w.skip(c, c.size)
}

// skip passes over the rest of a chunk and its padding.
func (w *wavReader) skip(c riffChunk, rest int64) error {
	var err error
	if beyond := rest - int64(w.r.Buffered()); w.seeker != nil && beyond > 0 {
		_, err = w.seeker.Seek(beyond, io.SeekCurrent)
		w.r.Reset(w.seeker)
	} else {
		_, err = io.CopyN(io.Discard, w.r, rest)
	}
	if err != nil {
		return cutShort(err, fmt.Sprintf("its %q chunk, which says %d bytes", c.id, c.size))
	}
	if c.size%2 == 0 {
		return nil
	}
	// Chunks begin at even offsets, but some writers do not pad.
	if next, _ := w.r.Peek(4); !slices.Contains(knownChunks, string(next)) {
		w.r.Discard(1)
	}
	return nil
}

// body reads the first len(b) bytes of a chunk, which must have at least min of them, and skips the rest.
func (w *wavReader) body(c riffChunk, b []byte, min int64) ([]byte, error) {
	if c.size < min {
		return nil, fmt.Errorf("%w: its %q chunk has %d bytes, needs %d", ErrCorrupt, c.id, c.size, min)
	}
	if c.size < int64(len(b)) {
		b = b[:c.size]
	}
	if _, err := io.ReadFull(w.r, b); err != nil {
		return nil, cutShort(err, fmt.Sprintf("its %q chunk", c.id))
	}
	return b, w.skip(c, c.size-int64(len(b)))
}

// readSizes reads the ds64 chunk: 64-bit sizes of the file and its data.
func (w *wavReader) readSizes(c riffChunk) error {
	b, err := w.body(c, make([]byte, 16), 16)
	if err == nil {
		w.dataSize = int64(min(binary.LittleEndian.Uint64(b[8:]), math.MaxInt64))
	}
	return err
}

// readFormat reads the fmt chunk.
func (w *wavReader) readFormat(c riffChunk) error {
	b, err := w.body(c, make([]byte, 40), 16)
	if err != nil {
		return err
	}
	tag := binary.LittleEndian.Uint16(b)
	w.format.Channels = int(binary.LittleEndian.Uint16(b[2:]))
	w.format.Rate = int(binary.LittleEndian.Uint32(b[4:]))
	align := int(binary.LittleEndian.Uint16(b[12:]))
	bits := int(binary.LittleEndian.Uint16(b[14:]))
	w.format.Bits = bits
	if tag == tagExtensible {
		if tag, err = w.readExtension(b); err != nil {
			return err
		}
	}
	if err := w.format.check(); err != nil {
		return err
	}
	if tag == tagPCM && bits == 24 && align == 4*w.format.Channels {
		bits = 32 // 24 bits, left-justified as PCM is, in containers of 32
	}
	if w.format.Encoding, err = wavEncoding(tag, bits); err != nil {
		return err
	}
	if need := w.format.Channels * w.format.Encoding.Bytes(); align != need {
		w.note = fmt.Sprintf("fmt chunk says %d-byte frames, %d channels of %v are %d bytes",
			align, w.format.Channels, w.format.Encoding, need)
	}
	return nil
}

// readExtension returns the format tag of a WAVE_FORMAT_EXTENSIBLE chunk and sets the significant bits of a sample.
func (w *wavReader) readExtension(b []byte) (tag uint16, err error) {
	if len(b) < 40 {
		return 0, fmt.Errorf("%w: extensible fmt chunk has %d bytes, needs 40", ErrCorrupt, len(b))
	}
	guid := b[24:40]
	if string(guid[2:]) != subFormatTail {
		return 0, fmt.Errorf("%w: WAV sub-format %x", ErrFormat, guid)
	}
	if valid := int(binary.LittleEndian.Uint16(b[18:])); valid > 0 {
		w.format.Bits = min(w.format.Bits, valid)
	}
	return binary.LittleEndian.Uint16(guid), nil
}

// wavEncoding returns the encoding of samples of the format tag in containers of so many bits.
func wavEncoding(tag uint16, bits int) (Encoding, error) {
	for e := U8; e <= MuLaw; e++ {
		if encodings[e].tag == tag && 8*e.Bytes() == bits {
			return e, nil
		}
	}
	switch name := tagNames[tag]; {
	case name == "":
		return 0, fmt.Errorf("%w: WAV format tag 0x%04x", ErrFormat, tag)
	case slices.ContainsFunc(encodings[U8:], func(e encoding) bool { return e.tag == tag }):
		return 0, fmt.Errorf("%w: %d-bit %s", ErrFormat, bits, name)
	default:
		return 0, fmt.Errorf("%w: %s in a WAV file", ErrFormat, name)
	}
}

// data returns how many bytes of samples a data chunk claims, -1 where it does not say, and sets the format's frames.
func (w *wavReader) data(c riffChunk) (claimed int64, err error) {
	if w.format.Channels == 0 {
		return 0, fmt.Errorf("%w: no fmt chunk before the data chunk", ErrFormat)
	}
	if c.size == 0 {
		if next, err := w.r.Peek(4); len(next) == 0 && err != io.EOF {
			return 0, err
		} else if len(next) == 0 || slices.Contains(knownChunks, string(next)) {
			return 0, fmt.Errorf("%w: data chunk says 0 bytes", ErrEmpty)
		}
	}
	w.format.Frames = -1
	if claimed = w.claim(c.size); claimed >= 0 {
		w.format.Frames = claimed / int64(w.format.Channels*w.format.Encoding.Bytes())
	}
	return claimed, nil
}

// claim returns how many bytes of samples a data chunk of the size claims, or -1 where its writer could not know: it
// wrote to a pipe and left 0, 0xFFFFFFFF (ffmpeg; also RF64 without its ds64), or about 2 GiB (0x7FFFF000 is sox's,
// 0x80000000 arecord's).
func (w *wavReader) claim(size int64) int64 {
	switch {
	case size == math.MaxUint32 && w.dataSize > 0 && w.dataSize < math.MaxInt64:
		return w.dataSize
	case size == 0, size >= 0x7FFFF000 && size <= 0x80000000, size >= 0xFFFFF000:
		return -1
	}
	return size
}

// cutShort says where a file ended too early; errors other than an end pass through.
func cutShort(err error, where string) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: ends inside %s", ErrCorrupt, where)
	}
	return err
}
