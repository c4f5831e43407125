package inference_test

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// realClips returns the log-mel rows of recordings of speech, a second each: 200 test clips where POLYPHON_DATA has
// them, else the examples.
func realClips(t *testing.T) (clips [][]float32) {
	t.Helper()
	paths, _ := filepath.Glob("../examples/*.wav")
	data := os.Getenv(need.Folder)
	if os.Getenv(need.CI) == "1" {
		data = need.Data(t)
	}
	if list, err := os.Open(filepath.Join(data, "speech_commands", "testing_list.txt")); err == nil {
		defer list.Close()
		paths = nil
		for lines := bufio.NewScanner(list); lines.Scan() && len(paths) < 200; {
			paths = append(paths, filepath.Join(data, "speech_commands", lines.Text()))
		}
	}
	config := features.Default()
	extractor, err := features.New(config)
	if err != nil {
		t.Fatal(err)
	}
	scratch := extractor.Scratch()
	for _, path := range paths {
		clip, err := audio.ReadFile(path, config.Rate)
		if err != nil {
			t.Fatal(err)
		}
		second := make([]float32, config.Rate)
		copy(second, clip.Samples)
		clips = append(clips, extractor.Rows(nil, second, scratch))
	}
	if len(clips) == 0 {
		t.Fatal("no recordings")
	}
	return clips
}

// TestRealClips holds a plan's logits to those of the equations, for the embedded model and for one of every block kind
// whose norms have the statistics of clips, so that nothing grows beyond what training would leave.
func TestRealClips(t *testing.T) {
	clips := realClips(t)
	embedded := models.Base()
	t.Run("embedded", func(t *testing.T) { agreeOnRealClips(t, embedded, clips) })
	need.Unraced(t, "slow, and it has nothing to find here")
	clips = clips[:min(len(clips), 40)]
	var some []float32 // rows, from the middle of each clip
	for _, clip := range clips {
		n := min(len(clip), statisticsRows/len(clips)*embedded.Net.Inputs)
		some = append(some, clip[(len(clip)-n)/2/embedded.Net.Inputs*embedded.Net.Inputs:][:n]...)
	}
	for _, kind := range polynet.BlockKinds() {
		t.Run(string(kind), func(t *testing.T) {
			agreeOnRealClips(t, withStatistics(kind, embedded, some), clips)
		})
	}
}

// statisticsRows is how many rows norms get their statistics from.
const statisticsRows = 240

// withStatistics returns a model of random weights whose norms' statistics are those of the rows.
func withStatistics(kind polynet.BlockKind, like *polynet.Model, rows []float32) *polynet.Model {
	config := polynet.Config{
		Inputs: like.Net.Inputs, Classes: like.Net.Classes, Block: kind,
		Stem: polynet.Stem{Width: 24, Kernel: 5, Ahead: 2, Stride: 1},
		Stages: []polynet.Stage{
			{Width: 24, Blocks: 2, Kernel: 9, Ahead: 4, Stride: 1}, {Width: 32, Blocks: 2, Kernel: 9, Ahead: 4, Stride: 2},
			{Width: 48, Blocks: 2, Kernel: 9, Stride: 2}, {Width: 64, Blocks: 2, Kernel: 9, Stride: 2},
		},
	}
	if kind.Decomposition() {
		config.Degree = 2
	}
	m := *like
	m.Net, m.Weights = config, polynet.Weights{}
	rng := nettest.Rand(1)
	for _, w := range config.Program().Weights {
		values := make([]float32, w.Len())
		for i := range values {
			values[i] = w.Init
			if len(w.Shape) > 1 {
				values[i] = float32(rng.NormFloat64() / math.Sqrt(float64(w.Len())/float64(w.Shape[len(w.Shape)-1])))
			} else if w.Shape[0] == 1 {
				values[i] = 0.2 // the product's factor, which begins at 0
			}
		}
		m.Weights[w.Name] = tensor.New(tensor.WithShape(w.Shape...), tensor.WithBacking(values))
	}
	rows = slices.Clone(rows)
	m.Norm.Apply(rows)
	p := config.Program()
	for i, s := range p.Steps {
		if s.Norm.Name == "" {
			continue
		}
		// The norm's input is the last tensor of the program up to it, and the product norm's that of a product of its own.
		conv := polynet.Step{
			Op: s.Op, Width: s.Width, X: s.X, In: s.In, Kernel: s.Kernel, Ahead: s.Ahead, Stride: s.Stride, Weight: s.Weight,
		}
		setStatistics(&m, s.Norm, rows, append(slices.Clone(p.Steps[:i]), conv))
		if s.ProductNorm.Name != "" {
			conv.Norm = s.Norm
			setStatistics(&m, s.ProductNorm, rows, append(slices.Clone(p.Steps[:i]), conv, polynet.Step{
				Op: polynet.OpProduct, Width: s.Width, X: polynet.Output(i), Y: s.Skip,
			}))
		}
	}
	return &m
}

// setStatistics sets a norm's running statistics to those of what the steps make of the rows.
func setStatistics(m *polynet.Model, n polynet.Norm, rows []float32, steps []polynet.Step) {
	p := &polynet.Program{Inputs: m.Net.Inputs, Steps: steps}
	x := nettest.Plain{Program: p, Weights: m.Weights}.Run(nettest.Float64(rows, m.Net.Inputs))
	mean := x.Mean(0, len(x)-1)
	variance := make([]float64, len(mean))
	for _, row := range x {
		for c, v := range row {
			variance[c] += (v - mean[c]) * (v - mean[c]) / float64(len(x))
		}
	}
	for c := range mean {
		m.Weights[n.Name+".running_mean"].Data().([]float32)[c] = float32(mean[c])
		m.Weights[n.Name+".running_var"].Data().([]float32)[c] = float32(variance[c])
	}
}

func agreeOnRealClips(t *testing.T, m *polynet.Model, clips [][]float32) {
	t.Helper()
	cpu, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := inference.Compile(m, cpu)
	if err != nil {
		t.Fatal(err)
	}
	got := plan.Clips(len(clips), len(clips[0])/m.Net.Inputs).Run(slices.Concat(clips...), len(clips))
	want := make([][]float64, len(clips))
	var all sync.WaitGroup
	for worker := range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := worker; i < len(clips); i += runtime.GOMAXPROCS(0) {
				want[i] = nettest.Logits(m, clips[i])
			}
		})
	}
	all.Wait()
	worst, largest := 0.0, 0.0
	for i, v := range slices.Concat(want...) {
		worst = max(worst, math.Abs(float64(got[i])-v))
		largest = max(largest, math.Abs(v))
	}
	t.Logf("%d clips, logits up to %.1f: largest difference %.2g", len(clips), largest, worst)
	if !(worst <= 1e-4) {
		t.Errorf("logits differ by up to %g", worst)
	}
}
