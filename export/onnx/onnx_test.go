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

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// randomModel returns a small model of random shape whose weights, statistics and normalisation all matter.
func randomModel(t testing.TB, kind polynet.BlockKind, rng *rand.Rand) *polynet.Model {
	t.Helper()
	f := features.Default()
	f.FFT, f.Window, f.Hop, f.Mels = 128, 64+rng.IntN(65), 30+rng.IntN(20), 1+rng.IntN(8)
	f.Rate, f.MaxHz = 4000, 1900
	if rng.IntN(2) == 0 {
		f.Scale = features.Slaney
	}
	m := &polynet.Model{
		Features: f, Window: 0.5, Temperature: 0.5 + rng.Float64(), Provenance: polynet.Provenance{Seed: 3, Command: "train fit"},
		Norm: features.Norm{Mean: uniform(rng, f.Mels, -5, -1), Std: uniform(rng, f.Mels, 0.5, 2), Limit: float32(rng.IntN(3))},
		Net:  polynet.Config{Inputs: f.Mels, Classes: 1 + rng.IntN(5), Block: kind, Degree: degree(kind, rng), Stem: polynet.Stem{Width: 1 + rng.IntN(6), Stride: 1 + rng.IntN(3)}},
	}
	m.Net.Stem.Kernel, m.Net.Stem.Ahead = kernel(rng)
	for range 1 + rng.IntN(3) {
		s := polynet.Stage{Width: 1 + rng.IntN(6), Blocks: 1 + rng.IntN(2), Stride: 1 + rng.IntN(3)}
		s.Kernel, s.Ahead = kernel(rng)
		m.Net.Stages = append(m.Net.Stages, s)
	}
	for i := range m.Net.Classes {
		m.Labels = append(m.Labels, string(rune('a'+i)))
	}
	randomWeights(t, m, rng)
	if kind.Decomposition() || kind == polynet.DPoly {
		settle(t, m, rng)
	}
	return m
}

// settle sets the norms' statistics to what they are of random rows, since polynomials of high degrees otherwise grow beyond all
// bounds.
func settle(t testing.TB, m *polynet.Model, rng *rand.Rand) {
	t.Helper()
	const batch, frames = 4, 60
	n, err := polynet.NewNetwork(m.Net, device.Ref(), rng)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.SetWeights(m.Weights); err != nil {
		t.Fatal(err)
	}
	p := polynet.NewPass(n, rng)
	p.Train = true
	for range 60 {
		rows := uniform(rng, batch*frames*m.Net.Inputs, -8, 3)
		m.Norm.Apply(rows)
		n.Forward(p, p.Input(rows, batch, frames))
	}
	m.Weights = n.Weights()
}

// degree returns a degree for kinds that have one to choose.
func degree(kind polynet.BlockKind, rng *rand.Rand) int {
	if kind.Decomposition() {
		return 2 + rng.IntN(2)
	}
	return 0
}

func kernel(rng *rand.Rand) (kernel, ahead int) {
	kernel = 1 + rng.IntN(6)
	return kernel, rng.IntN(kernel)
}

func randomWeights(t testing.TB, m *polynet.Model, rng *rand.Rand) {
	t.Helper()
	n, err := polynet.NewNetwork(m.Net, device.Ref(), rng)
	if err != nil {
		t.Fatal(err)
	}
	m.Weights = n.Weights()
	for _, w := range m.Net.WeightShapes() { // in an order that does not change
		values := m.Weights[w.Name].Data().([]float32)
		for i := range values {
			values[i] = 0.7*values[i] + 0.3*rng.Float32() - 0.1 // the variances stay positive, and a polynomial of moderate size
		}
	}
}

func uniform(rng *rand.Rand, n int, low, high float32) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = low + (high-low)*rng.Float32()
	}
	return values
}

// written returns the graph that Write wrote, read back.
func written(t *testing.T, m *polynet.Model, opts ...Option) *modelProto {
	t.Helper()
	var file bytes.Buffer
	if err := Write(&file, m, opts...); err != nil {
		t.Fatal(err)
	}
	p, err := read(&file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// logits returns polyphon's own answer.
func logits(t *testing.T, m *polynet.Model, rows []float32, batch int) []float32 {
	t.Helper()
	plan, err := m.Compile(device.Ref())
	if err != nil {
		t.Fatal(err)
	}
	return plan.Session(batch, len(rows)/batch/m.Net.Inputs).Run(rows, batch)
}

// agree compares the graph's outputs with polyphon's logits, relative to the largest.
func agree(t *testing.T, m *polynet.Model, values map[string]array, want []float32) {
	t.Helper()
	tolerance := 2e-5
	if m.Net.WholeClip() {
		tolerance = 1e-3 // the norm of a clip of few rows divides by what may be small
	}
	got, p := values[Logits], values[Probabilities]
	if len(got.data) != len(want) {
		t.Fatalf("%d logits, want %d", len(got.data), len(want))
	}
	largest := 1.0
	for _, v := range want {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i, v := range want {
		if e := math.Abs(got.data[i] - float64(v)); !(e <= tolerance*largest) {
			t.Fatalf("logit %d is %g, want %g (%+v)", i, got.data[i], v, m.Net)
		}
	}
	cooled := each1(got, func(v float64) float64 { return v / m.Temperature })
	for i, v := range softmax(cooled).data {
		if !(math.Abs(p.data[i]-v) <= 1e-6) {
			t.Fatalf("probability %d is %g, want %g", i, p.data[i], v)
		}
	}
}

func TestGraphGivesTheSessionsLogits(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		t.Run(string(kind), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			for range 25 {
				m := randomModel(t, kind, rng)
				batch, frames := 1+rng.IntN(3), 1+rng.IntN(30)
				rows := uniform(rng, batch*frames*m.Net.Inputs, -8, 3)
				p := written(t, m)
				values := evaluate(&p.graph, arrayOf(rows, batch, frames, m.Net.Inputs))
				agree(t, m, values, logits(t, m, rows, batch))
			}
		})
	}
}

func TestGraphWithFeaturesGivesTheSessionsLogits(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		t.Run(string(kind), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			for range 5 {
				m := randomModel(t, kind, rng)
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
				p := written(t, m, WithFeatures())
				values := evaluate(&p.graph, arrayOf(samples, batch, length))
				agree(t, m, values, logits(t, m, rows, batch))
			}
		})
	}
}

func TestFileSaysWhatItIs(t *testing.T) {
	m := randomModel(t, polynet.Pi, rand.New(rand.NewPCG(5, 6)))
	p := written(t, m, WithFeatures())
	if p.producer != "polyphon" || p.opset != Opset || p.doc == "" {
		t.Errorf("producer %q, opset %d, doc %q", p.producer, p.opset, p.doc)
	}
	var labels []string
	if err := json.Unmarshal([]byte(p.metadata["labels"]), &labels); err != nil || !slices.Equal(labels, m.Labels) {
		t.Errorf("labels %v, %v", labels, err)
	}
	var back polynet.Model
	if err := back.SetMetadata(p.metadata); err != nil {
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
	if name := p.graph.inputs[0].name; name != Samples {
		t.Errorf("the input is %q", name)
	}
	if name := written(t, m).graph.inputs[0].name; name != LogMel {
		t.Errorf("without features the input is %q", name)
	}
}

func TestSameModelSameBytes(t *testing.T) {
	m := randomModel(t, polynet.Pi1x1, rand.New(rand.NewPCG(7, 8)))
	var a, b bytes.Buffer
	for _, w := range []io.Writer{&a, &b} {
		if err := Write(w, m); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two files of one model differ")
	}
}

func TestWriteRefuses(t *testing.T) {
	m := randomModel(t, polynet.ReLU, rand.New(rand.NewPCG(9, 1)))
	var file bytes.Buffer
	huge := *m
	huge.Features = features.Config{
		Rate: 16000, FFT: 1 << 15, Window: 1 << 15, Hop: 1 << 14, Mels: m.Features.Mels, MinHz: 20, MaxHz: 8000, Floor: 1e-3, Scale: features.HTK,
	}
	if err := Write(&file, &huge, WithFeatures()); !errors.Is(err, features.ErrConfig) {
		t.Errorf("weights of 4 GB: %v", err)
	}
	m.Temperature = 0
	if err := Write(&file, m); !errors.Is(err, polynet.ErrModel) {
		t.Errorf("an invalid model: %v", err)
	}
	if file.Len() > 0 {
		t.Errorf("%d bytes were written", file.Len())
	}
}
