package audio

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// The WAV reader follows "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE), Microsoft's
// WAVEFORMATEXTENSIBLE, and EBU Tech 3306 (RF64). RIFX is RIFF with all numbers big endian. It trusts no size before
// the bytes have arrived.

// Format tags of a fmt chunk.
const (
	tagPCM        = 0x0001
	tagFloat      = 0x0003
	tagALaw       = 0x0006
	tagMuLaw      = 0x0007
	tagExtensible = 0xFFFE
)

// The last 14 bytes of sub-format GUIDs, after a format tag.
const (
	subFormatTail = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71"
	ambisonicTail = "\x00\x00\x21\x07\xD3\x11\x86\x44\xC8\xC1\xCA\x00\x00\x00" // of PCM and float
	passedTail    = "\x00\x00\xEA\x0C\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71" // IEC 61937
)

// riffChunk is the head of a chunk.
type riffChunk struct {
	id   string
	size int64 // as the file claims
}

// wavReader walks the chunks of a WAV file.
type wavReader struct {
	r         *bufio.Reader
	order     binary.ByteOrder
	seeker    io.ReadSeeker // what r reads, to skip faster; nil where that cannot seek
	format    Format        // Channels is 0 before the fmt chunk
	ambisonic bool          // the channels are ambisonic B-format: the first one is the sound from all directions
	dataSize  int64         // from the ds64 chunk, 0 without one
	fact      int64         // samples of a channel that the fact chunk claims, 0 without one
	packed    Encoding      // of samples of the stated bits, where frames are said to have more; 0: they have not
	gain      float32       // that samples in the lowest bytes need; 0: they lie in the highest ones
	note      string        // what is odd about the fmt chunk
}

// openWAV reads up to the samples of a WAV file.
func (d *Decoder) openWAV() error {
	w := wavReader{r: d.in}
	if err := w.begin(); err != nil {
		return err
	}
	empty := false
	for {
		c, err := w.chunk()
		if err == io.EOF && empty {
			return fmt.Errorf("%w: data chunk says 0 bytes", ErrEmpty)
		}
		if err != nil {
			return cutShort(err, "the chunks before its data")
		}
		if c.id != "data" {
			if err := w.pass(c); err != nil {
				return err
			}
			continue
		}
		if w.format.Channels == 0 {
			return refusal("no fmt chunk before the data chunk", "wav")
		}
		claimed := w.claim(c.size)
		if claimed < 0 && c.size == 0 { // a stream, or nothing
			next, err := w.r.Peek(lookAhead)
			if len(next) == 0 && err != io.EOF {
				return err
			}
			if empty = len(next) == 0 || beginsChunk(next, w.order); empty {
				continue
			}
		}
		w.pack(claimed)
		if d.file {
			w.settleOrder(claimed)
		}
		d.wav.begin(w, claimed)
		return d.begin(d.wav.file.format, &d.wav, "")
	}
}

// begin reads the head of the file.
func (w *wavReader) begin() error {
	var head [magicSize]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return cutShort(err, "its first 12 bytes")
	}
	if !isWAVE(head[:]) {
		return fmt.Errorf("%w: not a WAV file", ErrFormat)
	}
	w.format.Container = sniffed(head[:])
	w.order = orderOf(head[:])
	return nil
}

// orderOf returns the byte order of a file of which isWAVE is true.
func orderOf(magic []byte) binary.ByteOrder {
	if string(magic[:4]) == "RIFX" {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// chunk reads the head of the next chunk.
func (w *wavReader) chunk() (riffChunk, error) {
	var head [8]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return riffChunk{}, err
	}
	return riffChunk{string(head[:4]), int64(w.order.Uint32(head[4:]))}, nil
}

// pass reads a chunk that says how the samples are written, and skips any other.
func (w *wavReader) pass(c riffChunk) error {
	switch c.id {
	case "fmt ":
		return w.readFormat(c)
	case "ds64":
		return w.readSizes(c)
	case "fact":
		return w.readFact(c)
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
	if next, _ := w.r.Peek(4); !isKnownChunk(next) {
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
		w.dataSize = int64(min(w.order.Uint64(b[8:]), math.MaxInt64))
	}
	return err
}

// readFact reads the fact chunk.
func (w *wavReader) readFact(c riffChunk) error {
	if c.size < 4 {
		return w.skip(c, c.size)
	}
	b, err := w.body(c, make([]byte, 4), 4)
	if err == nil {
		w.fact = int64(w.order.Uint32(b))
	}
	return err
}

// claim returns how many bytes of samples a data chunk of the size claims, or -1 where its writer could not know: it
// wrote to a pipe and left 0, 0xFFFFFFFF (ffmpeg; also RF64 without its ds64), or about 2 GiB (0x7FFFF000 is sox's,
// 0x80000000 arecord's). The ds64 chunk counts first; it speaks of the first data chunk.
func (w *wavReader) claim(size int64) int64 {
	large := w.dataSize
	w.dataSize = 0
	switch {
	case large > 0 && large < math.MaxInt64:
		return large
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
