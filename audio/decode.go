package audio

import (
	"bufio"
	"fmt"
	"io"
)

// MinRate and MaxRate bound the rates, in hertz, between which Resample converts. Decode reads slower sounds too, and
// refuses faster ones.
const (
	MinRate = 4000
	MaxRate = 384000
)

// MaxChannels is the largest number of channels that is mixed down.
const MaxChannels = 64

// Format is what a sound's header says of it.
type Format struct {
	Container string   // "wav", "rf64", "flac", "aiff", "ogg", "mp3" or "raw"
	Encoding  Encoding // zero where samples are not PCM
	Rate      int      // hertz
	Channels  int
	Bits      int   // significant bits of a sample: 20 for 20 bits in a container of 24, 0 where a codec has none
	Frames    int64 // samples of a channel, -1 where the header does not say; a claim, not a size to allocate by
}

// check refuses rates and channel counts that no sound has.
func (f Format) check() error {
	reason := ""
	switch {
	case f.Rate < 1:
		reason = fmt.Sprintf("a rate of %d Hz", f.Rate)
	case f.Rate > MaxRate:
		reason = fmt.Sprintf("a rate of %d Hz, the highest read is %d", f.Rate, MaxRate)
	case f.Channels < 1 || f.Channels > MaxChannels:
		reason = fmt.Sprintf("%d channels, 1 to %d are read", f.Channels, MaxChannels)
	default:
		return nil
	}
	switch f.Container {
	case "raw":
		return fmt.Errorf("%w: %s", ErrFormat, reason)
	case "rf64":
		return refusal(reason, "wav")
	}
	return refusal(reason, f.Container)
}

// blocks reads a sound piece by piece.
type blocks interface {
	// next returns at least one frame of interleaved samples, as many as the format has channels, which the caller may
	// change and which are valid until the next call; or an error: io.EOF at the end.
	next() ([]float32, error)
	// warning says, after the end, what was odd about the sound; "" where nothing was.
	warning() string
}

// realigner are blocks that can begin the next frame some bytes later, or with bytes that were read before.
type realigner interface {
	realign(later int, head []byte)
}

// Decoder is a Source that decodes a sound while it is read, mixed down to mono: the mean of the channels. It holds a
// bounded piece of the sound.
//
// What is wrong with the samples themselves is looked for, corrected where that is certain, and reported by Warning:
// samples that are NaN, infinite or far beyond full scale read as 0; floats on an integer scale, 24 bits in the low
// bytes of 32, and integers and floats that the header takes for each other are converted; of channels that cancel each
// other or are delayed copies, one is used; bytes that are out of step are read in step again; a very quiet sound is
// named. For this, the beginning of sound in float or 32-bit samples or two channels is held back, about 65536 samples
// of all channels at most.
type Decoder struct {
	format  Format
	blocks  blocks
	pending []float32     // decoded and not yet read
	err     error         // what follows pending
	note    string        // what was odd about the header
	file    bool          // the sound can be read ahead
	outside io.ReadCloser // what in reads from where a Fallback decodes

	in     *bufio.Reader // in, wav and screen keep their memory from one sound to the next
	wav    wavBlocks
	screen screen
}

// readAhead is how many bytes are read at a time, where there are as many: a second of 16-bit sound at 16 kHz.
const readAhead = 40 << 10

// Decode recognises the sound in r by its first bytes and returns its decoder. It reads WAV (RIFF, RIFX and RF64) and
// AIFF with samples of every Encoding, FLAC, MP3 (not of MPEG-2.5), and Vorbis, Opus (mono and stereo) and FLAC in Ogg,
// from any reader: one that cannot seek, delivers odd pieces, or never ends. It returns as soon as the first samples
// have arrived and are certain. Damage after them is skipped, or ends the sound: Warning says where.
//
// Errors: ErrFormat for what is no sound or a dialect that is not read, ErrCorrupt for a file that contradicts itself,
// ErrEmpty for one without samples, and r's own.
func Decode(r io.Reader) (*Decoder, error) {
	d := new(Decoder)
	if err := d.Reset(r); err != nil {
		return nil, err
	}
	return d, nil
}

// Reset makes d the decoder of the sound in r, as Decode does, in the memory that d has: of many short sounds, only the
// first one allocates. The zero Decoder can be reset too. After an error, Read returns that error.
func (d *Decoder) Reset(r io.Reader) error {
	d.Close()
	*d = Decoder{in: d.in, wav: d.wav, screen: d.screen, file: isFile(r)}
	if d.in == nil {
		d.in = bufio.NewReaderSize(nil, readAhead)
	}
	err := d.openIn(r)
	if err != nil {
		d.err = err
	}
	return err
}

// Raw returns the decoder of headerless PCM: frames of so many interleaved channels, rate frames a second. It returns
// as soon as the first frame has arrived.
func Raw(r io.Reader, e Encoding, rate, channels int) (*Decoder, error) {
	if !e.valid() {
		return nil, fmt.Errorf("%w: raw sound needs an encoding, not %v", ErrFormat, e)
	}
	f := Format{Container: "raw", Encoding: e, Rate: rate, Channels: channels, Bits: 8 * e.Bytes(), Frames: -1}
	if err := f.check(); err != nil {
		return nil, err
	}
	d := &Decoder{in: bufio.NewReaderSize(r, readAhead)}
	if err := d.beginPCM(f, -1, ""); err != nil {
		return nil, err
	}
	return d, nil
}

// open recognises the sound and reads up to its first samples.
func (d *Decoder) open() error {
	magic, err := d.in.Peek(magicSize)
	if len(magic) == 0 {
		if err == io.EOF {
			return fmt.Errorf("%w: 0 bytes", ErrEmpty)
		}
		return err
	}
	tagged := isID3(magic)
	if tagged {
		if err := skipID3(d.in); err != nil {
			return err
		}
		magic, err = d.in.Peek(magicSize)
	}
	switch sniffed(magic) {
	case "flac":
		return d.openFLAC(d.in, "flac", "")
	case "wav", "rf64":
		return d.openWAV()
	case "ogg":
		return d.openOgg()
	case "aiff":
		return d.openAIFF()
	}
	if err != nil && err != io.EOF {
		return err
	}
	return d.openOther(tagged)
}

// begin decodes the first samples, so that the opener of a sound without any gets ErrEmpty.
func (d *Decoder) begin(f Format, b blocks, note string) error {
	d.format, d.blocks, d.note = f, b, note
	_, moves := b.(realigner)
	d.screen.reset(&d.format, !moves)
	if d.advance(); len(d.pending) > 0 {
		return nil // d.err comes afterwards
	} else if d.err != io.EOF {
		return d.err
	}
	if odd := b.warning(); odd != "" {
		return fmt.Errorf("%w: %s", ErrEmpty, odd)
	}
	return ErrEmpty
}

// beginPCM begins samples as f says, of which the header claims so many bytes; -1 where it does not say.
func (d *Decoder) beginPCM(f Format, claimed int64, note string) error {
	d.wav.reset(d.in, f, claimed)
	return d.begin(f, &d.wav.pcmBlocks, note)
}

// advance decodes the next samples into pending.
func (d *Decoder) advance() {
	for d.err == nil && len(d.pending) == 0 {
		frames, err := d.blocks.next()
		if err != nil {
			if d.pending, d.err = d.screen.finish(); d.err == nil {
				d.err = err
			}
			return
		}
		d.pending, d.err = d.screen.process(frames)
		if skip, head := d.screen.step(); skip+len(head) > 0 {
			d.blocks.(realigner).realign(skip, head)
		}
	}
}

// Format returns what the header says.
func (d *Decoder) Format() Format { return d.format }

// Rate implements Source.
func (d *Decoder) Rate() int { return d.format.Rate }

// Read implements Source.
func (d *Decoder) Read(dst []float32) (n int, err error) {
	for n < len(dst) {
		if len(d.pending) == 0 {
			if n > 0 && d.err == nil {
				return n, nil // what follows may have to be waited for
			}
			if d.err == nil {
				d.advance()
			}
			if len(d.pending) == 0 {
				return n, d.err
			}
		}
		taken := copy(dst[n:], d.pending)
		d.pending = d.pending[taken:]
		n += taken
	}
	return n, nil
}

// Warning returns what was wrong with a sound that could be read all the same, as sentences with "; " between them,
// such as "data chunk says 64000 bytes, file ends after 31999, at 1.00 s"; "" where nothing was. It is complete once
// Read has returned an error, io.EOF in most cases. Before, it has the sentences that are certain, of which none goes
// away.
func (d *Decoder) Warning() string {
	if d.blocks == nil {
		return ""
	}
	var all []string
	ended := d.err != nil
	if ended {
		all = append(all, d.outsideWarning(), d.blocks.warning())
	}
	return joinNotes(d.note, append(all, d.screen.warnings(ended)...))
}
