package audio

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	goaudio "github.com/go-audio/audio"
	"github.com/go-audio/wav"
)

// randomWAV returns a mono WAV file of integer samples of which every byte is random.
func randomWAV(e Encoding, samples int, random *rand.Rand) []byte {
	var data []byte
	for range samples * e.Bytes() {
		data = append(data, byte(random.Uint32()))
	}
	return riff(fmtChunk(tagPCM, 1, 16000, 8*e.Bytes()), chunk("data", data...))
}

// byLibrary decodes a mono WAV file of integers with go-audio/wav.
func byLibrary(t *testing.T, file []byte, e Encoding) []float32 {
	t.Helper()
	d := wav.NewDecoder(bytes.NewReader(file))
	if err := d.FwdToPCM(); err != nil {
		t.Fatal(err)
	}
	ints := &goaudio.IntBuffer{Data: make([]int, len(file))}
	n, err := d.PCMBuffer(ints)
	if err != nil {
		t.Fatal(err)
	}
	var samples []float32
	for _, v := range ints.Data[:n] {
		samples = append(samples, float32(v)/float32(int64(1)<<(8*e.Bytes()-1)))
	}
	return samples
}

// TestIntegersAreTheLibrarys compares every 16-bit value and random ones of each depth, to the bit.
func TestIntegersAreTheLibrarys(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	var every []byte
	for v := range 1 << 16 {
		every = append(every, byte(v), byte(v>>8))
	}
	files := map[Encoding][][]byte{S16LE: {riff(mono16, chunk("data", every...))}}
	for _, e := range []Encoding{S16LE, S24LE, S32LE} {
		for n := 1; n < 12; n++ {
			files[e] = append(files[e], randomWAV(e, n, random))
		}
		files[e] = append(files[e], randomWAV(e, 1<<17+1, random))
	}
	for e, list := range files {
		for _, file := range list {
			got, err := readFrom(bytes.NewReader(file), 0)
			if want := byLibrary(t, file, e); err != nil || len(want) == 0 || !slices.Equal(got.Samples, want) {
				t.Errorf("%v: %d samples, error %v, differ from the library's %d", e, len(got.Samples), err, len(want))
			}
		}
	}
}

// TestReset has one Decoder read all sorts of sounds, whole or not, and compares each with what a fresh one reads.
func TestReset(t *testing.T) {
	files := map[string][]byte{"flac": encodeFLAC(t, tone(16000, 9999), 16),
		"mp3": []byte("ID3\x04\x00\x00\x00\x00\x00\x04abcdefgh"), "": nil}
	for e := U8; e.valid(); e++ {
		files[e.String()] = wavOf(tone(16000, 30000), e)
	}
	for _, c := range wavCases() {
		files[c.name] = c.bytes
	}
	var d Decoder
	random := rand.New(rand.NewPCG(11, 12))
	for range 5 {
		for name, file := range files { // in random order
			fresh, wantErr := Decode(bytes.NewReader(file))
			err := d.Reset(bytes.NewReader(file))
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("%s: error %v, a fresh decoder's is %v", name, err, wantErr)
			}
			if err != nil {
				if n, again := d.Read(make([]float32, 1)); n != 0 || again != err {
					t.Errorf("%s: %d samples and error %v after the error of Reset, %v", name, n, again, err)
				}
				continue
			}
			if random.IntN(3) == 0 {
				d.Read(make([]float32, 10)) // and leave it there
				continue
			}
			want, _ := ReadAll(fresh, 0)
			got, err := ReadAll(&d, 0)
			if err != nil || got.Rate != want.Rate || !slices.Equal(got.Samples, want.Samples) ||
				d.Warning() != fresh.Warning() || d.Format() != fresh.Format() {
				t.Errorf("%s: %d samples, error %v, warning %q; a fresh decoder reads %d, warning %q",
					name, len(got.Samples), err, d.Warning(), len(want.Samples), fresh.Warning())
			}
		}
	}
}

// TestResetKeepsMemory counts what short sounds allocate when the decoder is not new.
func TestResetKeepsMemory(t *testing.T) {
	file := wavOf(tone(16000, 16000), S16LE)
	d, r, dst := new(Decoder), bytes.NewReader(nil), make([]float32, 16000)
	decode := func() {
		r.Reset(file)
		if err := d.Reset(r); err != nil {
			t.Fatal(err)
		}
		for err := error(nil); err != io.EOF; _, err = d.Read(dst) {
		}
	}
	decode()
	var before, after runtime.MemStats
	const sounds = 100
	runtime.ReadMemStats(&before)
	for range sounds {
		decode()
	}
	runtime.ReadMemStats(&after)
	// A few small values, not the sound's length again.
	if got := (after.TotalAlloc - before.TotalAlloc) / sounds; got > uint64(len(file)/8) {
		t.Errorf("%d bytes allocated for a sound of %d", got, len(file))
	}
}

// BenchmarkDecode reads a second of sound at 16 kHz from memory, with a decoder that is not new.
func BenchmarkDecode(b *testing.B) {
	for e := U8; e.valid(); e++ {
		b.Run(e.String(), func(b *testing.B) {
			file, d, r, dst := wavOf(tone(16000, 16000), e), new(Decoder), bytes.NewReader(nil), make([]float32, 16000)
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(file)
				err := d.Reset(r)
				for err == nil {
					_, err = d.Read(dst)
				}
				if err != io.EOF {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGoAudio reads the same with go-audio/wav.
func BenchmarkGoAudio(b *testing.B) {
	file := wavOf(tone(16000, 16000), S16LE)
	b.SetBytes(int64(len(file)))
	ints := goaudio.IntBuffer{Data: make([]int, 16000)}
	for b.Loop() {
		if _, err := wav.NewDecoder(bytes.NewReader(file)).PCMBuffer(&ints); err != nil {
			b.Fatal(err)
		}
	}
}
