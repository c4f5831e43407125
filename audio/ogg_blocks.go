package audio

import (
	"bytes"
	"fmt"
	"io"
	"math"
)

// oggCodec decodes the packets of a logical Ogg stream after the first one.
type oggCodec interface {
	// decode appends the samples of a packet, interleaved, to dst. Headers have none.
	decode(dst []float32, packet []byte) ([]float32, error)
	// gap says that packets are missing before the next one.
	gap()
	// preSkip returns how many of the first samples of a channel are left out.
	preSkip() int64
}

// maxOggPage is how many samples of all channels the packets of a page may have for their page's position to count:
// more than a page of speech or music has.
const maxOggPage = 1 << 20

// maxOggSilence bounds, in seconds, the silence in the place of missing pages, since positions may be wrong.
const maxOggSilence = 60

// oggBlocks reads the sound in an Ogg stream, and those that follow it in the same file. The positions of pages say
// where a stream ends and how much is missing.
type oggBlocks struct {
	ogg      *oggReader
	codec    oggCodec
	format   Format
	samples  []float32 // of the page that is read
	silence  int64     // samples of a channel that come before it
	zeros    []float32
	position int64 // of the stream, after the last page; -1 before its first one
	skip     int64 // samples of a channel that are left out
	decoded  int64 // samples of a channel so far, silence included
	lost     int64 // bytes that are missing before the page that is read
	foreign  bool  // the stream has another rate or codec, and is left out
	failed   error // the first one of decoding
	damage   damage
	notes    []string
}

// begin takes the first packet of a stream.
func (b *oggBlocks) begin(packet []byte) (err error) {
	var codec oggCodec
	var f Format
	switch {
	case bytes.HasPrefix(packet, []byte(vorbisMagic)):
		codec, f, err = openVorbis(packet)
	case bytes.HasPrefix(packet, []byte(opusMagic)):
		codec, f, err = openOpus(packet)
	default:
		err = fmt.Errorf("%w: Ogg stream that begins with %q", ErrCorrupt, packet[:min(len(packet), 8)])
	}
	if err != nil {
		return err
	}
	if b.format.Rate != 0 && (b.format.Rate != f.Rate || b.format.Channels != f.Channels) {
		return fmt.Errorf("%d Hz and %d channels", f.Rate, f.Channels)
	}
	b.codec, b.format, b.position, b.skip, b.foreign = codec, f, -1, codec.preSkip(), false
	return nil
}

// next implements blocks with the samples of one page, or with silence in the place of missing ones.
func (b *oggBlocks) next() ([]float32, error) {
	for b.silence == 0 && len(b.samples) == 0 {
		if err := b.readPage(); err != nil {
			return nil, err
		}
	}
	if b.silence > 0 {
		n := min(b.silence, blockSamples)
		b.silence -= n
		b.zeros = append(b.zeros[:0], make([]float32, int(n)*b.format.Channels)...)
		return b.zeros, nil
	}
	samples := b.samples
	b.samples = b.samples[:0]
	return samples, nil
}

// readPage decodes the packets up to the end of the next page that says its position.
func (b *oggBlocks) readPage() error {
	for {
		p, err := b.ogg.nextPacket()
		if err != nil {
			return b.end(err)
		}
		if p.begins {
			if err := b.begin(p.data); err != nil {
				b.foreign = true
				b.notes = append(b.notes, fmt.Sprintf("what follows at %s is left out: %v", b.place(), err))
			}
			continue
		}
		if b.foreign {
			continue
		}
		if p.lost+p.pages > 0 {
			b.lost += p.lost + p.pages
			b.codec.gap()
		}
		before := len(b.samples)
		b.samples, err = b.decode(p.data)
		if err != nil {
			b.samples = b.samples[:before]
			if b.failed == nil {
				b.failed = err
			}
			b.lost += int64(len(p.data)) + 1
		}
		if p.granule >= 0 {
			b.settle(p.granule, p.last)
			return nil
		}
		if len(b.samples) > maxOggPage {
			if b.position >= 0 {
				b.position += int64(len(b.samples) / b.format.Channels)
			}
			b.deliver(0)
			return nil
		}
	}
}

// decode decodes a packet. The library's panics become errors, and samples that are not finite 0.
func (b *oggBlocks) decode(packet []byte) (samples []float32, err error) {
	defer func() {
		if p := recover(); p != nil {
			samples, err = b.samples, fmt.Errorf("%v", p)
		}
	}()
	before := len(b.samples)
	samples, err = b.codec.decode(b.samples, packet)
	for i, v := range samples[min(before, len(samples)):] {
		if !(math.Abs(float64(v)) <= maxFloat) {
			samples[before+i] = 0
		}
	}
	return samples, err
}

// settle compares what the page's packets have with the position at its end.
func (b *oggBlocks) settle(position int64, last bool) {
	channels := b.format.Channels
	n := int64(len(b.samples) / channels)
	missing := int64(0)
	if b.position < 0 { // the stream may have begun earlier
		b.position = position - n
		if last && b.position < 0 {
			b.position = 0
		} else if b.position < 0 && b.skip == 0 { // it begins within the page
			b.skip, b.position = min(-b.position, n), 0
			n -= b.skip
		}
	}
	switch rest := position - b.position; {
	case last && rest >= 0 && rest < n:
		b.samples = b.samples[:len(b.samples)-int(n-rest)*channels]
	case b.lost > 0 && rest > n && rest-n <= maxOggSilence*int64(b.format.Rate):
		missing = rest - n
	}
	b.position = position
	b.deliver(missing)
}

// deliver passes on the samples of the page, after so much silence.
func (b *oggBlocks) deliver(missing int64) {
	if skip := min(b.skip, int64(len(b.samples)/b.format.Channels)); skip > 0 {
		b.samples = b.samples[int(skip)*b.format.Channels:]
		b.skip -= skip
	}
	if b.lost > 0 {
		b.damage.add(b.decoded, missing)
		b.silence = missing
		b.decoded += missing
	}
	b.lost = 0
	b.decoded += int64(len(b.samples) / b.format.Channels)
}

func (b *oggBlocks) place() string { return place(b.decoded, b.format.Rate) }

// end notes what is odd about the end, and returns the error that ends the sound.
func (b *oggBlocks) end(err error) error {
	switch {
	case b.ogg.in.failure != nil:
		return b.ogg.in.failure
	case len(b.samples) > 0: // of a page that says no position
		b.deliver(0)
		return nil
	case b.decoded == 0 && b.failed != nil:
		return fmt.Errorf("%w: Ogg: %w", ErrCorrupt, b.failed)
	}
	if err != io.EOF {
		b.notes = append(b.notes, fmt.Sprintf("what follows at %s is damaged", b.place()))
	} else if !b.ogg.ended {
		b.notes = append(b.notes, fmt.Sprintf("ends at %s without a last page: the file may be cut short", b.place()))
	}
	return io.EOF
}

func (b *oggBlocks) warning() string {
	return joinNotes(b.damage.note(b.format.Rate), append(b.notes, b.ogg.note()))
}
