package audio

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mewkiz/flac/frame"
)

// streamInfoSize is the fixed size in bytes of a STREAMINFO block (RFC 9639, 8.2).
const streamInfoSize = 34

// maxFLACBits is the widest sample that the library's 32-bit arithmetic holds with the extra bit of a side channel.
const maxFLACBits = 31

// flacBlocks reads FLAC frames with mewkiz/flac. A frame has at most 65535 samples of 8 channels, so its memory is
// bounded. The library writes a line to the standard logger for each frame of 24 or 176.4 kHz, which a program that has
// no other use for the logger may silence.
//
// Frames are what counts: of STREAMINFO, only the rate, the channels and the bits are believed. What is no frame is
// skipped up to the next one, and silence takes the place of the frames that are missing according to the numbers of
// those around them.
type flacBlocks struct {
	in      *rewinder
	format  Format
	decoded int64     // samples of a channel so far, silence included
	samples []float32 // of the frame that comes next, after the silence
	silence int64     // samples that are still to be delivered
	zeros   []float32
	block   int64 // size of the blocks where it is fixed, 0 before it is known
	number  int64 // of the sample that the next frame should begin with
	gap     flacGap
	damage  damage
	notes   []string
}

// flacGap is a stretch of input without frames.
type flacGap struct {
	bytes int64
	start []byte // up to 12 bytes
	why   error  // the first of them are no frame
}

// openFLAC reads up to the samples of a stream whose first bytes are "fLaC", in a container.
func (d *Decoder) openFLAC(in *bufio.Reader, container, note string) error {
	var head [8 + streamInfoSize]byte
	if n, err := io.ReadFull(in, head[:]); err != nil {
		return cutShort(err, fmt.Sprintf("its metadata, after %d bytes", n))
	}
	kind, size := head[4]&0x7F, int(binary.BigEndian.Uint32(head[4:])&0xFFFFFF)
	if kind != 0 || size != streamInfoSize {
		return fmt.Errorf("%w: FLAC begins with a metadata block of type %d and %d bytes, not with STREAMINFO",
			ErrCorrupt, kind, size)
	}
	info := binary.BigEndian.Uint64(head[18:]) // 20 bits of rate, 3 of channels, 5 of bits, 36 of samples
	format := Format{
		Container: container,
		Rate:      int(info >> 44),
		Channels:  int(info>>41&7) + 1,
		Bits:      int(info>>36&31) + 1,
		Frames:    int64(info & (1<<36 - 1)),
	}
	if format.Frames == 0 {
		format.Frames = -1
	}
	if format.Rate == 0 {
		return fmt.Errorf("%w: FLAC: invalid sample rate 0", ErrCorrupt)
	}
	if err := format.check(); err != nil {
		return err
	}
	if format.Bits > maxFLACBits {
		return refusal(fmt.Sprintf("%d-bit FLAC", format.Bits), "flac")
	}
	if err := skipMetadata(in, head[4]&0x80 != 0); err != nil {
		return cutShort(err, "its metadata")
	}
	return d.begin(format, &flacBlocks{in: newRewinder(in), format: format}, note)
}

// skipMetadata skips the FLAC metadata blocks after the first one, which may be the last. A frame ends them, too.
func skipMetadata(in *bufio.Reader, last bool) error {
	for !last {
		head, err := in.Peek(4)
		if err != nil {
			return err
		}
		if head[0] == 0xFF {
			return nil
		}
		last = head[0]&0x80 != 0
		size := int(binary.BigEndian.Uint32(head) & 0xFFFFFF)
		if _, err := in.Discard(4 + size); err != nil {
			return err
		}
	}
	return nil
}

// next implements blocks with the samples of one frame, or with silence in the place of missing ones.
func (f *flacBlocks) next() ([]float32, error) {
	for f.silence == 0 && len(f.samples) == 0 {
		f.in.mark()
		fr, err := f.frame()
		if err == nil {
			f.arrived(fr)
			break
		}
		if f.in.failure != nil {
			return nil, f.in.failure
		}
		if ended := err == io.EOF; ended || !f.skip(err) {
			return nil, f.end(ended)
		}
	}
	if f.silence > 0 {
		n := min(f.silence, blockSamples)
		f.silence -= n
		f.zeros = slices.Grow(f.zeros[:0], int(n)*f.format.Channels)[:int(n)*f.format.Channels]
		clear(f.zeros)
		return f.zeros, nil
	}
	samples := f.samples
	f.samples = f.samples[:0]
	return samples, nil
}

// arrived takes a frame, whose samples are in f.samples.
func (f *flacBlocks) arrived(fr *frame.Frame) {
	first := int64(fr.Num)
	if fr.HasFixedBlockSize {
		if f.block == 0 {
			f.block = int64(fr.BlockSize)
		}
		first *= f.block
	}
	if f.gap.bytes > 0 {
		const smallest = 10 // bytes of a frame
		missing := first - f.number
		if missing < 0 || missing/(1<<16) > f.gap.bytes/smallest || bytes.HasPrefix(f.gap.start, []byte("fLaC")) {
			missing = 0
		}
		if bytes.HasPrefix(f.gap.start, []byte("fLaC")) {
			f.notes = append(f.notes, "another FLAC stream follows at "+place(f.decoded, f.format.Rate))
		} else {
			f.damage.add(f.decoded, missing)
		}
		f.silence = missing
		f.decoded += missing
		f.gap = flacGap{}
	}
	f.number = first + int64(fr.BlockSize)
	f.decoded += int64(fr.BlockSize)
}

// skip goes to what may be the next frame. It returns false when the input holds too much that may be a frame and is
// none, which would take its time.
func (f *flacBlocks) skip(why error) bool {
	affordable := f.in.rewind()
	if f.gap.bytes == 0 {
		f.gap.why = why
		f.gap.start = append(f.gap.start, f.in.peek(12)...)
	}
	if !affordable {
		return false
	}
	f.gap.bytes += f.in.skipTo(func(b []byte) bool { return b[0] == 0xFF && b[1]&0xFE == 0xF8 })
	return true
}

// tails are what may follow the last frame of a sound file and is no damage.
var tails = []string{"TAG", "APETAGEX", "ID3", "LYRICSBEGIN", "\x00\x00\x00\x00"}

// isTail reports whether the bytes begin what may follow the last frame of a sound file and is no damage.
func isTail(start []byte) bool {
	return slices.ContainsFunc(tails, func(tail string) bool { return bytes.HasPrefix(start, []byte(tail)) })
}

// end notes what is odd about the end of the sound and returns the error that ends it.
func (f *flacBlocks) end(ended bool) error {
	total, why := f.format.Frames, f.gap.why
	if f.decoded == 0 && why != nil && why != io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: FLAC: %w", ErrCorrupt, why)
	}
	switch {
	case f.gap.bytes == 0 && ended, f.decoded == total, isTail(f.gap.start) && ended:
	default:
		f.notes = append(f.notes, fmt.Sprintf("the frame at %s is damaged or cut short, and none follows",
			place(f.decoded, f.format.Rate)))
	}
	switch {
	case total > f.decoded:
		f.notes = append(f.notes, fmt.Sprintf("header says %d samples, file ends after %d", total, f.decoded))
	case total > 0 && total < f.decoded:
		f.notes = append(f.notes, fmt.Sprintf("header says %d samples, %d follow it", total, f.decoded))
	}
	return io.EOF
}

func (f *flacBlocks) warning() string { return joinNotes(f.damage.note(f.format.Rate), f.notes) }

// frame decodes the next frame into f.samples, interleaved. The library's panics become errors.
func (f *flacBlocks) frame() (fr *frame.Frame, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	if fr, err = frame.New(f.in); err != nil {
		return nil, err
	}
	if fr.BitsPerSample == 0 { // "as in STREAMINFO", which the library leaves to its caller
		fr.BitsPerSample = uint8(f.format.Bits)
	}
	channels := f.format.Channels
	switch {
	case fr.BlockSize == 0:
		return nil, errors.New("a frame of 65536 samples")
	case int(fr.BitsPerSample) != f.format.Bits:
		return nil, fmt.Errorf("a %d-bit frame in a %d-bit stream", fr.BitsPerSample, f.format.Bits)
	case fr.Channels.Count() != channels:
		return nil, fmt.Errorf("a frame of %d channels in a stream of %d", fr.Channels.Count(), channels)
	case fr.SampleRate != 0 && int(fr.SampleRate) != f.format.Rate:
		return nil, fmt.Errorf("a frame of %d Hz in a stream of %d Hz", fr.SampleRate, f.format.Rate)
	}
	f.in.charge(4 * channels * int(fr.BlockSize))
	if err := fr.Parse(); err != nil {
		return nil, err
	}
	n := channels * int(fr.BlockSize)
	f.samples = slices.Grow(f.samples[:0], n)[:n]
	scale := 1 / float32(int64(1)<<(f.format.Bits-1))
	for c, channel := range fr.Subframes {
		for i, v := range channel.Samples {
			f.samples[i*channels+c] = float32(v) * scale
		}
	}
	return fr, nil
}
