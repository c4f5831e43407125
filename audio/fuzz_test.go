package audio

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// The inputs of a fuzz run are small; these bound what may become of them.
const (
	maxInput   = 1 << 16
	maxSamples = 1 << 21
	maxMemory  = 64 << 20 // bytes that one call may allocate above the input's size
)

// thrifty runs call and fails the test when it allocated more than maxMemory above size bytes.
func thrifty(t *testing.T, size int, call func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(maxMemory+size) {
		t.Fatalf("%d bytes allocated for an input of %d", got, size)
	}
}

// drain opens a decoder and reads at most maxSamples, checking the promises of Source on the way.
func drain(t *testing.T, size int, open func() (*Decoder, error)) (samples []float32, warning string, err error) {
	var d *Decoder
	thrifty(t, size, func() { d, err = open() })
	if err != nil {
		return nil, "", err
	}
	if f := d.Format(); f.check() != nil || f.Rate != d.Rate() {
		t.Fatalf("format %+v was not refused", f)
	}
	dst := make([]float32, 3000)
	for len(samples) < maxSamples {
		n := 0
		thrifty(t, size, func() { n, err = d.Read(dst) })
		for _, v := range dst[:n] {
			if !(math.Abs(float64(v)) <= maxFloat) {
				t.Fatalf("sample %g", v)
			}
		}
		samples = append(samples, dst[:n]...)
		if err != nil {
			break
		}
		if n == 0 {
			t.Fatal("Read returned 0, nil")
		}
	}
	return samples, d.Warning(), err
}

// decodeAnyHow decodes data in one piece and byte by byte, which must agree, and fails on errors that are no verdict
// on the data. Where bytes are out of step, one frame depends on the pieces.
func decodeAnyHow(t *testing.T, data []byte, open func(io.Reader) (*Decoder, error)) []float32 {
	samples, warning, err := drain(t, len(data), func() (*Decoder, error) { return open(bytes.NewReader(data)) })
	if err != nil && err != io.EOF && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrCorrupt) &&
		!errors.Is(err, ErrEmpty) {
		t.Fatalf("error %v", err)
	}
	slow, _, slowErr := drain(t, len(data),
		func() (*Decoder, error) { return open(iotest.OneByteReader(bytes.NewReader(data))) })
	if strings.Contains(warning, "read in step again") {
		return samples
	}
	if n := min(len(samples), len(slow), maxSamples); !slices.Equal(slow[:n], samples[:n]) || n < maxSamples &&
		len(slow) != len(samples) {
		t.Fatalf("%d samples, error %v; byte by byte %d, %v", len(samples), err, len(slow), slowErr)
	}
	return samples
}

func FuzzWAV(f *testing.F) {
	for _, c := range wavCases() {
		f.Add(c.bytes)
	}
	for _, file := range cases(f) {
		f.Add(file)
	}
	f.Add(riff(mono8k, sized(100), list, sized(1000), mono8k, sized(16000)))
	f.Add(rifx(bigFormat(tagPCM, 1, 16), bigChunk("data", 100, longData...)))
	f.Add(riff(chunk("fmt ", fmtBody(tagPCM, 1, 8000, 4, 16)...), sized(16000)))
	f.Add(slices.Concat(riff(mono8k, sized(16000)), make([]byte, 300), riff(mono8k, sized(16000))))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxInput || bytes.Contains(data, []byte("fLaC")) {
			return
		}
		if samples := decodeAnyHow(t, data, Decode); len(samples) > len(data) {
			t.Fatalf("%d samples from %d bytes", len(samples), len(data))
		}
	})
}

func FuzzFLAC(f *testing.F) {
	f.Add(encodeFLAC(f, tone(16000, 100), 16))
	f.Add(encodeFLAC(f, tone(44100, 100), 24, tone(44100, 100)))
	f.Add(encodeFLAC(f, Clip{Rate: 8000, Samples: make([]float32, 9000)}, 8))
	f.Add(encodeFLAC(f, tone(8000, 64), 20, tone(8000, 64), tone(8000, 64)))
	f.Add([]byte("ID3\x04\x00\x00\x00\x00\x00\x02xxfLaC\x00\x00\x00\x22"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxInput {
			return
		}
		decodeAnyHow(t, data, Decode)
	})
}

// FuzzFLACFrame fuzzes what follows a frame header: the header's checksum would stop FuzzFLAC before it.
func FuzzFLACFrame(f *testing.F) {
	const header = 6 // of a frame at a usual rate, with a number below 128
	for channels := range byte(11) {
		f.Add(channels, byte(16), encodeFLAC(f, tone(16000, 4096), 16, tone(16000, 4096))[4+38+24+header:])
	}
	f.Fuzz(func(t *testing.T, channels, bits byte, data []byte) {
		if len(data) > maxInput {
			return
		}
		decodeAnyHow(t, append(flacHead(channels%11, 1+bits%32), data...), Decode)
	})
}

// flacHead is the beginning of a FLAC file up to its first frame's subframes: blocks of 4096 samples at 16 kHz,
// channels as FLAC codes them (8 to 10 are stereo with a side channel).
func flacHead(channels, bits byte) []byte {
	count := channels
	if channels >= 8 {
		count = 1
	}
	info := []byte("fLaC\x80\x00\x00\x22\x10\x00\x10\x00\x00\x00\x00\x00\x00\x00\x03\xE8\x00\x00")
	info[20] |= count<<1 | (bits-1)>>4
	info[21] |= (bits - 1) << 4
	info = append(info, make([]byte, 4+16)...)
	frame := []byte{0xFF, 0xF8, 0xC5, channels << 4, 0}
	crc := byte(0) // CRC-8 with polynomial 0x07
	for _, b := range frame {
		crc ^= b
		for range 8 {
			crc = crc<<1 ^ crc>>7*7
		}
	}
	return append(append(info, frame...), crc)
}

func FuzzRaw(f *testing.F) {
	for e := U8; e.valid(); e++ {
		f.Add(int(e), 16000, 1+int(e)%3, []byte("some bytes that are read as samples"))
	}
	f.Fuzz(func(t *testing.T, e, rate, channels int, data []byte) {
		if len(data) > maxInput {
			return
		}
		open := func(r io.Reader) (*Decoder, error) { return Raw(r, Encoding(e), rate, channels) }
		samples := decodeAnyHow(t, data, open)
		if want := Encoding(e); want.valid() && len(samples) > 0 && len(samples) != len(data)/(channels*want.Bytes()) {
			t.Fatalf("%d samples of %d channels from %d bytes of %v", len(samples), channels, len(data), want)
		}
	})
}

func FuzzResample(f *testing.F) {
	for i, r := range ratios {
		f.Add(r[0], r[1], uint64(i), floats32(tone(r[0], 200).Samples...))
	}
	f.Add(16000, 16000, uint64(0), []byte{})
	f.Add(0, -1, uint64(0), floats32(1))
	f.Fuzz(func(t *testing.T, in, out int, seed uint64, data []byte) {
		if len(data) > 1<<12 {
			return
		}
		c := Clip{Rate: in, Samples: make([]float32, len(data)/4)}
		decodeFloat32(c.Samples, data)
		if in == out {
			ReplaceOdd(c.Samples) // the source is returned as it is
		}
		var s Source
		var err error
		thrifty(t, len(data), func() { s, err = Resample(c.Source(), out) })
		if ordinary := min(in, out) >= MinRate && max(in, out) <= MaxRate; (err == nil) != (ordinary || in == out) {
			t.Fatalf("%d to %d Hz: %v", in, out, err)
		}
		if err != nil {
			return
		}
		whole, err := ReadAll(s, 0)
		if want := (int64(len(c.Samples))*int64(out) + int64(in) - 1) / int64(max(in, 1)); in != out &&
			int64(len(whole.Samples)) != want || err != nil {
			t.Fatalf("%d to %d Hz: %d samples, want %d, error %v", in, out, len(whole.Samples), want, err)
		}
		for i, v := range whole.Samples {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("sample %d is %g", i, v)
			}
		}
		random := rand.New(rand.NewPCG(seed, 1))
		s, err = Resample(pieces{c.Source(), random, nil}, out)
		if err != nil {
			t.Fatal(err)
		}
		if cut, err := ReadAll(pieces{s, random, nil}, 0); err != nil || !slices.Equal(cut.Samples, whole.Samples) {
			t.Fatalf("%d to %d Hz: pieces change the result, error %v", in, out, err)
		}
	})
}
