package audio

import (
	"bufio"
	"bytes"
	"fmt"
)

// magicSize is how many bytes suffice to recognise a kind of file.
const magicSize = 12

// isWAVE reports whether the bytes begin a RIFF or RF64 file of type WAVE, complete or cut short.
func isWAVE(magic []byte) bool {
	if len(magic) < 4 {
		return false
	}
	switch string(magic[:4]) {
	case "RIFF", "RF64", "BW64":
		return len(magic) < 12 || string(magic[8:12]) == "WAVE"
	}
	return false
}

// Sniff recognises a sound by its first bytes, of which 12 are enough for those that are read and 32 for others:
// "wav", "rf64", "flac" or "aiff" for what Decode reads, and "" for what may be raw samples. What is clearly a file of
// another kind gives an error that wraps ErrFormat and names the kind.
func Sniff(start []byte) (container string, err error) {
	switch {
	case bytes.HasPrefix(start, []byte("fLaC")):
		return "flac", nil
	case len(start) >= magicSize && isWAVE(start):
		if string(start[:4]) == "RIFF" {
			return "wav", nil
		}
		return "rf64", nil
	case isAIFF(start):
		return "aiff", nil
	}
	return "", foreignKind(start, 4) // samples that spell out a shorter magic are not unlikely
}

// foreign returns the ErrFormat of a file that begins with the bytes and is neither WAV nor FLAC.
func foreign(start []byte) error {
	if err := foreignKind(start, 0); err != nil {
		return err
	}
	if bytes.HasPrefix(start, []byte("ID3")) {
		return refusal("this is an MP3 file", "mp3")
	}
	if len(start) >= 2 && start[0] == 0xFF && start[1]&0xE0 == 0xE0 { // MPEG frame sync (ISO 11172-3, 2.4.1.3)
		if layer := start[1] >> 1 & 3; layer == 0 {
			return refusal("this is an AAC stream (ADTS)", "aac")
		}
		return refusal("this is an MP3 file", "mp3")
	}
	return refusal(fmt.Sprintf("neither WAV nor FLAC, begins with %q", start[:min(len(start), magicSize)]), "")
}

// isID3 reports whether the bytes begin with an ID3v2 tag (id3.org, ID3v2.4 structure, 3.1).
func isID3(b []byte) bool {
	return len(b) >= id3Header && string(b[:3]) == "ID3" && b[3] != 0xFF && b[4] != 0xFF &&
		(b[6]|b[7]|b[8]|b[9])&0x80 == 0
}

const (
	id3Header  = 10
	id3Footer  = 0x10    // flag: the tag ends with a copy of its header
	maxPadding = 1 << 20 // bytes of zeros behind tags, where the sound is looked for
)

// skipID3 skips the ID3v2 tags that some programs put before sound, and zeros behind them.
func skipID3(r *bufio.Reader) error {
	for {
		header, _ := r.Peek(id3Header)
		if !isID3(header) {
			break
		}
		size := id3Header
		if header[5]&id3Footer != 0 {
			size += id3Header
		}
		size += int(header[6])<<21 | int(header[7])<<14 | int(header[8])<<7 | int(header[9])
		if _, err := r.Discard(size); err != nil {
			return cutShort(err, "its ID3 tag")
		}
	}
	for range maxPadding {
		if b, _ := r.Peek(1); len(b) == 0 || b[0] != 0 {
			break
		}
		r.Discard(1)
	}
	return nil
}
