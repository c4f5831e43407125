package audio

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	goaudio "github.com/go-audio/audio"
	"github.com/go-audio/wav"
)

// TestIntegersAgreeWithGoAudio decodes random bytes at every integer depth as go-audio/wav does, to the bit.
func TestIntegersAgreeWithGoAudio(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, e := range []Encoding{S16LE, S24LE, S32LE} {
		const samples = 10_000
		raw := make([]byte, samples*e.Bytes())
		for i := range raw {
			raw[i] = byte(rng.Uint32())
		}
		file := append(appendHeader(nil, wavHeader{Encoding: e, Rate: 8000, Channels: 1, Samples: samples}), raw...)
		library, err := wav.NewDecoder(bytes.NewReader(file)).FullPCMBuffer()
		if err != nil {
			t.Fatal(err)
		}
		if len(library.Data) != samples {
			t.Fatalf("%v: the library found %d samples", e, len(library.Data))
		}
		got := make([]float32, samples)
		if err := newSampleDecoder(e)(got, raw); err != nil {
			t.Fatal(err)
		}
		scale := 1 / float32(int64(1)<<(8*e.Bytes()-1))
		for i, v := range library.Data {
			if want := float32(v) * scale; got[i] != want {
				t.Fatalf("%v: sample %d is %g, want %g", e, i, got[i], want)
			}
		}
	}
}

// BenchmarkDecode reads a second of sound at 16 kHz from memory.
func BenchmarkDecode(b *testing.B) {
	for _, e := range []Encoding{U8, S16LE, S24LE, S32LE, F32LE, F64LE, ALaw, MuLaw} {
		b.Run(fmt.Sprint(e), func(b *testing.B) {
			const rate = 16000
			var file bytes.Buffer
			if err := WriteWAV(&file, Clip{Rate: rate, Samples: make([]float32, rate)}, e); err != nil {
				b.Fatal(err)
			}
			samples := make([]float32, 4096)
			b.SetBytes(int64(file.Len()))
			b.ReportAllocs()
			for b.Loop() {
				d, err := Decode(bytes.NewReader(file.Bytes()))
				for err == nil {
					_, err = d.Read(samples)
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
	const rate = 16000
	var file bytes.Buffer
	if err := WriteWAV(&file, Clip{Rate: rate, Samples: make([]float32, rate)}, S16LE); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	ints := goaudio.IntBuffer{Data: make([]int, rate)}
	for b.Loop() {
		if _, err := wav.NewDecoder(bytes.NewReader(file.Bytes())).PCMBuffer(&ints); err != nil {
			b.Fatal(err)
		}
	}
}
