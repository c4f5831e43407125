package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// golden returns a file of testdata/formats.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "formats", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goldens are the compressed sounds of testdata/formats.
var goldens = []struct {
	name   string
	format Format
	within float64 // of the reference decoder's 16-bit samples
}{
	{"mono.ogg", Format{Container: "ogg", Rate: 16000, Channels: 1, Frames: -1}, 1},
	{"stereo.ogg", Format{Container: "ogg", Rate: 44100, Channels: 2, Frames: -1}, 1},
	{"mono.oga", Format{Container: "ogg", Rate: 16000, Channels: 1, Bits: 16, Frames: 16000}, 0},
	{"music.opus", Format{Container: "ogg", Rate: 48000, Channels: 1, Frames: -1}, 1},
	{"speech.opus", Format{Container: "ogg", Rate: 48000, Channels: 1, Frames: -1}, 60},
	{"mono.mp3", Format{Container: "mp3", Rate: 16000, Channels: 1, Frames: 16000}, 2},
	{"low.mp3", Format{Container: "mp3", Rate: 22050, Channels: 1, Frames: -1}, 2},
	{"stereo.mp3", Format{Container: "mp3", Rate: 44100, Channels: 2, Frames: 44100}, 2},
	{"plain.mp3", Format{Container: "mp3", Rate: 44100, Channels: 2, Frames: -1}, 2},
}

// TestGoldens compares decoders with those of other programs: as many samples, at the same places.
func TestGoldens(t *testing.T) {
	for _, g := range goldens {
		file := golden(t, g.name)
		want, err := readFrom(bytes.NewReader(golden(t, g.name+".flac")), 0)
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(file), "by bytes": iotest.OneByteReader(bytes.NewReader(file)),
		} {
			d, err := Decode(r)
			if err != nil {
				t.Errorf("%s: %v", g.name, err)
				continue
			}
			got, err := ReadAll(d, 0)
			if d.Format() != g.format || err != nil || got.Warning != "" || len(got.Samples) != len(want.Samples) {
				t.Errorf("%s, %s: %+v, %d samples, error %v, warning %q; want %+v, %d samples", g.name, name,
					d.Format(), len(got.Samples), err, got.Warning, g.format, len(want.Samples))
				continue
			}
			if worst := furthest(got.Samples, want.Samples) * (1 << 15); worst > g.within {
				t.Errorf("%s, %s: differs by %g of 32768 from the reference", g.name, name, worst)
			}
		}
	}
}

// furthest returns the largest difference of two sounds.
func furthest(a, b []float32) (worst float64) {
	for i := range a {
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	return worst
}

// oggPage returns an Ogg page with packets.
func oggPage(serial, sequence uint32, granule int64, flags byte, packets ...[]byte) []byte {
	b := append([]byte("OggS\x00"), flags)
	b = binary.LittleEndian.AppendUint64(b, uint64(granule))
	b = binary.LittleEndian.AppendUint32(b, serial)
	b = binary.LittleEndian.AppendUint32(b, sequence)
	b = append(b, 0, 0, 0, 0, 0)
	for _, p := range packets {
		for n := len(p); ; n -= 255 {
			b = append(b, byte(min(n, 255)))
			b[26]++
			if n < 255 {
				break
			}
		}
	}
	b = append(b, slices.Concat(packets...)...)
	return sealed(b)
}

// sealed sets the checksum of an Ogg page.
func sealed(page []byte) []byte {
	copy(page[22:], "\x00\x00\x00\x00")
	crc := uint32(0)
	for _, b := range page {
		crc ^= uint32(b) << 24
		for range 8 {
			crc = crc<<1 ^ crc>>31*0x04C11DB7
		}
	}
	binary.LittleEndian.PutUint32(page[22:], crc)
	return page
}

// oggPages cuts an Ogg file into its pages.
func oggPages(file []byte) (pages [][]byte) {
	for len(file) > 0 {
		n := 27 + int(file[26])
		for _, size := range file[27:n] {
			n += int(size)
		}
		pages = append(pages, slices.Clone(file[:n]))
		file = file[n:]
	}
	return pages
}

// mp3Frames returns silent frames of MP3: 44.1 kHz, mono, 128 kbit/s.
func mp3Frames(n int) []byte {
	frame := append([]byte{0xFF, 0xFB, 0x90, 0xC0}, make([]byte, 413)...)
	return bytes.Repeat(frame, n)
}

type damagedCase struct {
	name    string
	bytes   []byte
	samples int // 0 where err is expected
	err     error
	says    string // part of the error or of the warning; "" for none
}

// damagedCases are compressed sounds that are damaged, or put together in ways that programs do.
func damagedCases(t testing.TB) []damagedCase {
	vorbis, opus := oggPages(golden(t, "mono.ogg")), oggPages(golden(t, "music.opus"))
	stereo, oggFLAC := oggPages(golden(t, "stereo.ogg")), oggPages(golden(t, "mono.oga"))
	join := func(pages ...[]byte) []byte { return slices.Concat(pages...) }
	last := func(pages [][]byte) int { return len(pages) - 1 }
	damaged := func(pages [][]byte, k int) []byte {
		page := slices.Clone(pages[k])
		page[len(page)-3] ^= 1
		return page
	}
	other := func(pages [][]byte, serial uint32) (all []byte) {
		for _, p := range pages {
			p = slices.Clone(p)
			binary.LittleEndian.PutUint32(p[14:], serial)
			all = append(all, sealed(p)...)
		}
		return all
	}
	speex := oggPage(99, 0, 0, oggFirst, []byte("Speex   1.2"))
	skeleton := oggPage(98, 0, 0, oggFirst, []byte("fishead\x00"))
	junk := oggPage(98, 1, 0, 0, []byte("something"))
	mp3, plain := golden(t, "mono.mp3"), golden(t, "plain.mp3")
	const frame = 216 // bytes of each of mono.mp3, samples 576; the first one is the tag
	id3 := "ID3\x04\x00\x00\x00\x00\x00\x08\xff\xfb\x90\x64\xff\xfb\x90\x64"
	id3v1 := "TAG" + strings.Repeat("x", 125)
	return []damagedCase{
		{"Vorbis, last page missing", join(stereo[:last(stereo)]...), 41664, nil, "without a last page"},
		{"Vorbis, cut inside a page", join(stereo...)[:len(join(stereo...))-100], 41664, nil, "without a last page"},
		{"Vorbis, bytes behind", append(join(vorbis...), id3v1...), 16000, nil, ""},
		{"Vorbis, bytes before a page", join(vorbis[0], []byte("junk"), vorbis[1], join(vorbis[2:]...)), 16000, nil,
			"damaged at 0.00 s"},
		{"Vorbis, twice in a chain", join(join(vorbis...), other(vorbis, 8)), 32000, nil, ""},
		{"Vorbis and Opus in a chain", join(join(vorbis...), other(opus, 8)), 16000, nil,
			"what follows at 1.00 s is left out: 48000 Hz and 1 channels"},
		{"Vorbis and Skeleton multiplexed", join(skeleton, vorbis[0], junk, join(vorbis[1:]...)), 16000, nil,
			"only the first sound in the Ogg file is read, not Skeleton"},
		{"Opus and Vorbis multiplexed", join(opus[0], other(vorbis[:1], 8), join(opus[1:]...), other(vorbis[1:], 8)),
			48000, nil, "only the first sound in the Ogg file is read, not Vorbis"},
		{"Opus, a page missing", join(opus[0], opus[1], join(opus[3:]...)), 48000, nil, "damaged at 0.00 s, with "},
		{"Opus, a page damaged", join(opus[0], opus[1], damaged(opus, 2), join(opus[3:]...)), 48000, nil,
			"damaged at 0.00 s, with "},
		{"FLAC, a page damaged", join(join(oggFLAC[:3]...), damaged(oggFLAC, 3), join(oggFLAC[4:]...)), 16000, nil,
			"damaged at "},
		{"FLAC, twice in a chain", join(join(oggFLAC...), other(oggFLAC, 8)), 32000, nil, "another FLAC stream"},
		{"Vorbis without its setup", join(vorbis[0], join(vorbis[last(vorbis):]...)), 0, ErrCorrupt, "setup"},
		{"Speex", join(speex, junk), 0, ErrFormat, "Ogg with Speex; convert it with ffmpeg -i in.ogg out.wav"},
		{"Opus of 6 channels", join(oggPage(1, 0, 0, oggFirst, with(opus[0][28:], 9, 6))), 0, ErrFormat,
			"Opus of 6 channels, mapping family 0; convert it with ffmpeg"},
		{"pages without a first one", join(vorbis[1:]...), 0, ErrCorrupt, "no sound begins"},
		{"one page that is damaged", damaged(vorbis, 0), 0, ErrCorrupt, "ends inside its first Ogg page"},

		{"MP3, ID3 in front and behind", slices.Concat([]byte(id3), mp3, []byte(id3v1)), 16000, nil, ""},
		{"MP3, APE tag behind", append(slices.Clone(mp3), "APETAGEX\xD0\x07\x00\x00 and so on"...), 16000, nil, ""},
		{"MP3 without its tag", mp3[frame:], (len(mp3)/frame - 1) * 576, nil, ""},
		{"MP3, cut", mp3[:len(mp3)-50], 17280 - 1105 - 576, nil, "ends inside the frame at"},
		{"MP3, frames missing at the end", mp3[:20*frame], 19*576 - 1105, nil, "header says 30 frames, file has 19"},
		{"MP3, frames added at the end", slices.Concat(mp3, mp3[frame:]), 60*576 - 1105, nil,
			"header says 30 frames, file has 60"},
		{"MP3, another rate follows", slices.Concat(mp3Frames(3), mp3), 3 * 1152, nil,
			"what follows at 0.08 s is left out: 16000 Hz and 1 channels"},
		{"MP3, another file of the format follows", slices.Concat(mp3Frames(9), mp3Frames(2)), 11 * 1152, nil, ""},
		{"MP3, another rate follows a tag", slices.Concat(mp3[frame:], []byte(id3v1), []byte(id3), mp3Frames(3)),
			30 * 576, nil, "what follows at 1.08 s is left out: 44100 Hz and 2 channels"},
		{"MP3, a header of another format at the end", append(mp3Frames(3), mp3[:4]...), 3 * 1152, nil,
			"4 bytes after 0.08 s are no MP3"},
		{"MP3, text follows", append(mp3Frames(3), strings.Repeat("some text ", 50)...), 3 * 1152, nil,
			"500 bytes after 0.08 s are no MP3"},
		{"MP3, a header damaged", with(mp3, 10*frame, 0), 16000, nil, "damaged at 0.25 s, with 0.04 s of silence"},
		{"MP3, zeros in it", with(mp3, 10*frame+50, make([]byte, 4*frame)...), 16000, nil, "damaged at"},
		{"MP3, begins within a frame", mp3[5*frame+77:], 25 * 576, nil, ""},
		{"MP3 of 44.1 kHz, a header damaged", with(plain, 417*9+9, 0), (len(plain) / 417) * 1152, nil, "damaged at"},
		{"MP3 of one silent frame", mp3Frames(1), 1152, nil, ""},
		{"MP3 of half a frame", mp3Frames(1)[:200], 0, ErrFormat, "no frame of it is whole"},
		{"MPEG-2.5", bytes.Repeat(with(mp3Frames(1)[:104], 0, 0xFF, 0xE3, 0x40, 0xC0), 9), 0, ErrFormat,
			"MP3 of 11025 Hz (MPEG-2.5); convert it with ffmpeg -i in.mp3 out.wav"},
	}
}

func TestDamagedFormats(t *testing.T) {
	for _, c := range damagedCases(t) {
		got, err := readFrom(bytes.NewReader(c.bytes), 0)
		said := got.Warning
		if err != nil {
			said = err.Error()
		}
		if c.samples > 0 && len(got.Samples) != c.samples || (len(got.Samples) == 0) != (c.err != nil) ||
			!errors.Is(err, c.err) || !strings.Contains(said, c.says) || c.says == "" && said != "" {
			t.Errorf("%s: %d samples, error %v, warning %q; want %d, %v, %q",
				c.name, len(got.Samples), err, got.Warning, c.samples, c.err, c.says)
		}
	}
}

func FuzzOgg(f *testing.F) { fuzzFormats(f, "OggS") }

func FuzzMP3(f *testing.F) { fuzzFormats(f, "\xFF") }

// fuzzFormats fuzzes the decoder of files that begin in one way.
func fuzzFormats(f *testing.F, magic string) {
	for _, c := range damagedCases(f) {
		f.Add(c.bytes)
	}
	for _, g := range goldens {
		f.Add(golden(f, g.name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxInput || !bytes.HasPrefix(data, []byte(magic)) {
			return
		}
		decodeAnyHow(t, resealed(data), Decode)
	})
}

// resealed sets the checksums of Ogg pages, which would stop a fuzzer.
func resealed(data []byte) []byte {
	data = slices.Clone(data)
	for at := 0; ; at++ {
		next := bytes.Index(data[at:], []byte("OggS"))
		if next < 0 {
			return data
		}
		at += next
		page := data[at:]
		if len(page) < 28 || len(page) < 27+int(page[26]) {
			continue
		}
		n := 27 + int(page[26])
		for _, size := range page[27:n] {
			n += int(size)
		}
		sealed(page[:min(n, len(page))])
	}
}
