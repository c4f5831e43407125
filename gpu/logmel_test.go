//go:build cuda || hostcuda

package gpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/models"
)

// The GPU computes the rows that features computes, for clips shorter than a frame and longer, in any layout.
func TestLogMelAgreesWithFeatures(t *testing.T) {
	for _, c := range []features.Config{
		features.Default(), features.Square32(),
		{Rate: 8000, FFT: 16, Window: 13, Hop: 5, Mels: 3, MinHz: 100, MaxHz: 4000, Floor: 1e-6, Scale: features.HTK},
		{Rate: 16000, FFT: 1024, Window: 1001, Hop: 250, Mels: 64, MinHz: 50, MaxHz: 7600, Floor: 1e-10,
			Scale: features.Slaney},
		{Rate: 44100, FFT: 4096, Window: 4096, Hop: 441, Mels: 96, MinHz: 20, MaxHz: 16000, Floor: 1e-4, Scale: features.HTK},
	} {
		for _, samples := range []int{1, 700, 5001} {
			t.Run(fmt.Sprintf("fft%d,mels%d,samples%d", c.FFT, c.Mels, samples), func(t *testing.T) {
				testLogMel(t, c, samples)
			})
		}
	}
}

func testLogMel(t *testing.T, c features.Config, samples int) {
	const clips, gap, limit = 3, 7, 4
	e, err := features.New(c)
	if err != nil {
		t.Fatal(err)
	}
	norm := features.Norm{Limit: limit}
	for m := range c.Mels {
		norm.Mean, norm.Std = append(norm.Mean, float32(m%7)-3), append(norm.Std, 0.5+float32(m%3))
	}
	d := open(t, Float32)
	place := func(values []float32) device.Buffer {
		b := d.Alloc(len(values))
		d.Upload(b, values)
		return b
	}
	before, _ := c.Margins()
	spans, bank := e.MelSpans()
	s := device.LogMelSpec{
		FFT: c.FFT, Hop: c.Hop, Before: before,
		Window: place(e.WindowWeights()), Roots: place(e.FourierRoots()), Spans: place(spans), Bank: place(bank),
		Floor: float32(c.Floor), Mean: place(norm.Mean), Std: place(norm.Std), Limit: limit,
	}
	source, frames := normals(5, clips*samples), c.Frames(samples)
	stride := frames*c.Mels + gap
	dst := d.Alloc(clips * stride)
	d.LogMel(
		device.View{Data: dst, Groups: clips, Rows: frames, Cols: c.Mels, GroupStride: stride, RowStride: c.Mels},
		device.View{Data: place(source), Groups: clips, Rows: 1, Cols: samples, GroupStride: samples, RowStride: samples}, s)
	got := make([]float32, clips*stride)
	d.Download(got, dst)
	for clip := range clips {
		want := e.Rows(nil, source[clip*samples:][:samples], e.Scratch())
		norm.Apply(want)
		for i, w := range append(want, make([]float32, gap)...) {
			if v := got[clip*stride+i]; !(math.Abs(float64(v-w)) <= 1e-4) {
				t.Fatalf("clip %d, value %d is %g, want %g", clip, i, v, w)
			}
		}
	}
}

// From samples to labels, with the features computed on the GPU.
func TestRecognizerAgreesWithTheReference(t *testing.T) {
	m, err := models.Open("")
	if err != nil {
		t.Fatal(err)
	}
	classify := func(d device.Trainer) map[string]float64 {
		r, err := polyphon.New(m, polyphon.WithDevice(d))
		if err != nil {
			t.Fatal(err)
		}
		var clips []audio.Clip
		for i := range 6 {
			clips = append(clips, testClip(i, m.Features.Rate))
		}
		scores := map[string]float64{}
		for i, result := range r.ClassifyBatch(clips) {
			if result.Err != nil {
				t.Error(result.Err)
			}
			for _, s := range result.Scores {
				scores[fmt.Sprint(i, s.Label)] = s.P
			}
		}
		return scores
	}
	want := classify(device.Ref())
	for _, p := range precisions {
		t.Run(string(p), func(t *testing.T) {
			got := classify(open(t, p))
			if len(got) != len(want) {
				t.Fatalf("%d scores, want %d", len(got), len(want))
			}
			for of, w := range want {
				if !(math.Abs(got[of]-w) <= networkError[p]) {
					t.Errorf("%s is %g, want %g", of, got[of], w)
				}
			}
		})
	}
}
