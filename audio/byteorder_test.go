package audio

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSwappedSamples: 16-bit samples in the other byte order than the header says, and 8-bit samples with the other
// sign, are read as what they are.
func TestSwappedSamples(t *testing.T) {
	paths, _ := filepath.Glob("../examples/*.wav")
	if len(paths) < 4 {
		t.Fatal("no examples")
	}
	const (
		big    = "the bytes of samples are swapped: read as s16be"
		little = "the bytes of samples are swapped: read as s16le"
	)
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		le := file[44:]
		be := swapped(le)
		want := make([]float32, len(le)/2)
		decode16(want, le)
		var stereo []byte
		for frame := range slices.Chunk(be, 2) {
			stereo = append(append(stereo, frame...), frame...)
		}
		var u8, s8 []byte
		for i := 1; i < len(le); i += 2 {
			s8, u8 = append(s8, le[i]), append(u8, le[i]^0x80)
		}
		coarse := make([]float32, len(s8))
		encodings[S8].decode(coarse, s8)
		mono := comm(1, len(want), 16, "")
		for _, c := range []struct {
			name    string
			bytes   []byte
			warning string
		}{
			{"WAV", file, ""},
			{"WAV, swapped", append(bytes.Clone(file[:44]), be...), big},
			{"WAV of unknown length, swapped", append(with(file[:44], 40, 0, 0, 0, 0), be...), big},
			{"stereo, swapped", riff(fmtChunk(tagPCM, 2, 16000, 16), chunk("data", stereo...)), big},
			{"RIFX", rifx(bigFormat(tagPCM, 1, 16), bigChunk("data", len(be), be...)), ""},
			{"RIFX, swapped", rifx(bigFormat(tagPCM, 1, 16), bigChunk("data", len(le), le...)), little},
			{"AIFF", aiff(mono, ssnd(0, be)), ""},
			{"AIFF, swapped", aiff(mono, ssnd(0, le)), little},
			{"u8", riff(fmtChunk(tagPCM, 1, 16000, 8), chunk("data", u8...)), ""},
			{"u8, signed", riff(fmtChunk(tagPCM, 1, 16000, 8), chunk("data", s8...)), "the samples are signed: read as s8"},
			{"AIFF of 8 bits", aiff(comm(1, len(want), 8, ""), ssnd(0, s8)), ""},
			{"AIFF of 8 bits, unsigned", aiff(comm(1, len(want), 8, ""), ssnd(0, u8)),
				"the samples are unsigned: read as u8"},
			{"sowt", aiff(comm(1, len(want), 16, "sowt"), ssnd(0, le)), ""},
			{"sowt, swapped", aiff(comm(1, len(want), 16, "sowt"), ssnd(0, be)), big},
		} {
			clip, err := readFrom(bytes.NewReader(c.bytes), 0)
			want := want
			if strings.Contains(c.name, "8") {
				want = coarse
			}
			if err != nil || !slices.Equal(clip.Samples, want) || clip.Warning != c.warning {
				t.Errorf("%s, %s: %d samples, warning %q, %v; want %d, %q", filepath.Base(path), c.name, len(clip.Samples),
					clip.Warning, err, len(want), c.warning)
			}
		}
		// From a pipe, nothing is read ahead.
		r, w := io.Pipe()
		go func() { w.Write(file[:46]) }()
		if d, err := Decode(r); err != nil || d.Format().Encoding != S16LE {
			t.Errorf("%s from a pipe: %v", filepath.Base(path), err)
		}
		r.Close()
	}
}

// TestSamplesThatSwapWell: what may be the one or the other is read as the header says.
func TestSamplesThatSwapWell(t *testing.T) {
	soft := make([]byte, 32000) // one byte is enough for it
	same := make([]byte, 32000)
	for i := range 16000 {
		v := int16(100 * (i / 50 % 2))
		binary.LittleEndian.PutUint16(soft[2*i:], uint16(v))
		same[2*i], same[2*i+1] = byte(i/100), byte(i/100)
	}
	for name, data := range map[string][]byte{
		"soft": soft, "bytes that are the same": same, "noise": cipherBytes(32000), "silence": make([]byte, 32000),
	} {
		d, err := Decode(bytes.NewReader(riff(mono16, chunk("data", data...))))
		if err != nil || d.Format().Encoding != S16LE {
			t.Errorf("%s: %v, %v", name, d.Format(), err)
		}
	}
}
