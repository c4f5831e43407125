package polyphon

import (
	"context"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/audio"
)

// odd returns samples some of which are odd, and the same ones with zeros in their places.
func odd(samples []float32) (spoilt, mended []float32, n int) {
	spoilt, mended = slices.Clone(samples), slices.Clone(samples)
	values := []float32{
		float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e30, -math.MaxFloat32, 1 << 33,
	}
	for i := 5; i < len(samples); i += 777 {
		spoilt[i], mended[i] = values[n%len(values)], 0
		n++
	}
	return spoilt, mended, n
}

// TestOddSamplesCountAsZero pushes sound with samples that are NaN, infinite or absurd, in every way, with a gate and
// without: it is answered as if they were 0.
func TestOddSamplesCountAsZero(t *testing.T) {
	spoilt, mended, n := odd(bursts(8, burstTimes...))
	for name, options := range map[string][]Option{"without a gate": nil, "with a gate": {WithGate(60)}} {
		r := newRecognizer(t, loudness(), options...)
		ctx := context.Background()
		answers := func(samples []float32, rate int) (all []any) {
			scores, err := r.Classify(samples, rate)
			all = append(all, scores, err)
			embedding, err := r.Embed(samples, rate)
			all = append(all, embedding, err)
			source := func() audio.Source { return audio.Clip{Rate: rate, Samples: samples}.Source() }
			for w, err := range r.Windows(ctx, source()) {
				all = append(all, w, err)
			}
			for e, err := range r.Events(ctx, source()) {
				all = append(all, e, err)
			}
			return all
		}
		for _, rate := range []int{testRate, 48000} {
			if got, want := answers(spoilt, rate), answers(mended, rate); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %d Hz: odd samples change the answers", name, rate)
			}
		}
		if got, err := eventsOf(r, spoilt, testRate); err != nil {
			t.Error(err)
		} else {
			checkPlaces(t, name, got, burstTimes, 0.3)
		}

		pushed := func(f Format, samples []float32, written bool) ([]Event, ListenStats) {
			l, err := r.Listen(f)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			before := slices.Clone(samples)
			if written {
				pcm, _ := binary.Append(nil, binary.LittleEndian, samples)
				_, err = l.Write(pcm)
			} else {
				err = l.Push(samples)
			}
			if err != nil || l.Flush() != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(bitsOf(samples), bitsOf(before)) {
				t.Errorf("%s: Push has changed its argument", name)
			}
			return l.Events(), l.Stats()
		}
		for _, f := range []Format{
			{}, {Channels: 2}, {Rate: 8000}, {Rate: 48000, Channels: 3}, {Encoding: audio.F32LE},
		} {
			written := f.Encoding != 0
			got, stats := pushed(f, spoilt, written)
			want, _ := pushed(f, mended, written)
			if !reflect.DeepEqual(got, want) || stats.Odd != n || stats.Diverged > 0 {
				t.Errorf("%s, %+v: events %v, want %v; %+v, want %d odd samples", name, f, got, want, stats, n)
			}
		}
	}
}

func bitsOf(samples []float32) []uint32 {
	b := make([]uint32, len(samples))
	for i, v := range samples {
		b[i] = math.Float32bits(v)
	}
	return b
}

// TestListenerNamesAForgottenScale pushes samples that were not divided by their full scale.
func TestListenerNamesAForgottenScale(t *testing.T) {
	r := newRecognizer(t, loudness())
	speech := bursts(2, 1)
	for _, c := range []struct {
		scale float32
		want  string
	}{
		{1, ""},
		{10, ""},
		{128, "samples up to 159, as on 8-bit scale: divide them by 128, full scale is 1"},
		{1 << 15, "samples up to 40691, as on 16-bit scale: divide them by 32768, full scale is 1"},
		{1 << 23, "samples up to 10416815, as on 24-bit scale: divide them by 8388608, full scale is 1"},
		{1 << 31, "samples up to 2666704640, as on 32-bit scale: divide them by 2147483648, full scale is 1"},
	} {
		l, err := r.Listen(Format{})
		if err != nil {
			t.Fatal(err)
		}
		samples := slices.Clone(speech)
		for i := range samples {
			samples[i] *= c.scale
		}
		if err := l.Push(samples); err != nil || l.Stats().Warning != c.want {
			t.Errorf("a scale of %g: %q, want %q, %v", c.scale, l.Stats().Warning, c.want, err)
		}
		if err := l.Reset(); err != nil || l.Stats().Warning != "" {
			t.Errorf("after Reset: %q, %v", l.Stats().Warning, err)
		}
		l.Close()
	}
}
