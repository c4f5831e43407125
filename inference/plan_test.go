package inference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/race"
	"gorgonia.org/tensor"
)

// randomModel returns a model of network c with weights that make every term matter: norms that scale and shift, a
// product factor that is not 0.
func randomModel(c Config, rng *rand.Rand) *Model {
	f := features.Default()
	f.Mels = c.Inputs
	m := &Model{
		Features: f, Window: 0.2, Net: c, Temperature: 1.5, Weights: map[string]*tensor.Dense{},
		Provenance: Provenance{Command: "test", Seed: 7, Metrics: map[string]float64{"valid_accuracy": 12.5}},
	}
	for i := range c.Classes {
		m.Labels = append(m.Labels, fmt.Sprintf("label %d", i))
	}
	for range c.Inputs {
		m.Norm.Mean = append(m.Norm.Mean, -6+rng.Float32())
		m.Norm.Std = append(m.Norm.Std, 2+rng.Float32())
	}
	for _, s := range c.WeightShapes() {
		m.Weights[s.Name] = randomWeight(s, rng)
	}
	if c.Block.Decomposition() || c.Block == DPoly {
		m.settle()
	}
	return m
}

// settle sets the norms' statistics to what they are of random rows: polynomials of high degrees otherwise grow beyond all bounds.
func (m *Model) settle() {
	const batch, frames = 8, 40
	d, err := device.CPU(1)
	if err != nil {
		panic(err)
	}
	n, err := NewNetwork(m.Net, d, seeded(1))
	if err != nil {
		panic(err)
	}
	if err := n.SetWeights(m.Weights); err != nil {
		panic(err)
	}
	rng := seeded(2)
	p := NewPass(n, rng)
	p.Train = true
	for range 60 {
		n.Forward(p, p.Input(normals(rng, batch*frames*m.Net.Inputs), batch, frames))
	}
	m.Weights = n.Weights()
}

func randomWeight(s WeightShape, rng *rand.Rand) *tensor.Dense {
	values := make([]float32, s.Len())
	for i := range values {
		values[i] = 0.5 + rng.Float32() // of a norm: positive
		if len(s.Shape) > 1 {
			fan := float64(s.Len()) / float64(s.Shape[len(s.Shape)-1])
			values[i] = float32(rng.NormFloat64() / math.Sqrt(fan))
		}
	}
	return tensor.New(tensor.WithShape(s.Shape...), tensor.WithBacking(values))
}

// planConfigs are networks in which every kind of convolution and skip occurs.
func planConfigs(kind BlockKind) []Config {
	return []Config{
		{
			Inputs: 7, Classes: 3, Block: kind, Degree: someDegree(kind), Stem: Stem{Width: 5, Kernel: 4, Ahead: 1, Stride: 1},
			Stages: []Stage{
				{Width: 5, Blocks: 2, Kernel: 3, Ahead: 1, Stride: 1},
				{Width: 8, Blocks: 2, Kernel: 5, Ahead: 0, Stride: 2},
				{Width: 8, Blocks: 1, Kernel: 2, Ahead: 1, Stride: 3},
			},
		},
		{
			Inputs: 16, Classes: 4, Block: kind, Degree: someDegree(kind), Stem: Stem{Width: 16, Kernel: 1, Ahead: 0, Stride: 2},
			Stages: []Stage{{Width: 16, Blocks: 1, Kernel: 9, Ahead: 8, Stride: 1}, {Width: 17, Blocks: 1, Kernel: 1, Stride: 1}},
		},
	}
}

func TestPlanComputesTheEquations(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range BlockKinds() {
			for i, c := range planConfigs(kind) {
				m := randomModel(c, seeded(uint64(i)))
				plan, err := m.Compile(d)
				if err != nil {
					t.Fatal(err)
				}
				for _, frames := range []int{1, 2, 13, 24, 31} {
					testPlan(t, fmt.Sprintf("%s net %d, %d frames", kind, i, frames), m, plan, frames)
				}
			}
		}
	})
}

// testPlan compares a session's logits with the plain network's, for batches of several sizes in one session.
func testPlan(t *testing.T, name string, m *Model, plan *Plan, frames int) {
	t.Helper()
	const batch = 3
	rng := seeded(uint64(frames))
	s := plan.Session(batch, frames)
	for _, n := range []int{batch, 1, 2, batch} {
		rows := make([]float32, n*frames*m.Net.Inputs)
		for i := range rows {
			rows[i] = float32(-6 + 3*rng.NormFloat64())
		}
		var want []float32
		for g := range n {
			for _, v := range (plainNet{m}).logits(rows[g*len(rows)/n : (g+1)*len(rows)/n]) {
				want = append(want, float32(v))
			}
		}
		near(t, fmt.Sprintf("%s, batch of %d", name, n), s.Run(rows, n), want, 1e-4)
	}
}

func TestPlanAgreesWithNetwork(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range BlockKinds() {
			c := planConfigs(kind)[0]
			m := randomModel(c, seeded(3))
			net, err := NewNetwork(c, d, seeded(4))
			if err != nil {
				t.Fatal(err)
			}
			if err := net.SetWeights(m.Weights); err != nil {
				t.Fatal(err)
			}
			plan, err := m.Compile(d)
			if err != nil {
				t.Fatal(err)
			}
			const batch, frames = 4, 29
			rows := normals(seeded(5), batch*frames*c.Inputs)
			got := plan.Session(batch, frames).Run(rows, batch)
			m.Norm.Apply(rows)
			pass := NewPass(net, nil)
			want := net.Forward(pass, pass.Input(rows, batch, frames))
			near(t, string(kind), got, rowsOf(d, want), 1e-4)
		}
	})
}

// The mean over some frames is that of their rows alone, and the mean over all is the plain one.
func TestSessionPools(t *testing.T) {
	m := randomModel(planConfigs(Pi)[0], seeded(3))
	const frames = 25
	stride := m.Net.totalStride()
	rows := normals(seeded(5), frames*m.Net.Inputs)
	onDevices(t, func(t *testing.T, d device.Trainer) {
		plan, err := m.Compile(d)
		if err != nil {
			t.Fatal(err)
		}
		s := plan.Session(1, frames)
		whole := append([]float32(nil), s.Run(rows, 1)...)
		s.Pool(0, frames)
		if !slices.Equal(s.Run(rows, 1), whole) {
			t.Error("the range of all frames gives other logits than no range")
		}
		mean := make([]float32, len(whole)) // of the rows one by one: the head is linear
		for first := 0; first < frames; first += stride {
			s.Pool(first, stride)
			for i, v := range s.Run(rows, 1) {
				mean[i] += v / float32(ceilDiv(frames, stride))
			}
		}
		near(t, "mean of rows", mean, whole, 1e-5)
	})
}

func TestSessionsShareOnePlan(t *testing.T) {
	m := randomModel(planConfigs(Pi1x1)[0], seeded(1))
	plan, err := m.Compile(device.Ref())
	if err != nil {
		t.Fatal(err)
	}
	const frames = 20
	rows := normals(seeded(2), frames*m.Net.Inputs)
	want := append([]float32(nil), plan.Session(1, frames).Run(rows, 1)...)
	results := make(chan []float32)
	for range 4 {
		go func() {
			s := plan.Session(2, frames)
			s.Run(append(normals(seeded(9), len(rows)), rows...), 2)
			results <- append([]float32(nil), s.Run(rows, 1)...)
		}()
	}
	for range 4 {
		near(t, "concurrent session", <-results, want, 0)
	}
}

func TestSessionRunAllocatesNothing(t *testing.T) {
	if race.Enabled() {
		t.Skip("under the race detector, pools drop what they are given")
	}
	cpu, err := device.CPU(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range BlockKinds() {
		m := randomModel(planConfigs(kind)[0], seeded(1))
		plan, err := m.Compile(cpu)
		if err != nil {
			t.Fatal(err)
		}
		const batch, frames = 2, 20
		s := plan.Session(batch, frames)
		rows := normals(seeded(2), batch*frames*m.Net.Inputs)
		if n := testing.AllocsPerRun(10, func() { s.Run(rows, batch) }); n != 0 {
			t.Errorf("%s: a run allocates %g times", kind, n)
		}
	}
}

func TestSessionRefusesOtherShapes(t *testing.T) {
	m := randomModel(planConfigs(Pi)[0], seeded(1))
	plan, err := m.Compile(device.Ref())
	if err != nil {
		t.Fatal(err)
	}
	s := plan.Session(2, 10)
	for _, c := range []struct{ values, batch int }{{10 * 7, 2}, {3 * 10 * 7, 3}, {0, 0}, {11 * 7, 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d values as %d clips were taken", c.values, c.batch)
				}
			}()
			s.Run(make([]float32, c.values), c.batch)
		}()
	}
}

func TestCompileRefusesInconsistentModels(t *testing.T) {
	m := randomModel(planConfigs(Pi)[0], seeded(1))
	delete(m.Weights, "stages.1.1.norm2.bias")
	if _, err := m.Compile(device.Ref()); err == nil {
		t.Error("a model without one of its weights was compiled")
	}
}
