package audio

import (
	"fmt"
	"io"
	"slices"
)

// mp3Blocks reads MPEG audio of layer III. Silence takes the place of damaged frames, of as many as their bytes would
// hold.
type mp3Blocks struct {
	in      *rewinder
	first   mpegHeader // all frames are like it
	decoder mp3Decoder
	format  Format
	frames  int64      // so far
	bytes   int64      // of these
	lost    int64      // frames that silence stands for
	unread  int        // frames that are silent because the library cannot be given them
	decoded int64      // samples of a channel so far, silence included
	gap     int64      // bytes since the last frame that are none
	tags    bool       // they are tags, or zeros that may be padding at the end
	zeros   bool       // they begin with zeros
	cut     bool       // a frame has begun in them that does not end
	other   mpegHeader // frames of another format have begun in them

	tag     mp3Tag
	skip    int64     // samples of a channel that are still to be left out
	silence int64     // samples of a channel that come next
	latest  []float32 // those of the latest frame, which come after the silence; interleaved
	pending []float32 // that can be delivered, but for the last ones, which the tag may take away
	out     []float32
	err     error // that has ended the frames
	damage  damage
	notes   []string
}

// openMP3 reads up to the samples of a stream that begins with a frame of layer III, or soon has one.
func (d *Decoder) openMP3() error {
	m := &mp3Blocks{in: newRewinder(d.in)}
	frame, err := m.nextFrame()
	if err == io.EOF {
		return refusal("this begins like MP3, but no frame of it is whole", "mp3")
	}
	if err != nil {
		return err
	}
	m.format = Format{Container: "mp3", Rate: m.first.rate(), Channels: m.first.channels(), Frames: -1}
	if m.first.version() == 0 {
		return refusal(fmt.Sprintf("MP3 of %d Hz (MPEG-2.5)", m.first.rate()), "mp3")
	}
	m.gap = 0 // what comes before the first frame is no damage
	if tag, ok := readMP3Tag(frame); ok {
		m.tag, m.skip = tag, tag.start
		if n := tag.frames*int64(m.first.samples()) - tag.start - tag.end; tag.frames > 0 && n >= 0 {
			m.format.Frames = n
		}
	} else {
		m.take(frame)
	}
	return d.begin(m.format, m, "")
}

// next implements blocks.
func (m *mp3Blocks) next() ([]float32, error) {
	channels := m.format.Channels
	held := int(m.tag.end) * channels
	for len(m.pending) <= held && m.err == nil {
		if n := min(m.silence, blockSamples); n > 0 {
			m.silence -= n
			m.queue(make([]float32, int(n)*channels))
			continue
		}
		if len(m.latest) > 0 {
			m.queue(m.latest)
			m.latest = nil
			continue
		}
		frame, err := m.nextFrame()
		if err != nil {
			m.end(err)
			break
		}
		if _, ok := readMP3Tag(frame); !ok { // that of a file that follows
			m.take(frame)
		}
	}
	if m.err != nil {
		if held = 0; len(m.pending) == 0 {
			return nil, m.err
		}
	}
	n := len(m.pending) - held
	m.out = append(m.out[:0], m.pending[:n]...)
	m.pending = append(m.pending[:0], m.pending[n:]...)
	return m.out, nil
}

// take decodes a frame into m.latest, and sets m.silence for what is missing before it.
func (m *mp3Blocks) take(frame []byte) {
	samples := int64(m.first.samples())
	if m.gap > 0 && (!m.tags || m.zeros) && m.frames > 0 {
		average := m.bytes / m.frames
		missing := (m.gap + average/2) / average
		m.silence = missing * samples
		m.damage.add(m.delivered(), m.silence)
		m.decoded += m.silence
		m.lost += missing
		m.decoder.forget()
	}
	m.gap, m.tags, m.cut, m.other = 0, false, false, 0
	m.frames++
	m.bytes += int64(len(frame))
	decoded, err := m.decoder.decode(frame, m.format.Channels)
	if err == errTooLarge {
		m.unread++
	} else if err != nil {
		m.damage.add(m.delivered(), samples)
	}
	m.latest = decoded
	m.decoded += samples
}

// delivered returns how many samples of a channel there are so far, without those that are left out.
func (m *mp3Blocks) delivered() int64 { return max(m.decoded-m.tag.start, 0) }

// queue adds samples to those that are pending, without those that are left out.
func (m *mp3Blocks) queue(samples []float32) {
	channels := m.format.Channels
	n := min(m.skip, int64(len(samples)/channels))
	m.skip -= n
	m.pending = append(m.pending, samples[int(n)*channels:]...)
}

// end ends the sound, without the samples that the encoder has added to fill its last frame.
func (m *mp3Blocks) end(err error) {
	m.err = err
	if err != io.EOF {
		return
	}
	if m.frames+m.lost == m.tag.frames {
		m.pending = m.pending[:max(len(m.pending)-int(m.tag.end)*m.format.Channels, 0)]
	} else if m.tag.frames > 0 {
		m.notes = append(m.notes, fmt.Sprintf("header says %d frames, file has %d", m.tag.frames, m.frames+m.lost))
	}
	if m.unread > 0 {
		m.notes = append(m.notes, fmt.Sprintf("%d frames are not read and silent; %s", m.unread, convertHint("mp3")))
	}
	at := place(m.delivered(), m.format.Rate)
	switch {
	case m.other != 0:
		m.notes = append(m.notes, fmt.Sprintf("what follows at %s is left out: %d Hz and %d channels",
			at, m.other.rate(), m.other.channels()))
	case m.cut:
		m.notes = append(m.notes, "ends inside the frame at "+at)
	case m.gap > 0 && !m.tags:
		m.notes = append(m.notes, fmt.Sprintf("%d bytes after %s are no MP3", m.gap, at))
	}
}

func (m *mp3Blocks) warning() string { return joinNotes(m.damage.note(m.format.Rate), m.notes) }

// nextFrame returns the next frame, valid until the next call, or io.EOF. Tags between frames are skipped.
func (m *mp3Blocks) nextFrame() ([]byte, error) {
	for {
		m.in.mark()
		head := m.in.peek(4)
		if m.in.failure != nil {
			return nil, m.in.failure
		}
		if len(head) == 0 {
			return nil, io.EOF
		}
		h, ok := mpegHeaderAt(head)
		ok = ok && h.layer() == 3 && h.size() > 0
		if ok && m.first != 0 && !h.fits(m.first) {
			if ok = false; m.gap == 0 || m.tags && m.other == 0 {
				if m.other = 0; m.followed(h) {
					m.other = h
				}
			}
		}
		if ok {
			frame := m.in.peek(h.size())
			if m.in.failure != nil {
				return nil, m.in.failure
			}
			if len(frame) == h.size() && (m.gap == 0 && m.first != 0 || m.followed(h)) {
				if m.first == 0 {
					m.first = h
				}
				m.in.discard(h.size())
				return frame, nil
			}
			m.cut = m.cut || m.gap == 0 && len(frame) < h.size()
		}
		if m.gap == 0 {
			start := m.in.peek(12)
			m.tags, m.zeros = isTail(start), len(start) > 0 && start[0] == 0
		}
		m.in.charge(len(m.in.kept))
		if !m.in.rewind() {
			return nil, io.EOF
		}
		m.gap += m.in.skipTo(func(b []byte) bool { return b[0] == 0xFF && b[1]&0xE0 == 0xE0 })
	}
}

// followed reports whether a frame of header h, which comes next, is whole and followed by another one, a tag or the
// end.
func (m *mp3Blocks) followed(h mpegHeader) bool {
	rest := m.in.peek(h.size() + 12)
	if len(rest) < h.size() {
		return false
	}
	rest = rest[h.size():]
	next, ok := mpegHeaderAt(rest)
	return ok && next.fits(h) || isTail(rest) || len(rest) == 0
}

// mp3Tag is what the frame before the sound says that Xing, LAME and Lavc write.
type mp3Tag struct {
	frames     int64 // 0: it does not say
	start, end int64 // samples of a channel to leave out
}

// readMP3Tag returns the tag in a frame, and whether it has one instead of sound.
func readMP3Tag(frame []byte) (tag mp3Tag, ok bool) {
	h, _ := mpegHeaderAt(frame)
	begin, end := h.sideInfo()
	from := 4 + end - begin // a checksum does not move it
	if len(frame) >= 40 && string(frame[36:40]) == "VBRI" {
		return tag, true
	}
	if len(frame) < from+8 || string(frame[from:from+4]) != "Xing" && string(frame[from:from+4]) != "Info" {
		return tag, false
	}
	b := frame[from+4:]
	flags := b[3]
	b = b[4:]
	for flag, size := range []int{4, 4, 100, 4} { // frames, bytes, table, quality
		if flags>>flag&1 == 0 {
			continue
		}
		if len(b) < size {
			return tag, true
		}
		if flag == 0 {
			tag.frames = int64(b[0])<<24 | int64(b[1])<<16 | int64(b[2])<<8 | int64(b[3])
		}
		b = b[size:]
	}
	const delays = 21
	if len(b) >= delays+3 && slices.Contains([]string{"LAME", "Lavf", "Lavc"}, string(b[:4])) {
		const decoder = 528 + 1 // samples that the decoder adds
		b = b[delays:]
		tag.start = int64(b[0])<<4 + int64(b[1])>>4 + decoder
		tag.end = max(int64(b[1]&15)<<8+int64(b[2])-decoder, 0)
	}
	return tag, true
}
