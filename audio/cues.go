package audio

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Cue is a marked point or stretch of a recording.
type Cue struct {
	Label      string  // "" where the file has none
	Start, End float64 // seconds; equal where the file states no length
}

const (
	maxCueBytes = 16 << 20 // of points and labels: 700 000 points
	maxTrailers = 1 << 20  // bytes at a file's end in which chunks are looked for that no header says to begin
)

// Cues returns the cue points of a WAV file, sorted by their starts; none where the file has none. Starts come
// from its "cue " chunks, labels and lengths from the texts ("labl", "ltxt") of its LIST chunks. Labels that are not
// UTF-8 are read as Latin-1. The samples are skipped, by seeking.
//
// Errors: ErrFormat for what is not a WAV file or one in a dialect that is not read, ErrCorrupt for a file that
// contradicts itself or ends inside these chunks, ErrTooLong for one with more than 16 MiB of points or labels, and
// r's own.
func Cues(r io.ReadSeeker) ([]Cue, error) {
	w := wavReader{r: bufio.NewReaderSize(r, readAhead), seeker: r}
	if err := cmp.Or(skipID3(w.r), w.begin()); err != nil {
		return nil, err
	}
	t := cueTable{labels: map[uint32]string{}, lengths: map[uint32]uint32{}}
	for {
		c, err := w.chunk()
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return t.cues(w.format)
		}
		if err == nil {
			switch c.id {
			case "data":
				if err = w.skipSamples(c); err == io.EOF {
					return t.cues(w.format)
				}
			case "cue ", "LIST":
				err = t.read(&w, c)
			default:
				err = w.pass(c)
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// skipSamples passes over the samples of a data chunk, to the next chunk. Where that does not begin after the bytes
// that the data chunk claims, it is looked for at the file's end. Without any, the error is io.EOF.
func (w *wavReader) skipSamples(c riffChunk) error {
	begin, err := w.seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	end, err := w.seeker.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	begin -= int64(w.r.Buffered())
	if claimed := max(w.claim(c.size), 0); claimed < end-begin {
		begin += claimed
		if err := w.seek(begin); err != nil {
			return err
		}
		head, err := w.r.Peek(lookAhead)
		if err != nil && err != io.EOF {
			return err
		}
		if beginsChunk(head, w.order) {
			return nil
		}
		if claimed%2 == 1 && beginsChunk(head[1:], w.order) {
			_, err := w.r.Discard(1)
			return err
		}
	}
	if err := w.seek(max(begin, end-maxTrailers)); err != nil {
		return err
	}
	for {
		window, err := w.r.Peek(max(chunkHead, w.r.Buffered()))
		at, complete := findTrailer(window, w.order)
		w.r.Discard(at)
		if complete {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *wavReader) seek(offset int64) error {
	_, err := w.seeker.Seek(offset, io.SeekStart)
	w.r.Reset(w.seeker)
	return err
}

// cueTable collects what chunks say about cue points, which have numbers. (go-audio/wav reads no labels and no RF64,
// reads through the samples, and allocates what sizes claim.)
type cueTable struct {
	size    int64 // of the chunks so far
	points  []cuePoint
	labels  map[uint32]string
	lengths map[uint32]uint32 // in frames
}

type cuePoint struct{ number, frame uint32 }

// read reads a chunk of cue points, or of texts about them.
func (t *cueTable) read(w *wavReader, c riffChunk) error {
	if kind, _ := w.r.Peek(4); c.id == "LIST" && string(kind) != "adtl" {
		return w.skip(c, c.size)
	}
	if t.size += c.size; t.size > maxCueBytes {
		return fmt.Errorf("%w: its %q chunk says %d bytes", ErrTooLong, c.id, c.size)
	}
	b, err := io.ReadAll(io.LimitReader(w.r, c.size)) // memory grows with what arrives
	if err == nil && int64(len(b)) < max(c.size, 4) {
		err = cutShort(io.EOF, fmt.Sprintf("its %q chunk", c.id))
	}
	if err != nil {
		return err
	}
	if c.id == "LIST" {
		t.addTexts(b[4:], w.order)
	} else if err := t.addPoints(b, w.order); err != nil {
		return err
	}
	return w.skip(c, 0)
}

// addPoints adds the points of a "cue " chunk: a count, and for each point its number, its position in the play order,
// the chunk, start and block that the position is in, and the position there. The positions are the same in a file
// without a play list; some writers state one of them only.
func (t *cueTable) addPoints(b []byte, order binary.ByteOrder) error {
	const size = 24
	count, b := int64(order.Uint32(b)), b[4:]
	if count > int64(len(b)/size) {
		return fmt.Errorf("%w: its %q chunk says %d points in %d bytes", ErrCorrupt, "cue ", count, len(b))
	}
	for p := range slices.Chunk(b[:count*size], size) {
		t.points = append(t.points, cuePoint{order.Uint32(p), cmp.Or(order.Uint32(p[20:]), order.Uint32(p[4:]))})
	}
	return nil
}

// textChunks are the chunks in an adtl list.
var textChunks = []string{"labl", "ltxt", "note"}

// addTexts adds the labels and lengths in an adtl list.
func (t *cueTable) addTexts(b []byte, order binary.ByteOrder) {
	for len(b) >= 8 {
		id, size := string(b[:4]), min(int64(order.Uint32(b[4:])), int64(len(b)-8))
		body := b[8 : 8+size]
		b = b[8+size:]
		if next := string(b[:min(4, len(b))]); size%2 == 1 && next != "" && !slices.Contains(textChunks, next) {
			b = b[1:] // the padding, which some writers leave out
		}
		if size < 4 {
			continue
		}
		number := order.Uint32(body)
		switch {
		case id == "labl":
			t.labels[number] = cmp.Or(text(body[4:]), t.labels[number])
		case id == "ltxt" && size >= 20: // number, length, purpose, country, language, dialect, code page, text
			t.lengths[number] = cmp.Or(order.Uint32(body[4:]), t.lengths[number])
			t.labels[number] = cmp.Or(t.labels[number], text(body[20:]))
		}
	}
}

// text returns the text in b up to the first NUL.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	if utf8.ValidString(s) {
		return s
	}
	var latin1 []rune
	for _, c := range []byte(s) {
		latin1 = append(latin1, rune(c))
	}
	return string(latin1)
}

// cues puts together what has been collected.
func (t *cueTable) cues(f Format) ([]Cue, error) {
	if len(t.points) > 0 && f.Rate == 0 {
		return nil, fmt.Errorf("%w: no fmt chunk", ErrFormat)
	}
	var list []Cue
	for _, p := range t.points {
		end, rate := int64(p.frame)+int64(t.lengths[p.number]), float64(f.Rate)
		list = append(list, Cue{Label: t.labels[p.number], Start: float64(p.frame) / rate, End: float64(end) / rate})
	}
	slices.SortStableFunc(list, func(a, b Cue) int { return cmp.Compare(a.Start, b.Start) })
	return list, nil
}
