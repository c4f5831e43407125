package audio

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
)

// The AIFF reader follows Apple's "Audio Interchange File Format" 1.3 and AIFF-C (draft of 1991). It hands the samples
// to the reader of WAV, whose chunks have the other byte order only. (go-audio/aiff reads no floats, no G.711 and no
// pipes, and allocates what sizes claim.)

// aifcEncodings are the encodings of AIFC compression types that have no bits of their own.
var aifcEncodings = map[string]Encoding{
	"fl32": F32BE, "fl64": F64BE, "alaw": ALaw, "ulaw": MuLaw, "in24": S24BE, "in32": S32BE, "raw ": U8,
	"42ni": S24LE, "23ni": S32LE,
}

// aifcNames are the names of compression types that are not read.
var aifcNames = map[string]string{
	"ima4": "IMA ADPCM", "mac3": "MACE 3:1", "mac6": "MACE 6:1", "gsm ": "GSM 6.10", "qdm2": "QDesign Music",
	"qclp": "Qualcomm PureVoice", "g722": "G.722", "g726": "G.726 ADPCM", "dwvw": "DWVW", "alac": "ALAC",
}

// isAIFF reports whether the bytes begin an AIFF or AIFC file.
func isAIFF(magic []byte) bool {
	return len(magic) >= 12 && string(magic[:4]) == "FORM" && strings.HasPrefix(string(magic[8:12]), "AIF")
}

// openAIFF reads up to the samples of an AIFF file.
func (d *Decoder) openAIFF() error {
	magic, _ := d.in.Peek(magicSize)
	compressed := string(magic[8:]) != "AIFF"
	d.in.Discard(magicSize)
	w := wavReader{r: d.in, order: binary.BigEndian}
	for {
		c, err := w.chunk()
		if err != nil {
			return cutShort(err, "the chunks before its sound")
		}
		rest := c.size
		switch c.id {
		case "COMM":
			body := make([]byte, min(c.size, 22))
			if _, err := io.ReadFull(d.in, body); err != nil {
				return cutShort(err, "its COMM chunk")
			}
			if w.format, err = aiffFormat(body, compressed); err != nil {
				return err
			}
			rest -= int64(len(body))
		case "SSND":
			if w.format.Channels == 0 {
				return refusal("AIFF with its sound before its COMM chunk", "aiff")
			}
			return d.beginAIFF(w, c.size)
		}
		if err := w.skip(c, rest); err != nil {
			return err
		}
	}
}

// beginAIFF begins the samples in an SSND chunk: an offset, the size of blocks, samples.
func (d *Decoder) beginAIFF(w wavReader, size int64) error {
	format := &w.format
	var head [8]byte
	if _, err := io.ReadFull(d.in, head[:]); err != nil {
		return cutShort(err, "its SSND chunk")
	}
	offset := int64(binary.BigEndian.Uint32(head[:]))
	if _, err := io.CopyN(io.Discard, d.in, offset); err != nil {
		return cutShort(err, fmt.Sprintf("its SSND chunk, which has samples after %d bytes", offset))
	}
	claimed := size - 8 - offset
	frameSize := int64(format.Channels * format.Encoding.Bytes())
	said := format.Frames * frameSize
	switch {
	case size == 0 || size >= math.MaxInt32-1<<12: // written to a pipe
		claimed = -1
	case claimed < 0:
		return fmt.Errorf("%w: its SSND chunk has %d bytes and samples after %d", ErrCorrupt, size, offset)
	case said < claimed && claimed-said < max(frameSize, int64(binary.BigEndian.Uint32(head[4:]))):
		return d.beginPCM(*format, said, "") // the rest fills a block
	case said != claimed:
		w.note = fmt.Sprintf("COMM chunk says %d frames, SSND chunk holds %d", format.Frames, claimed/frameSize)
	}
	if d.file {
		w.settleOrder(claimed)
	}
	d.wav.begin(w, claimed)
	return d.begin(d.wav.file.format, &d.wav, "")
}

// aiffFormat returns what a COMM chunk says: channels, frames, bits, rate and in AIFC a compression type. Frames are
// what it claims. A plain AIFF file has no compression type.
func aiffFormat(b []byte, compressed bool) (Format, error) {
	if len(b) < 18 {
		return Format{}, fmt.Errorf("%w: its COMM chunk has %d bytes, needs 18", ErrCorrupt, len(b))
	}
	f := Format{
		Container: "aiff",
		Channels:  int(binary.BigEndian.Uint16(b)),
		Frames:    int64(binary.BigEndian.Uint32(b[2:])),
		Bits:      int(binary.BigEndian.Uint16(b[6:])),
		Rate:      int(extended(b[8:18])),
	}
	kind := "none"
	if compressed && len(b) >= 22 {
		kind = strings.ToLower(string(b[18:22]))
	}
	switch e := aifcEncodings[kind]; {
	case e != 0:
		f.Encoding, f.Bits = e, 8*e.Bytes()
	case f.Bits < 1 || f.Bits > 32:
		return Format{}, refusal(fmt.Sprintf("%d-bit AIFF", f.Bits), "aiff")
	case kind == "none" || kind == "twos":
		f.Encoding = [...]Encoding{S8, S16BE, S24BE, S32BE}[(f.Bits-1)/8]
	case kind == "sowt":
		f.Encoding = [...]Encoding{S8, S16LE, S24LE, S32LE}[(f.Bits-1)/8]
	default:
		name := aifcNames[kind]
		if name == "" {
			name = fmt.Sprintf("compression type %q", kind)
		}
		return Format{}, refusal(name+" in an AIFC file", "aiff")
	}
	return f, f.check()
}

// extended returns the value of an 80-bit float (IEEE 754 extended, big endian), rounded; 0 for what is no rate.
func extended(b []byte) float64 {
	exponent := int(binary.BigEndian.Uint16(b)) - 16383
	if exponent < 0 || exponent > 31 {
		return 0
	}
	return math.Round(math.Ldexp(float64(binary.BigEndian.Uint64(b[2:])), exponent-63))
}
