package onnx

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/floats"
)

// randomModel returns a small model of random shape whose weights, statistics and normalisation all matter.
func randomModel(kind polynet.BlockKind, rng *rand.Rand) *polynet.Model {
	f := features.Default()
	f.FFT, f.Window, f.Hop, f.Mels = 128, 64+rng.IntN(65), 30+rng.IntN(20), 1+rng.IntN(8)
	f.Rate, f.MaxHz = 4000, 1900
	if rng.IntN(2) == 0 {
		f.Scale = features.Slaney
	}
	c := polynet.Config{
		Inputs: f.Mels, Classes: 1 + rng.IntN(5), Block: kind,
		Stem: polynet.Stem{Width: 1 + rng.IntN(6), Stride: 1 + rng.IntN(3)},
	}
	if kind.Decomposition() {
		c.Degree = 2 + rng.IntN(2)
	}
	if rng.IntN(2) == 0 {
		c.Dropout = 0.1
	}
	c.Stem.Kernel, c.Stem.Ahead = kernel(rng)
	for range 1 + rng.IntN(3) {
		s := polynet.Stage{Width: 1 + rng.IntN(6), Blocks: 1 + rng.IntN(2), Stride: 1 + rng.IntN(3)}
		s.Kernel, s.Ahead = kernel(rng)
		c.Stages = append(c.Stages, s)
	}
	m := nettest.RandomModel(c, rng)
	m.Features, m.Temperature, m.Norm.Limit = f, 0.5+rng.Float64(), float32(rng.IntN(3))
	return m
}

func kernel(rng *rand.Rand) (kernel, ahead int) {
	kernel = 1 + rng.IntN(6)
	return kernel, rng.IntN(kernel)
}

func uniform(rng *rand.Rand, n int, low, high float32) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = low + (high-low)*rng.Float32()
	}
	return values
}

// written returns the graph that Write wrote, read back.
func written(t *testing.T, m *polynet.Model, input Input) *modelProto {
	t.Helper()
	var file bytes.Buffer
	if err := Write(&file, m, input); err != nil {
		t.Fatal(err)
	}
	f, err := Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	return &f.model
}

// logits returns polyphon's logits of clips of rows.
func logits(m *polynet.Model, rows []float32, batch int) []float64 {
	var list []float64
	for clip := range slices.Chunk(rows, len(rows)/batch) {
		list = append(list, nettest.Logits(m, clip)...)
	}
	return list
}

// agree compares the graph's outputs with polyphon's logits, relative to the largest.
func agree(t *testing.T, m *polynet.Model, values map[string]array, want []float64) {
	t.Helper()
	const tolerance = 2e-5
	got, p := values[Logits], values[Probabilities]
	if len(got.data) != len(want) {
		t.Fatalf("%d logits, want %d", len(got.data), len(want))
	}
	largest := 1.0
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	for i, v := range want {
		if e := math.Abs(got.data[i] - v); !(e <= tolerance*largest) {
			t.Fatalf("logit %d is %g, want %g (%+v)", i, got.data[i], v, m.Net)
		}
	}
	expected := slices.Clone(got.data)
	for row := range slices.Chunk(expected, m.Net.Classes) {
		m.Probabilities(row)
	}
	for i, v := range expected {
		if !(math.Abs(p.data[i]-v) <= 1e-5) {
			t.Fatalf("probability %d is %g, want %g", i, p.data[i], v)
		}
	}
}

func TestGraphGivesTheLogits(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		t.Run(string(kind), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			for range 25 {
				m := randomModel(kind, rng)
				batch, frames := 1+rng.IntN(3), 1+rng.IntN(30)
				rows := uniform(rng, batch*frames*m.Net.Inputs, -8, 3)
				p := written(t, m, LogMel)
				values := evaluate(&p.graph, arrayOf(rows, batch, frames, m.Net.Inputs))
				agree(t, m, values, logits(m, rows, batch))
			}
		})
	}
}

func TestGraphWithFeaturesGivesTheLogits(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		t.Run(string(kind), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			for range 5 {
				m := randomModel(kind, rng)
				e, err := features.New(m.Features)
				if err != nil {
					t.Fatal(err)
				}
				batch, length := 1+rng.IntN(3), 1+rng.IntN(400)
				samples := uniform(rng, batch*length, -1, 1)
				var rows []float32
				for i := range batch {
					rows = e.Rows(rows, samples[i*length:][:length], e.Scratch())
				}
				p := written(t, m, Samples)
				values := evaluate(&p.graph, arrayOf(samples, batch, length))
				agree(t, m, values, logits(m, rows, batch))
			}
		})
	}
}

func TestFileSaysWhatItIs(t *testing.T) {
	m := randomModel(polynet.Pi, rand.New(rand.NewPCG(5, 6)))
	p := written(t, m, Samples)
	if p.producer != "polyphon" || len(p.opsets) != 1 || p.opsets[0] != (opsetProto{version: Opset}) || p.doc == "" {
		t.Errorf("producer %q, opsets %v, doc %q", p.producer, p.opsets, p.doc)
	}
	metadata := (&File{*p}).Metadata()
	var labels []string
	if err := json.Unmarshal([]byte(metadata["labels"]), &labels); err != nil || !slices.Equal(labels, m.Labels) {
		t.Errorf("labels %v, %v", labels, err)
	}
	var back polynet.Model
	if err := back.SetMetadata(metadata); err != nil {
		t.Fatal(err)
	}
	back.Weights = m.Weights
	if !reflect.DeepEqual(&back, m) {
		t.Errorf("the metadata gives %+v, want %+v", back, m)
	}
	for i, want := range []string{Logits, Probabilities} {
		if p.graph.outputs[i].name != want {
			t.Errorf("output %d is %q", i, p.graph.outputs[i].name)
		}
	}
	if name := p.graph.inputs[0].name; name != string(Samples) {
		t.Errorf("the input is %q", name)
	}
	if name := written(t, m, LogMel).graph.inputs[0].name; name != string(LogMel) {
		t.Errorf("without features the input is %q", name)
	}
}

func TestSameModelSameBytes(t *testing.T) {
	m := randomModel(polynet.Pi1x1, rand.New(rand.NewPCG(7, 8)))
	var a, b bytes.Buffer
	for _, w := range []io.Writer{&a, &b} {
		if err := Write(w, m, LogMel); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two files of one model differ")
	}
}

func TestWriteRefuses(t *testing.T) {
	m := randomModel(polynet.ReLU, rand.New(rand.NewPCG(9, 1)))
	var file bytes.Buffer
	huge := *m
	huge.Features = features.Config{
		Rate: 16000, FFT: 1 << 15, Window: 1 << 15, Hop: 1 << 14, Mels: m.Features.Mels,
		MinHz: 20, MaxHz: 8000, Floor: 1e-3, Scale: features.HTK,
	}
	if err := Write(&file, &huge, Samples); !errors.Is(err, features.ErrConfig) {
		t.Errorf("weights of 4 GB: %v", err)
	}
	m.Temperature = 0
	if err := Write(&file, m, LogMel); !errors.Is(err, polynet.ErrModel) {
		t.Errorf("an invalid model: %v", err)
	}
	if file.Len() > 0 {
		t.Errorf("%d bytes were written", file.Len())
	}
}

// calibrated returns a random model with a scaling, which tells unknown sounds by a score. hasUnknown says whether
// there is a class for them.
func calibrated(score confidence.Unfamiliarity, hasUnknown bool, rng *rand.Rand) *polynet.Model {
	m := randomModel(polynet.Linear, rng)
	m.Net.Classes = 5
	random := nettest.RandomModel(m.Net, rng)
	m.Weights, m.Labels = random.Weights, []string{"left", "right", "up", "_silence_", "down"}
	if hasUnknown {
		m.Labels[1] = polynet.UnknownLabel
	}
	c := &confidence.Calibration{Scaling: new(confidence.Scaling)}
	for range m.Labels {
		c.Scaling.Scale = append(c.Scaling.Scale, 0.5+rng.Float64())
		c.Scaling.Shift = append(c.Scaling.Shift, rng.Float64()-0.5)
	}
	c.Unknown = &confidence.Unknown{Score: score, Slope: 5}
	m.Calibration = c
	return m
}

func TestGraphIsCalibrated(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, score := range confidence.Unfamiliarities {
		for _, hasUnknown := range []bool{true, false} {
			m := calibrated(score, hasUnknown, rng)
			rows := uniform(rng, 4*20*m.Net.Inputs, -8, 3)
			want := logits(m, rows, 4)
			threshold := 0.0 // the mean of the scores
			for row := range slices.Chunk(want, m.Net.Classes) {
				m.Calibration.Scaling.Apply(row)
				cooled := slices.Clone(row)
				floats.Scale(1/m.Temperature, cooled)
				threshold += score.Of(cooled, m.Labels) / 4
			}
			m.Calibration.Unknown.Threshold = threshold
			p := written(t, m, LogMel)
			values := evaluate(&p.graph, arrayOf(rows, 4, 20, m.Net.Inputs))
			agree(t, m, values, want)
			if sum := floats.Sum(values[Probabilities].data); (math.Abs(sum-4) < 1e-6) != hasUnknown {
				t.Errorf("%s, _unknown_ is a label: %v: probabilities add up to %g", score, hasUnknown, sum)
			}
		}
	}
}

// TestCalibrationRoundTrip: the scaling, which is in the exported weights, is not applied once more.
func TestCalibrationRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, score := range confidence.Unfamiliarities {
		m := calibrated(score, true, rng)
		f, err := Read(bytes.NewReader(exported(t, m, LogMel)))
		if err != nil {
			t.Fatal(err)
		}
		var back polynet.Model
		if err := back.SetMetadata(f.Metadata()); err != nil {
			t.Fatal(err)
		}
		d, err := f.StateDict(back.Net)
		if err == nil {
			err = back.SetStateDict(d)
		}
		if err != nil {
			t.Fatal(err)
		}
		if back.Calibration.Scaling != nil || *back.Calibration.Unknown != *m.Calibration.Unknown {
			t.Errorf("imported calibration %v", back.Calibration)
		}
		if !bytes.Equal(exported(t, &back, LogMel), exported(t, m, LogMel)) {
			t.Errorf("%s: another file", score)
		}
	}
}
