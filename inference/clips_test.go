package inference

import (
	"fmt"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

func TestClipsComputeTheEquations(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Device) {
		for _, kind := range polynet.BlockKinds() {
			for i, c := range nettest.Configs(kind) {
				m := nettest.RandomModel(c, nettest.Rand(uint64(i)))
				p := newPlan(t, m, d)
				for _, frames := range []int{1, 2, 13, 24, 31} {
					testClips(t, fmt.Sprintf("%s net %d, %d frames", kind, i, frames), p, frames)
				}
			}
		}
	})
}

// testClips compares logits and pooled features with the plain network's, for batches of several sizes in the same
// Clips.
func testClips(t *testing.T, name string, p *Plan, frames int) {
	t.Helper()
	const batch = 3
	rng := nettest.Rand(uint64(frames))
	m, c := p.Model(), p.Clips(batch, frames)
	for _, n := range []int{batch, 1, 2, batch} {
		rows := nettest.Normals(rng, n*frames*m.Net.Inputs)
		for i := range rows {
			rows[i] = 3*rows[i] - 6
		}
		var logits, embeddings []float32
		for clip := range slices.Chunk(rows, frames*m.Net.Inputs) {
			logits = append(logits, float32s(nettest.Logits(m, clip))...)
			embeddings = append(embeddings, plainEmbedding(m, clip)...)
		}
		name := fmt.Sprintf("%s, batch of %d", name, n)
		nettest.Near(t, name, c.Run(rows, n), logits, 1e-4)
		nettest.Near(t, name+", embeddings", c.Embeddings(n), embeddings, 1e-4)
	}
}

// plainEmbedding returns the mean over time of the network's last rows of channels.
func plainEmbedding(m *polynet.Model, rows []float32) []float32 {
	rows = slices.Clone(rows)
	m.Norm.Apply(rows)
	p := *m.Net.Program()
	p.Steps = p.Steps[:len(p.Steps)-1] // without the linear layer
	return float32s(nettest.Plain{Program: &p, Weights: m.Weights}.Run(nettest.Float64(rows, p.Inputs))[0])
}

func float32s(values []float64) []float32 {
	list := make([]float32, len(values))
	for i, v := range values {
		list[i] = float32(v)
	}
	return list
}

// The mean over some frames is that of their rows alone, and the mean over all is the plain one.
func TestClipsPool(t *testing.T) {
	m := configModel(polynet.Pi, 3)
	const frames = 25
	stride := m.Net.Program().Reach().Stride
	rows := nettest.Normals(nettest.Rand(5), frames*m.Net.Inputs)
	onDevices(t, func(t *testing.T, d device.Device) {
		c := newPlan(t, m, d).Clips(1, frames)
		whole := slices.Clone(c.Run(rows, 1))
		c.Pool(0, frames)
		if !slices.Equal(c.Run(rows, 1), whole) {
			t.Error("the range of all frames gives other logits than no range")
		}
		mean := make([]float32, len(whole)) // of the rows one by one: the head is linear
		for first := 0; first < frames; first += stride {
			c.Pool(first, stride)
			for i, v := range c.Run(rows, 1) {
				mean[i] += v / float32(device.CeilDiv(frames, stride))
			}
		}
		nettest.Near(t, "mean of rows", mean, whole, 1e-5)
		c.Pool(0, 0)
		if !slices.Equal(c.Run(rows, 1), whole) {
			t.Error("without a range, the logits are not what they were")
		}
	})
}

func TestClipsShareOnePlan(t *testing.T) {
	m := configModel(polynet.Pi1x1, 1)
	p := newPlan(t, m, device.Ref())
	const frames = 20
	rows := nettest.Normals(nettest.Rand(2), frames*m.Net.Inputs)
	want := slices.Clone(p.Clips(1, frames).Run(rows, 1))
	results := make(chan []float32)
	for range 4 {
		go func() {
			c := p.Clips(2, frames)
			c.Run(append(nettest.Normals(nettest.Rand(9), len(rows)), rows...), 2)
			results <- slices.Clone(c.Run(rows, 1))
		}()
	}
	for range 4 {
		nettest.Near(t, "concurrent clips", <-results, want, 0)
	}
}

func TestClipsDoNotAllocate(t *testing.T) {
	need.Unraced(t, "pools drop what they are given")
	cpu := oneThread(t)
	for _, kind := range polynet.BlockKinds() {
		m := configModel(kind, 1)
		const batch, frames = 2, 20
		c := newPlan(t, m, cpu).Clips(batch, frames)
		rows := nettest.Normals(nettest.Rand(2), batch*frames*m.Net.Inputs)
		if n := testing.AllocsPerRun(10, func() { c.Run(rows, batch) }); n != 0 {
			t.Errorf("%s: a run allocates %g times", kind, n)
		}
		samples := noise(nettest.Rand(2), batch*(frames-1)*m.Features.Hop)
		if n := testing.AllocsPerRun(10, func() { c.RunSamples(samples, batch) }); n != 0 {
			t.Errorf("%s: a run over samples allocates %g times", kind, n)
		}
	}
}

// TestRunSamplesIsRunOfRows compares the logits of samples with those of the extractor's rows, where the processor
// computes the features and where the device does.
func TestRunSamplesIsRunOfRows(t *testing.T) {
	m := configModel(polynet.Pi, 1)
	const batch, length = 3, 4000
	e, err := features.New(m.Features)
	if err != nil {
		t.Fatal(err)
	}
	onDevices(t, func(t *testing.T, d device.Device) {
		plain := newProbe(d)
		for _, d := range []device.Device{plain, logMelProbe{plain, m, e}} {
			p := newPlan(t, m, d)
			if _, ok := d.(device.LogMeler); ok != (p.logMel != nil) {
				t.Errorf("features on the device: %v, want %v", !ok, ok)
			}
			c := p.Clips(batch, m.Features.Frames(length))
			for _, n := range []int{1, batch, 2} {
				samples := noise(nettest.Rand(uint64(n)), n*length)
				var rows []float32
				for clip := range slices.Chunk(samples, length) {
					rows = e.Rows(rows, clip, e.Scratch())
				}
				want := slices.Clone(c.Run(rows, n))
				nettest.Near(t, fmt.Sprintf("%d sounds", n), c.RunSamples(samples, n), want, 0)
			}
			c.Close()
			p.Close()
			if n, _ := plain.buffers(); n != 0 {
				t.Errorf("%d buffers were not freed", n)
			}
		}
	})
}

func TestClipsRefuseOtherShapes(t *testing.T) {
	p := newPlan(t, configModel(polynet.Pi, 1), device.Ref())
	for _, size := range [][2]int{{0, 1}, {1, 0}, {-1, 10}} {
		if !panics(func() { p.Clips(size[0], size[1]) }) {
			t.Errorf("%d clips of %d frames were made", size[0], size[1])
		}
	}
	c := p.Clips(2, 10)
	for _, run := range []struct{ values, batch int }{{10 * 7, 2}, {3 * 10 * 7, 3}, {0, 0}, {11 * 7, 1}} {
		if !panics(func() { c.Run(make([]float32, run.values), run.batch) }) {
			t.Errorf("%d values as %d clips were taken", run.values, run.batch)
		}
	}
	for _, run := range []struct{ samples, batch int }{{9 * 160, 0}, {27 * 160, 3}, {9*160 + 1, 2}, {10 * 160, 1}} {
		if !panics(func() { c.RunSamples(make([]float32, run.samples), run.batch) }) {
			t.Errorf("%d samples of %d sounds were taken", run.samples, run.batch)
		}
	}
	for _, frames := range [][2]int{{-1, 3}, {10, 3}, {12, 1}} {
		c.Pool(frames[0], frames[1])
		if !panics(func() { c.Run(make([]float32, 10*7), 1) }) {
			t.Errorf("the mean over %d frames from %d on was taken", frames[1], frames[0])
		}
	}
}
