package audio

import (
	"bytes"
	"errors"
	"io"
	"math"
)

// wavBlocks reads the samples of a WAV file. A data chunk's size is a claim: chunks that begin before it is reached
// are no samples, and what follows it is looked at. Chunks and tags may follow; other sound is read too.
type wavBlocks struct {
	pcmBlocks
	file   wavReader
	more   bool         // the samples go on after the claimed ones
	ready  int          // of the next bytes, so many are samples
	zeros  int64        // bytes: silence that follows the samples so far, if more of them come
	recent [512]float32 // the last samples
}

// maxZeros is how many bytes of zeros may follow the samples without being taken for silence: files are filled up to
// whole clusters of a disk.
const maxZeros = 128 << 10

// begin begins the samples of a file, of which the header claims so many bytes.
func (b *wavBlocks) begin(w wavReader, claimed int64) {
	w.format.Frames = -1
	if claimed >= 0 {
		w.format.Frames = claimed / int64(w.format.Channels*w.format.Encoding.Bytes())
	}
	*b = wavBlocks{pcmBlocks: b.pcmBlocks, file: w}
	b.reset(w.r, w.format, claimed)
	if w.note != "" {
		b.addNote("%s", w.note)
	}
}

// next implements blocks.
func (b *wavBlocks) next() ([]float32, error) {
	for b.ready < b.need() && b.zeros == 0 {
		if err := b.fill(); err != nil {
			if err == io.EOF {
				b.noteFact()
			}
			return nil, err
		}
	}
	var samples []float32
	before := b.arrived
	if b.zeros > 0 {
		samples = b.silence()
		b.zeros -= b.arrived - before
	} else {
		samples = b.take(b.ready)
		b.ready -= int(b.arrived - before)
	}
	if b.file.gain != 0 {
		for i, v := range samples {
			if samples[i] = v * b.file.gain; samples[i] >= 1 { // 0 above them instead of the sign
				samples[i] -= 2
			}
		}
	}
	kept := max(0, len(b.recent)-len(samples))
	copy(b.recent[:kept], b.recent[len(b.recent)-kept:])
	copy(b.recent[kept:], samples[max(0, len(samples)-len(b.recent)):])
	if b.file.ambisonic {
		for i := range samples {
			samples[i] = samples[i-i%b.channels]
		}
	}
	return samples, nil
}

// silence returns frames of the zeros.
func (b *wavBlocks) silence() []float32 {
	frames := min(int(b.zeros)/b.frameSize, len(b.samples)/b.channels)
	b.arrived += int64(frames * b.frameSize)
	b.decode(b.samples[:frames*b.channels], make([]byte, frames*b.frameSize))
	return b.samples[:frames*b.channels]
}

// fill waits for one frame, and finds out how many of the bytes that have arrived with it are samples. Behind the last
// frame of a data chunk, it goes on to what follows; its error is io.EOF where no samples do.
func (b *wavBlocks) fill() error {
	left, need := b.left(), b.need()
	if b.more {
		left = math.MaxInt64
	}
	for {
		window, err := b.in.Peek(int(min(left, int64(max(need, b.in.Buffered())))))
		all := int64(len(window)) == left
		at, trailer := findTrailer(window, b.file.order)
		if !trailer && (all || err != nil) {
			at = len(window) // nothing comes that could make a chunk of it
		}
		switch {
		case at >= b.need():
			b.ready = at
			return nil
		case trailer:
			return b.trailer(at)
		case err != nil && err != io.EOF:
			return err
		case all:
			return b.follow(at)
		case err == io.EOF:
			b.noteEnd(at)
			return io.EOF
		}
		need = at + chunkHead
	}
}

// noteEnd notes what is odd about the end of a data chunk, rest bytes after the last frame.
func (b *wavBlocks) noteEnd(rest int) {
	if b.more {
		b.addNote("data chunk says %d bytes, the sound goes on behind them, to %s", b.claimed, b.place())
		return
	}
	b.pcmBlocks.noteEnd(rest)
}

// noteFact notes that there should be more samples, where nothing else has been noted.
func (b *wavBlocks) noteFact() {
	frames, fact := b.arrived/int64(b.frameSize), b.file.fact
	if len(b.notes) == 0 && fact > frames && fact < math.MaxUint32 && fact != frames*int64(b.channels) {
		b.addNote("fact chunk says %d samples, data chunk has %d", fact, frames)
	}
}

// trailer goes on to a chunk that begins where samples were expected, in so many bytes.
func (b *wavBlocks) trailer(at int) error {
	b.in.Discard(at)
	if id, _ := b.in.Peek(4); b.more {
		b.noteEnd(0)
	} else if b.claimed >= 0 {
		b.addNote("data chunk says %d bytes, a %q chunk begins after %d", b.claimed, id, b.arrived-b.begun+int64(at))
	}
	return b.walk()
}

// follow goes on to what follows a data chunk, whose last frame has rest bytes only.
func (b *wavBlocks) follow(rest int) error {
	if rest == 0 {
		b.skipZeros()
	}
	window, err := b.in.Peek(rest + lookAhead)
	if err != nil && err != io.EOF {
		return err
	}
	tail := window[rest:]
	odd := b.claimed%2 == 1 && len(tail) > 0 // a byte of padding may follow
	chunk := beginsChunk(tail, b.file.order)
	switch {
	case chunk:
	case odd && beginsChunk(tail[1:], b.file.order):
		chunk, rest = true, rest+1
	case b.zeros < maxZeros && (len(tail) < chunkHead || len(bytes.Trim(tail, "\x00")) == 0),
		isTag(tail), odd && isTag(tail[1:]):
	case b.isSound(window):
		b.more = true
		return nil
	default:
		b.addNote("what follows the samples at %s is neither a chunk nor sound, it is left out", b.place())
	}
	b.zeros = 0
	b.noteEnd(rest)
	if !chunk {
		return io.EOF
	}
	b.in.Discard(rest)
	return b.walk()
}

// skipZeros counts frames of zeros and passes over them, until there are too many for padding.
func (b *wavBlocks) skipZeros() {
	for b.zeros < maxZeros {
		window, err := b.in.Peek(lookAhead)
		n := len(window) - len(bytes.TrimLeft(window, "\x00"))
		n -= n % b.frameSize
		b.in.Discard(n)
		if b.zeros += int64(n); err != nil || n == 0 {
			return
		}
	}
}

// isSound reports whether bytes that follow the samples look like more of them: not like text, and not like noise at
// full scale, as compressed and encrypted data do, unless the samples before them do too.
func (b *wavBlocks) isSound(data []byte) bool {
	const minFrames = 64
	printable := 0
	for _, c := range data {
		if c >= ' ' && c <= '~' || c == '\n' || c == '\r' || c == '\t' {
			printable++
		}
	}
	frames := min(len(data)/b.frameSize, blockSamples/b.channels)
	if frames < minFrames || float64(printable) > 0.95*float64(len(data)) {
		return b.zeros >= maxZeros
	}
	samples := make([]float32, frames*b.channels)
	b.decode(samples, data)
	return !isNoise(samples, b.channels) || isNoise(b.recent[:], b.channels)
}

// isNoise reports whether the samples are loud and unrelated to their neighbours.
func isNoise(samples []float32, channels int) bool {
	const loud, related = 0.3, 0.1
	var energy, next float64
	for i, v := range samples {
		energy += float64(v) * float64(v)
		if i >= channels {
			next += float64(v) * float64(samples[i-channels])
		}
	}
	return energy > loud*loud*float64(len(samples)) && math.Abs(next) < related*energy
}

// walk passes over the chunks after samples, up to more samples of the same format. Without any, its error is io.EOF.
func (b *wavBlocks) walk() error {
	w, format := &b.file, b.file.format
	for another := false; ; {
		head, err := b.in.Peek(lookAhead)
		if err != nil && err != io.EOF {
			return err
		}
		if !beginsChunk(head, b.file.order) {
			return io.EOF
		}
		c, err := w.chunk()
		switch {
		case err != nil:
		case isWAVE(head):
			another = true
			w.order = orderOf(head)
			_, err = b.in.Discard(4)
			b.addNote("another WAV file begins at %s, read as one sound", b.place())
		case c.id != "data":
			err = w.pass(c)
		default:
			next, _ := b.in.Peek(lookAhead)
			claimed := w.claim(c.size)
			if claimed < 0 && (len(next) == 0 || beginsChunk(next, w.order)) {
				continue
			}
			if !another {
				b.addNote("several data chunks, read as one sound")
			}
			b.claimed, b.begun, b.more = claimed, b.arrived, false
			return nil
		}
		now := w.format
		now.Frames = format.Frames
		switch other := err == nil && now != format || errors.Is(err, ErrFormat); {
		case other:
			b.addNote("sound of another format begins at %s, it is left out", b.place())
			return io.EOF
		case errors.Is(err, ErrCorrupt):
			return io.EOF
		case err != nil:
			return err
		}
	}
}
