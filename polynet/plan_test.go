package polynet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
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
	return m
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

// plainNet computes a network straight from the equations, in float64, without padding rows, folding or in-place work.
type plainNet struct{ m *Model }

type plainRows [][]float64

func (n plainNet) weight(name string) []float32 { return n.m.Weights[name].Data().([]float32) }

// conv computes y[t][o] = Σ over k, i of w[k][i][o]·x[t·stride − (kernel−1−ahead) + k][i].
func (n plainNet) conv(name string, x plainRows, ahead, stride int) plainRows {
	w := n.m.Weights[name+".weight"]
	kernel, in, out := w.Shape()[0], w.Shape()[1], w.Shape()[2]
	values := n.weight(name + ".weight")
	var y plainRows
	for t := 0; t < len(x); t += stride {
		row := make([]float64, out)
		for k := range kernel {
			at := t - (kernel - 1 - ahead) + k
			if at < 0 || at >= len(x) {
				continue
			}
			for i := range in {
				for o := range out {
					row[o] += float64(values[(k*in+i)*out+o]) * x[at][i]
				}
			}
		}
		y = append(y, row)
	}
	return y
}

func (n plainNet) norm(name string, x plainRows) plainRows {
	return combine(x, nil, func(c int, v, _ float64) float64 {
		deviation := math.Sqrt(float64(n.weight(name + ".running_var")[c]) + 1e-5)
		v = (v - float64(n.weight(name + ".running_mean")[c])) / deviation
		return v*float64(n.weight(name + ".weight")[c]) + float64(n.weight(name + ".bias")[c])
	})
}

// combine applies f to each channel and element of x, and y where given.
func combine(x, y plainRows, f func(c int, x, y float64) float64) plainRows {
	out := make(plainRows, len(x))
	for t := range x {
		out[t] = make([]float64, len(x[t]))
		for c := range x[t] {
			other := 0.0
			if y != nil {
				other = y[t][c]
			}
			out[t][c] = f(c, x[t][c], other)
		}
	}
	return out
}

func relu(x plainRows) plainRows {
	return combine(x, nil, func(_ int, v, _ float64) float64 { return max(v, 0) })
}

func (n plainNet) block(name string, x plainRows, ahead, stride int) plainRows {
	hidden := n.norm(name+".norm1", n.conv(name+".conv1", x, ahead, stride))
	if n.m.Net.Block == ReLU {
		hidden = relu(hidden)
	}
	f := n.norm(name+".norm2", n.conv(name+".conv2", hidden, ahead, 1))
	s := x
	if _, ok := n.m.Weights[name+".skip.conv.weight"]; ok {
		s = n.norm(name+".skip.norm", n.conv(name+".skip.conv", x, 0, stride))
	}
	sum := combine(f, s, func(_ int, f, s float64) float64 { return f + s })
	product := combine(f, s, func(_ int, f, s float64) float64 { return f * s })
	switch n.m.Net.Block {
	case ReLU:
		return relu(sum)
	case Linear:
		return sum
	case Pi1x1:
		product = n.conv(name+".product.conv", product, 0, 1)
	}
	a := float64(n.weight(name + ".product.scale")[0])
	product = n.norm(name+".product.norm", product)
	return combine(sum, product, func(_ int, sum, p float64) float64 { return sum + a*p })
}

// logits returns the logits of one clip of unnormalised rows: the mean of its rows' logits.
func (n plainNet) logits(rows []float32) []float64 {
	x := n.rowLogits(rows)
	return x.mean(0, len(x)-1)
}

// mean returns the mean of rows first up to last, that one included.
func (x plainRows) mean(first, last int) []float64 {
	mean := make([]float64, len(x[first]))
	for _, row := range x[first : last+1] {
		for i, v := range row {
			mean[i] += v / float64(last+1-first)
		}
	}
	return mean
}

// rowLogits returns what the head makes of each row of the last stage.
func (n plainNet) rowLogits(rows []float32) plainRows {
	c := n.m.Net
	var x plainRows
	for t := 0; t < len(rows); t += c.Inputs {
		row := make([]float64, c.Inputs)
		for i := range row {
			row[i] = (float64(rows[t+i]) - float64(n.m.Norm.Mean[i])) / float64(n.m.Norm.Std[i])
			if limit := float64(n.m.Norm.Limit); limit > 0 {
				row[i] = max(-limit, min(row[i], limit))
			}
		}
		x = append(x, row)
	}
	x = n.norm("stem.norm", n.conv("stem.conv", x, c.Stem.Ahead, c.Stem.Stride))
	if c.Block == ReLU {
		x = relu(x)
	}
	for i, s := range c.Stages {
		for j := range s.Blocks {
			stride := 1
			if j == 0 {
				stride = s.Stride
			}
			x = n.block(fmt.Sprintf("stages.%d.%d", i, j), x, s.Ahead, stride)
		}
	}
	logits := make(plainRows, len(x))
	for t, row := range x {
		logits[t] = make([]float64, c.Classes)
		for o := range logits[t] {
			logits[t][o] = float64(n.weight("head.bias")[o])
			for i, v := range row {
				logits[t][o] += v * float64(n.weight("head.weight")[i*c.Classes+o])
			}
		}
	}
	return logits
}

// planConfigs are networks in which every kind of convolution and skip occurs.
func planConfigs(kind BlockKind) []Config {
	return []Config{
		{
			Inputs: 7, Classes: 3, Block: kind, Stem: Stem{Width: 5, Kernel: 4, Ahead: 1, Stride: 1},
			Stages: []Stage{
				{Width: 5, Blocks: 2, Kernel: 3, Ahead: 1, Stride: 1},
				{Width: 8, Blocks: 2, Kernel: 5, Ahead: 0, Stride: 2},
				{Width: 8, Blocks: 1, Kernel: 2, Ahead: 1, Stride: 3},
			},
		},
		{
			Inputs: 16, Classes: 4, Block: kind, Stem: Stem{Width: 16, Kernel: 1, Ahead: 0, Stride: 2},
			Stages: []Stage{{Width: 16, Blocks: 1, Kernel: 9, Ahead: 8, Stride: 1}, {Width: 17, Blocks: 1, Kernel: 1, Stride: 1}},
		},
	}
}

func TestPlanComputesTheEquations(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Device) {
		for _, kind := range BlockKinds {
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
	onDevices(t, func(t *testing.T, d device.Device) {
		for _, kind := range BlockKinds {
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
	onDevices(t, func(t *testing.T, d device.Device) {
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
	if raceEnabled() {
		t.Skip("under the race detector, pools drop what they are given")
	}
	cpu, err := device.CPU(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range BlockKinds {
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
