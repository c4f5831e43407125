package audio

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// magicSize is how many bytes suffice to recognise a kind of file.
const magicSize = 12

// isWAVE reports whether the bytes begin a RIFF, RIFX or RF64 file of type WAVE, complete or cut short.
func isWAVE(magic []byte) bool {
	if len(magic) < 4 {
		return false
	}
	switch string(magic[:4]) {
	case "RIFF", "RIFX", "RF64", "BW64":
		return len(magic) < 12 || string(magic[8:12]) == "WAVE"
	}
	return false
}

// sniffed returns the container that Decode reads and the bytes begin with, "" for others. A tag is one of them.
func sniffed(start []byte) string {
	switch {
	case isID3(start):
		return "id3"
	case bytes.HasPrefix(start, []byte("fLaC")):
		return "flac"
	case bytes.HasPrefix(start, []byte("RIF")) && isWAVE(start):
		return "wav"
	case isWAVE(start):
		return "rf64"
	case bytes.HasPrefix(start, []byte("OggS")):
		return "ogg"
	case isAIFF(start):
		return "aiff"
	}
	return ""
}

// Sniff recognises what in begins with, without reading it: "wav", "rf64", "flac", "ogg", "aiff", "mp3" or "id3" (a tag
// before one of these) for what Decode reads, and "" for what may be raw samples. What is clearly a file of another
// kind gives an error that wraps ErrFormat and names the kind, or "other" where there is a Fallback. Sniff waits for 12
// bytes, for 32 of what is not read, and for frames of what looks like MPEG audio; in has a buffer of 4096 bytes or
// more.
func Sniff(in *bufio.Reader) (container string, err error) {
	start, err := in.Peek(magicSize)
	if err != nil && err != io.EOF {
		return "", err
	}
	if len(start) == magicSize {
		if container := sniffed(start); container != "" {
			return container, nil
		}
	}
	const frames = 3 // one after the other are no coincidence
	if len(start) >= 2 && start[0] == 0xFF && start[1]&0xE0 == 0xE0 {
		start, _ = in.Peek(maxSniff)
		switch {
		case isMPEG(start, frames):
			return "mp3", nil
		case isADTS(start, frames):
			err = errADTS
		}
	}
	if err != errADTS {
		if start, err = in.Peek(maxKindBytes); err != nil && err != io.EOF {
			return "", err
		}
		err = foreignKind(start, 4) // samples that spell out a shorter magic are not unlikely
	}
	if err != nil && fallback.Load() != nil {
		return "other", nil
	}
	return "", err
}

// maxSniff is how many bytes suffice for some frames of MPEG audio.
const maxSniff = 4096

// openOther reads up to the samples of what is none of the other containers: MP3, or nothing that is read.
func (d *Decoder) openOther(tagged bool) error {
	start, err := d.in.Peek(maxSniff)
	if err != nil && err != io.EOF {
		return err
	}
	h, ok := mpegHeaderAt(start)
	switch err := foreignKind(start, 0); {
	case err != nil:
		return err
	case isADTS(start, 1):
		return errADTS
	case ok && h.layer() != 3:
		return refusal(fmt.Sprintf("this is MPEG audio of layer %d, not MP3", h.layer()), "mp2")
	case ok && h.size() == 0:
		return refusal("this is MP3 in free format", "mp3")
	case ok, tagged, holdsMPEG(start):
		return d.openMP3()
	}
	return refusal(fmt.Sprintf("no sound format that is known, begins with %q", start[:min(len(start), magicSize)]), "")
}

// isID3 reports whether the bytes begin with an ID3v2 tag (id3.org, ID3v2.4 structure, 3.1).
func isID3(b []byte) bool {
	return len(b) >= id3Header && string(b[:3]) == "ID3" && b[3] != 0xFF && b[4] != 0xFF &&
		(b[6]|b[7]|b[8]|b[9])&0x80 == 0
}

const (
	id3Header  = 10
	id3Footer  = 0x10    // flag: the tag ends with a copy of its header
	maxPadding = 1 << 20 // bytes of zeros after tags, where the sound is looked for
)

// skipID3 skips the ID3v2 tags that some programs put before sound, and zeros after them.
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
