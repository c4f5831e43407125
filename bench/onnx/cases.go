package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/compress"
	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// lengths are the samples of the sounds, so that time varies: windows of the embedded model, and an odd part of one.
var lengths = []int{16000, 5003}

// soundsFile is a list of sounds.
const soundsFile = "sounds.json"

// sounds are clips of one length. Name.samples holds (Clips, Samples), Name.rows (Clips, Frames, Mels), not normalised.
type sounds struct {
	Name                         string
	Clips, Samples, Frames, Mels int
}

// cases writes model files, and sounds with the list of them.
func cases(args []string) error {
	flags := flag.NewFlagSet("cases", flag.ContinueOnError)
	data := flags.String("data", "", "folder of Speech Commands, whose test clips are taken; without it, the examples")
	maxClips := flags.Int("clips", 200, "clips to take")
	if err := flags.Parse(args); err != nil {
		return err
	}
	out := flags.Arg(0)
	embedded := models.Base()
	clips, err := readClips(*data, *maxClips, embedded.Features.Rate)
	if err != nil {
		return err
	}
	rows, err := writeSounds(out, embedded.Features, clips)
	if err != nil {
		return err
	}
	if err := embedded.Save(filepath.Join(out, "embedded.safetensors")); err != nil {
		return err
	}
	for i, score := range confidence.Unfamiliarities {
		m := calibrated(embedded, score, i%2 == 0)
		if err := m.Save(filepath.Join(out, "unknown-"+string(score)+".safetensors")); err != nil {
			return err
		}
	}
	if err := writeNarrow(out, rows, len(clips)); err != nil {
		return err
	}
	embedded.Norm.Apply(rows)
	mels := embedded.Features.Mels
	normalised := nettest.Float64(rows[:min(len(rows), 2000*mels)], mels)
	for _, kind := range polynet.BlockKinds() {
		m := randomModel(kind, embedded, normalised)
		if err := m.Save(filepath.Join(out, string(kind)+".safetensors")); err != nil {
			return err
		}
	}
	return nil
}

// writeNarrow writes the small model with narrow weights. rows are features of clips.
func writeNarrow(out string, rows []float32, clips int) error {
	dev, err := device.CPU(1)
	if err != nil {
		return err
	}
	small := models.Small()
	data := compress.Data{
		Device: dev, Rows: rows, Clips: clips, Frames: len(rows) / clips / small.Features.Mels,
		Accuracy: func(context.Context, *polynet.Model) (float64, error) { return 100, nil }, // stem and head are narrow, too
	}
	for _, weights := range []polynet.Precision{polynet.Int8, polynet.Ternary} {
		m, _, err := (&compress.Quantise{Weights: weights}).Apply(context.Background(), small, data)
		if err != nil {
			return err
		}
		if err := m.Save(filepath.Join(out, "narrow-"+weights.String()+".safetensors")); err != nil {
			return err
		}
	}
	return nil
}

// calibrated returns a model with a scaling that tells unknown sounds by a score, at thresholds that some of the clips
// reach. It keeps the class _unknown_, or gives it another name, so that there is none.
func calibrated(like *polynet.Model, score confidence.Unfamiliarity, keep bool) *polynet.Model {
	m := *like
	m.Temperature = 1.5
	if m.Labels = slices.Clone(like.Labels); !keep {
		m.Labels[slices.Index(m.Labels, polynet.UnknownLabel)] = "other"
	}
	scaling := new(confidence.Scaling)
	for i := range m.Labels {
		scaling.Scale = append(scaling.Scale, 0.8+0.4*float64(i%3))
		scaling.Shift = append(scaling.Shift, 0.5*float64(i%4))
	}
	u := &confidence.Unknown{Score: score, Threshold: 0.2, Slope: 8}
	if score == confidence.MaxLogit || score == confidence.Energy {
		u.Threshold = -5
	}
	m.Calibration = &confidence.Calibration{Scaling: scaling, Unknown: u}
	return &m
}

// readClips returns up to maxClips recordings.
func readClips(data string, maxClips, rate int) ([]audio.Clip, error) {
	paths, err := filepath.Glob("examples/*.wav")
	if err != nil {
		return nil, err
	}
	if data != "" {
		if paths, err = readList(data, maxClips); err != nil {
			return nil, err
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no recordings")
	}
	clips := make([]audio.Clip, len(paths))
	for i, path := range paths {
		if clips[i], err = audio.ReadFile(path, rate); err != nil {
			return nil, err
		}
	}
	return clips, nil
}

// readList returns the paths of the first test clips.
func readList(data string, maxClips int) (paths []string, err error) {
	list, err := os.Open(filepath.Join(data, "testing_list.txt"))
	if err != nil {
		return nil, err
	}
	defer list.Close()
	for lines := bufio.NewScanner(list); lines.Scan() && len(paths) < maxClips; {
		paths = append(paths, filepath.Join(data, lines.Text()))
	}
	return paths, nil
}

// writeSounds writes the clips cut to each of the lengths, and returns the rows of the first.
func writeSounds(out string, f features.Config, clips []audio.Clip) (first []float32, err error) {
	e, err := features.New(f)
	if err != nil {
		return nil, err
	}
	var list []sounds
	for _, length := range lengths {
		s := sounds{Name: fmt.Sprint(length), Clips: len(clips), Samples: length, Frames: f.Frames(length), Mels: f.Mels}
		samples, rows := make([]float32, len(clips)*length), []float32(nil)
		for i, c := range clips {
			clip := samples[i*length:][:length]
			copy(clip, c.Samples)
			rows = e.Rows(rows, clip, e.Scratch())
		}
		for suffix, values := range map[string][]float32{".samples": samples, ".rows": rows} {
			if err := serve.WriteFloats(filepath.Join(out, s.Name+suffix), values); err != nil {
				return nil, err
			}
		}
		if first == nil {
			first = rows
		}
		list = append(list, s)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	return first, os.WriteFile(filepath.Join(out, soundsFile), text, 0o644)
}

// randomModel returns a model of the given blocks, otherwise like another one, with random weights and with the norms'
// statistics of normalised rows, so that its values are of the size that training would give.
func randomModel(kind polynet.BlockKind, like *polynet.Model, rows nettest.Rows) *polynet.Model {
	m := *like
	m.Net.Block, m.Net.Degree, m.Temperature = kind, 0, 1.5
	if kind.Decomposition() {
		m.Net.Degree = 2
	}
	if kind == polynet.Mu || kind == polynet.Star { // a few random blocks have a degree beyond what float32 holds
		m.Net.Stages = slices.Clone(m.Net.Stages[:1])
		m.Net.Stages[0].Blocks = 1
	}
	m.Weights = nettest.RandomModel(m.Net, nettest.Rand(1)).Weights
	const change = 0.1 // from initial values, where products have the factor 0: the degrees are in the hundreds
	p := m.Net.Program()
	for _, w := range p.Weights {
		if w.Kind == polynet.Undecayed {
			values := m.Weights[w.Name].Data().([]float32)
			for i := range values {
				values[i] = w.Init + change*values[i]
			}
		}
	}
	nettest.Plain{Program: p, Weights: m.Weights, SetStatistics: true}.Run(rows)
	return &m
}
