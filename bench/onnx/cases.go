package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// lengths are the samples of the sounds, so that time varies: windows of the embedded model, and an odd part of one.
var lengths = []int{16000, 5003}

// soundsFile is a list of sounds.
const soundsFile = "sounds.json"

// sounds are clips of one length: Name.samples holds (Clips, Samples) and Name.rows (Clips, Frames, Mels), not normalised.
type sounds struct {
	Name                         string
	Clips, Samples, Frames, Mels int
}

// cases writes model files, and sounds with the list of them.
func cases(args []string) error {
	flags := flag.NewFlagSet("cases", flag.ContinueOnError)
	data := flags.String("data", "", "folder of Speech Commands, whose test clips are taken; without it, the examples")
	most := flags.Int("clips", 200, "clips to take")
	if err := flags.Parse(args); err != nil {
		return err
	}
	out := flags.Arg(0)
	embedded := models.Base()
	clips, err := readClips(*data, *most, embedded.Features.Rate)
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
	for _, kind := range polynet.BlockKinds() {
		m, err := settled(kind, embedded, rows, len(clips))
		if err != nil {
			return err
		}
		if err := m.Save(filepath.Join(out, string(kind)+".safetensors")); err != nil {
			return err
		}
	}
	return nil
}

// readClips returns up to most recordings.
func readClips(data string, most, rate int) ([]audio.Clip, error) {
	paths, err := filepath.Glob("examples/*.wav")
	if err != nil {
		return nil, err
	}
	if data != "" {
		if paths, err = readList(data, most); err != nil {
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
func readList(data string, most int) (paths []string, err error) {
	list, err := os.Open(filepath.Join(data, "testing_list.txt"))
	if err != nil {
		return nil, err
	}
	defer list.Close()
	for lines := bufio.NewScanner(list); lines.Scan() && len(paths) < most; {
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
		if err := writeFloats(filepath.Join(out, s.Name+".samples"), samples); err != nil {
			return nil, err
		}
		if err := writeFloats(filepath.Join(out, s.Name+".rows"), rows); err != nil {
			return nil, err
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

// settled returns a model of the given blocks, otherwise like another one, with random weights and with norms whose statistics
// are those of the clips, so that its numbers are of the size that training would give.
func settled(kind polynet.BlockKind, like *polynet.Model, rows []float32, clips int) (*polynet.Model, error) {
	cpu, err := device.CPU(0)
	if err != nil {
		return nil, err
	}
	m := *like
	m.Net.Block, m.Temperature = kind, 1.5
	if m.Net.Degree = 0; kind.Decomposition() {
		m.Net.Degree = 2
	}
	net, err := polynet.NewNetwork(m.Net, cpu, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		return nil, err
	}
	factor := float32(0.3) // of products, which begins at 0
	if kind == polynet.CCP || kind == polynet.DPoly {
		factor = 0.03 // for degrees in the hundreds
	}
	for _, p := range net.Params() {
		if p.Size() == 1 {
			cpu.Upload(p.Value, []float32{factor})
		}
	}
	pass := polynet.NewPass(net, rand.New(rand.NewPCG(3, 4)))
	pass.Train = true
	normalised := append([]float32(nil), rows...)
	m.Norm.Apply(normalised)
	clip := len(rows) / clips
	batch := min(clips, 40)
	for i := range 60 {
		begin := i % (clips / batch) * batch
		net.Forward(pass, pass.Input(normalised[begin*clip:][:batch*clip], batch, clip/m.Net.Inputs))
	}
	m.Weights = net.Weights()
	return &m, nil
}
