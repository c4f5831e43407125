package audio

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mewkiz/flac"
)

// streamInfoSize is the fixed size in bytes of a STREAMINFO block (RFC 9639, 8.2).
const streamInfoSize = 34

// maxFLACBits is the widest sample that the library's 32-bit arithmetic holds with the extra bit of a side channel.
const maxFLACBits = 31

// flacBlocks reads FLAC frames with mewkiz/flac. A frame has at most 65535 samples of 8 channels, so its memory is
// bounded; metadata other than STREAMINFO is skipped by reading. The library writes a line to the standard logger for
// each frame of 24 or 176.4 kHz, which a program that has no other use for the logger may silence.
type flacBlocks struct {
	input   io.Reader
	failure error // of input, other than io.EOF
	stream  *flac.Stream
	decoded uint64 // samples of a channel so far
	samples []float32
	note    string
}

// openFLAC reads up to the samples of a stream whose first bytes are "fLaC".
func (d *Decoder) openFLAC() error {
	head, err := d.in.Peek(8)
	if err != nil {
		return cutShort(err, "its first 8 bytes")
	}
	if kind, size := head[4]&0x7F, int(head[5])<<16|int(head[6])<<8|int(head[7]); kind != 0 || size != streamInfoSize {
		return fmt.Errorf("%w: FLAC begins with a metadata block of type %d and %d bytes, not with STREAMINFO",
			ErrCorrupt, kind, size)
	}
	f := &flacBlocks{input: d.in}
	err = f.guard(func() (err error) {
		f.stream, err = flac.New(f)
		return err
	})
	if err != nil {
		return cutShort(err, "its metadata")
	}
	info := f.stream.Info
	format := Format{
		Container: "flac",
		Rate:      int(info.SampleRate),
		Channels:  int(info.NChannels),
		Bits:      int(info.BitsPerSample),
		Frames:    int64(info.NSamples),
	}
	if format.Frames == 0 {
		format.Frames = -1
	}
	if err := format.check(); err != nil {
		return err
	}
	if format.Bits > maxFLACBits {
		return refusal(fmt.Sprintf("%d-bit FLAC", format.Bits), "flac")
	}
	return d.begin(format, f, "")
}

// next implements blocks with the samples of one frame.
func (f *flacBlocks) next() ([]float32, error) {
	info := f.stream.Info
	if info.NSamples > 0 && f.decoded >= info.NSamples {
		return nil, io.EOF // what follows, such as an ID3v1 tag, is not sound
	}
	err := f.guard(f.frame)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		if info.NSamples > 0 {
			f.note = fmt.Sprintf("header says %d samples, file ends after %d", info.NSamples, f.decoded)
		} else if err == io.ErrUnexpectedEOF {
			f.note = fmt.Sprintf("file ends inside the frame after sample %d", f.decoded)
		}
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	if info.NSamples > 0 {
		left := (info.NSamples - f.decoded) * uint64(info.NChannels)
		f.samples = f.samples[:min(uint64(len(f.samples)), left)]
	}
	f.decoded += uint64(len(f.samples)) / uint64(info.NChannels)
	return f.samples, nil
}

func (f *flacBlocks) warning() string { return f.note }

// frame decodes the next frame into f.samples, interleaved.
func (f *flacBlocks) frame() error {
	frame, err := f.stream.Next()
	if err != nil {
		return err
	}
	info := f.stream.Info
	if frame.BitsPerSample == 0 { // "as in STREAMINFO", which the library leaves to its caller
		frame.BitsPerSample = info.BitsPerSample
	}
	switch {
	case frame.BlockSize == 0:
		return errors.New("a frame of 65536 samples")
	case frame.BitsPerSample != info.BitsPerSample:
		return fmt.Errorf("a %d-bit frame in a %d-bit stream", frame.BitsPerSample, info.BitsPerSample)
	case frame.Channels.Count() != int(info.NChannels):
		return fmt.Errorf("a frame of %d channels in a stream of %d", frame.Channels.Count(), info.NChannels)
	case frame.SampleRate != 0 && frame.SampleRate != info.SampleRate:
		return fmt.Errorf("a frame of %d Hz in a stream of %d Hz", frame.SampleRate, info.SampleRate)
	}
	if err := frame.Parse(); err != nil {
		return err
	}
	channels := len(frame.Subframes)
	n := int(frame.BlockSize) * channels
	f.samples = slices.Grow(f.samples[:0], n)[:n]
	scale := 1 / float32(int64(1)<<(info.BitsPerSample-1))
	for c, channel := range frame.Subframes {
		for i, v := range channel.Samples {
			f.samples[i*channels+c] = float32(v) * scale
		}
	}
	return nil
}

// Read implements io.Reader for the library. It keeps the input's error apart from those that the library returns.
func (f *flacBlocks) Read(b []byte) (int, error) {
	n, err := f.input.Read(b)
	if err != io.EOF {
		f.failure = err
	}
	return n, err
}

// guard runs a call of the library. The library's errors and panics become ErrCorrupt; an end of the input and the
// input's own errors stay what they are.
func (f *flacBlocks) guard(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: FLAC: %v", ErrCorrupt, p)
		}
	}()
	err = call()
	switch {
	case err == nil, err == io.EOF, err == io.ErrUnexpectedEOF:
		return err
	case f.failure != nil:
		return f.failure
	}
	return fmt.Errorf("%w: FLAC: %w", ErrCorrupt, err)
}
