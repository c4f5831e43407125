package inference_test

import (
	"bufio"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// realClips returns the log-mel rows of recordings of speech, a second each: 200 test clips where POLYPHON_DATA has them,
// else the examples.
func realClips(t *testing.T) (rows []float32, clips int) {
	t.Helper()
	paths, _ := filepath.Glob("../examples/*.wav")
	data := os.Getenv("POLYPHON_DATA")
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
		rows = extractor.Rows(rows, second, scratch)
	}
	if len(paths) == 0 {
		t.Fatal("no recordings")
	}
	return rows, len(paths)
}

// TestPlanAgreesWithNetworkOnRealClips holds the compiled plan's logits to those of the network that is trained, for the
// embedded model and for one of every block kind whose norms have seen the clips, so that nothing grows beyond what
// training would leave.
func TestPlanAgreesWithNetworkOnRealClips(t *testing.T) {
	rows, clips := realClips(t)
	cpu, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	embedded := models.Base()
	t.Run("embedded", func(t *testing.T) { agreeOnRealClips(t, cpu, embedded, rows, clips) })
	some := min(clips, 40) // whose norms take sixty passes to settle
	rows = rows[:len(rows)/clips*some]
	for _, kind := range polynet.BlockKinds() {
		t.Run(string(kind), func(t *testing.T) {
			agreeOnRealClips(t, cpu, settled(t, cpu, kind, embedded, rows, some), rows, some)
		})
	}
}

// degree returns a degree for kinds that have one to choose.
func degree(kind polynet.BlockKind) int {
	if kind.Decomposition() {
		return 2
	}
	return 0
}

// settled returns a model of random weights whose norms' statistics are those of the clips.
func settled(t *testing.T, d device.Trainer, kind polynet.BlockKind, like *polynet.Model, rows []float32, clips int) *polynet.Model {
	t.Helper()
	m := *like
	m.Net = polynet.Config{
		Inputs: m.Net.Inputs, Classes: m.Net.Classes, Block: kind, Degree: degree(kind), Stem: polynet.Stem{Width: 24, Kernel: 5, Ahead: 2, Stride: 1},
		Stages: []polynet.Stage{
			{Width: 24, Blocks: 2, Kernel: 9, Ahead: 4, Stride: 1}, {Width: 32, Blocks: 2, Kernel: 9, Ahead: 4, Stride: 2},
			{Width: 48, Blocks: 2, Kernel: 9, Stride: 2}, {Width: 64, Blocks: 2, Kernel: 9, Stride: 2},
		},
	}
	net, err := polynet.NewNetwork(m.Net, d, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range net.Params() {
		if p.Size() == 1 { // the product's factor, which begins at 0
			d.Upload(p.Value, []float32{0.2})
		}
	}
	pass := polynet.NewPass(net, rand.New(rand.NewPCG(3, 4)))
	pass.Train = true
	normalised := append([]float32(nil), rows...)
	m.Norm.Apply(normalised)
	for range 60 {
		net.Forward(pass, pass.Input(normalised, clips, len(rows)/clips/m.Net.Inputs))
	}
	m.Weights = net.Weights()
	return &m
}

func agreeOnRealClips(t *testing.T, d device.Trainer, m *polynet.Model, rows []float32, clips int) {
	t.Helper()
	frames := len(rows) / clips / m.Net.Inputs
	plan, err := m.Compile(d)
	if err != nil {
		t.Fatal(err)
	}
	got := plan.Session(clips, frames).Run(rows, clips)
	net, err := polynet.NewNetwork(m.Net, d, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	if err := net.SetWeights(m.Weights); err != nil {
		t.Fatal(err)
	}
	normalised := append([]float32(nil), rows...)
	m.Norm.Apply(normalised)
	pass := polynet.NewPass(net, nil)
	logits := net.Forward(pass, pass.Input(normalised, clips, frames))
	want := make([]float32, len(got))
	d.Download(want, logits.Data.Slice(0, len(want)))
	worst, largest := 0.0, 0.0
	for i := range want {
		worst = max(worst, math.Abs(float64(got[i])-float64(want[i])))
		largest = max(largest, math.Abs(float64(want[i])))
	}
	t.Logf("%d clips, logits up to %.1f: largest difference %.2g", clips, largest, worst)
	if !(worst <= 1e-4) {
		t.Errorf("logits differ by up to %g", worst)
	}
}
