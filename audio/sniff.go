package audio

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
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

// foreignKinds are files that people offer as sound, by the bytes at an offset.
var foreignKinds = []struct {
	offset          int
	magic           string
	kind, extension string
}{
	{0, "ID3", "an MP3 file", ".mp3"},
	{0, "OggS", "an Ogg file", ".ogg"},
	{4, "ftyp", "an M4A or MP4 file", ".m4a"},
	{0, "FORM", "an AIFF file", ".aiff"},
	{0, "RIFX", "a big-endian (RIFX) WAV file", ".wav"},
	{0, "riff", "a Sony Wave64 file", ".w64"},
	{8, "AVI ", "an AVI file", ".avi"},
	{0, ".snd", "an AU file", ".au"},
	{0, "caff", "a CAF file", ".caf"},
	{0, "NIST_1A", "a NIST SPHERE file", ".sph"},
	{0, "#!AMR", "an AMR file", ".amr"},
	{0, "\x1a\x45\xdf\xa3", "a Matroska or WebM file", ".webm"},
	{0, "\x30\x26\xb2\x75", "a Windows Media file", ".wma"},
	{0, "wvpk", "a WavPack file", ".wv"},
	{0, "MAC ", "a Monkey's Audio file", ".ape"},
}

// Sniff recognises a sound by its first bytes, of which 12 are enough: "wav", "rf64" or "flac" for what Decode reads,
// and "" for what may be raw samples. What is clearly a file of another kind gives an error that wraps ErrFormat and
// names the kind.
func Sniff(start []byte) (container string, err error) {
	switch {
	case bytes.HasPrefix(start, []byte("fLaC")):
		return "flac", nil
	case len(start) >= magicSize && isWAVE(start):
		if string(start[:4]) == "RIFF" {
			return "wav", nil
		}
		return "rf64", nil
	}
	return "", foreignKind(start, 4) // samples that spell out a shorter magic are not unlikely
}

// foreignKind returns the ErrFormat of a file of a foreign kind whose magic has at least min bytes, nil for others.
func foreignKind(start []byte, min int) error {
	for _, k := range foreignKinds {
		if len(k.magic) >= min && len(start) >= k.offset && bytes.HasPrefix(start[k.offset:], []byte(k.magic)) {
			return foreignError(k.kind, k.extension)
		}
	}
	return nil
}

func foreignError(kind, extension string) error {
	return fmt.Errorf("%w: this is %s; convert it with ffmpeg -i in%s out.wav", ErrFormat, kind, extension)
}

// foreign returns the ErrFormat of a file that begins with magic and is neither WAV nor FLAC.
func foreign(magic []byte) error {
	if err := foreignKind(magic, 0); err != nil {
		return err
	}
	if len(magic) >= 2 && magic[0] == 0xFF && magic[1]&0xE0 == 0xE0 { // MPEG frame sync (ISO 11172-3, 2.4.1.3)
		if layer := magic[1] >> 1 & 3; layer == 0 {
			return foreignError("an AAC stream", ".aac")
		}
		return foreignError("an MP3 file", ".mp3")
	}
	if bytes.HasPrefix(magic, []byte("version http")) {
		return fmt.Errorf("%w: this is a Git LFS pointer, not the sound it stands for; run git lfs pull", ErrFormat)
	}
	return fmt.Errorf("%w: neither WAV nor FLAC, begins with %q", ErrFormat, magic)
}

// skipID3 skips the ID3v2 tag that some programs put before FLAC (id3.org, ID3v2.4 structure, 3.1).
func skipID3(r *bufio.Reader) error {
	var header [10]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return cutShort(err, "its ID3 tag")
	}
	size := 0
	for _, b := range header[6:] {
		size = size<<7 | int(b&0x7F)
	}
	if _, err := r.Discard(size); err != nil && err != io.EOF {
		return err
	}
	return nil
}
