package audio

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// A file's chunks are recognised where no header says that they begin: after samples of which there are more or fewer
// than promised.

// knownChunks are ids of chunks in WAV files, without the spaces that fill them up to four bytes.
const knownChunks = "fmt data LIST fact bext cue smpl id3 ID3 PEAK iXML JUNK junk ds64 RIFF RIFX RF64 BW64 " +
	"wavl slnt inst plst DISP axml chna cart levl acid _PMX afsp AFAn minf elm1 regn umid FLLR PAD " +
	"bwav MARK r64m CSET ctoc guan wamd COMM SSND FVER INST COMT NAME AUTH (c) ANNO AESD APPL MIDI" // AIFF

// isKnownChunk reports whether b begins with the id of a chunk.
func isKnownChunk(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	id := strings.TrimRight(string(b[:4]), " ")
	return len(id) > 2 && !strings.Contains(id, " ") && strings.Contains(" "+knownChunks+" ", " "+id+" ")
}

// lookAhead is how many bytes after the promised samples are looked at.
const lookAhead = 16 << 10

// beginsChunk reports whether a chunk or another file begins with b, of which there are fewer than lookAhead only where
// the file ends. Unknown chunks are recognised by their letters and by what follows them: a known one, or the end.
func beginsChunk(b []byte, order binary.ByteOrder) bool {
	const maxUnknown = 16 // in a row
	ends := len(b) < lookAhead
	for n := range maxUnknown {
		switch {
		case len(b) <= 1:
			return n > 0 && ends
		case len(b) < 8:
			return false
		case isKnownChunk(b), n > 0 && isTag(b):
			return true
		}
		for _, c := range b[:4] {
			if c < ' ' || c > '~' {
				return false
			}
		}
		size := int64(order.Uint32(b[4:]))
		if 8+size > int64(len(b)) {
			return false
		}
		b = b[min(8+size+size%2, int64(len(b))):]
	}
	return false
}

// isTag reports whether b begins a tag that programs put at a file's end: ID3v1, ID3v2, APE or Lyrics3.
func isTag(b []byte) bool {
	const id3v1 = 128
	return len(b) == id3v1 && string(b[:3]) == "TAG" || len(b) > id3v1 && string(b[:4]) == "TAG+" || isID3(b) ||
		bytes.HasPrefix(b, []byte("APETAGEX")) || bytes.HasPrefix(b, []byte("LYRICSBEGIN"))
}

// chunkHead is how many bytes tell whether one of the trailers begins.
const chunkHead = 12

// trailers are the chunks that are looked for among samples: those that writers put after them, and that begin with so
// many known bits that samples do not look like them by chance.
var trailers = [][]byte{[]byte("LIST"), []byte("id3 "), []byte("ID3 "), []byte("cue "), []byte("_PMX"), []byte("iXML")}

// isTrailer reports whether b, of at least chunkHead bytes, begins such a chunk.
func isTrailer(b []byte, order binary.ByteOrder) bool {
	size, body := order.Uint32(b[4:]), b[8:chunkHead]
	switch string(b[:4]) {
	case "LIST":
		return string(body) == "INFO" || string(body) == "adtl"
	case "id3 ", "ID3 ":
		return string(body[:3]) == "ID3"
	case "cue ":
		return uint64(size) == 4+24*uint64(order.Uint32(body))
	}
	return size < 1<<24 && body[0] == '<' // XML
}

// findTrailer returns where the first trailer begins in b, complete being true, or the last bytes of b that may be the
// beginning of one; len(b) where nothing is.
func findTrailer(b []byte, order binary.ByteOrder) (at int, complete bool) {
	at = len(b)
	for _, id := range trailers {
		for from := 0; ; from++ {
			i := bytes.Index(b[from:at], id)
			if i < 0 {
				break
			}
			if from += i; from+chunkHead > len(b) || isTrailer(b[from:], order) {
				at, complete = from, from+chunkHead <= len(b)
				break
			}
		}
	}
	if at < len(b) {
		return at, complete
	}
	for at = max(0, len(b)-len(trailers[0])+1); at < len(b); at++ {
		for _, id := range trailers {
			if bytes.HasPrefix(id, b[at:]) {
				return at, false
			}
		}
	}
	return at, false
}
