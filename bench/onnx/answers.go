package main

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// answers writes, for each model M.safetensors and each of the sounds S, S.M.logits and S.M.probabilities, (Clips, classes).
func answers(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, soundsFile))
	if err != nil {
		return err
	}
	var list []sounds
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil {
		return err
	}
	cpu, err := device.CPU(0)
	if err != nil {
		return err
	}
	for _, path := range paths {
		m, err := polynet.Load(path)
		if err != nil {
			return err
		}
		plan, err := m.Compile(cpu)
		if err != nil {
			return err
		}
		for _, s := range list {
			if err := answer(m, plan, s, filepath.Join(dir, s.Name), strings.TrimSuffix(filepath.Base(path), ".safetensors")); err != nil {
				return err
			}
		}
	}
	return nil
}

func answer(m *polynet.Model, plan *polynet.Plan, s sounds, prefix, model string) error {
	rows, err := readFloats(prefix + ".rows")
	if err != nil {
		return err
	}
	session, clip := plan.Session(1, s.Frames), s.Frames*s.Mels
	defer session.Close()
	var logits, probabilities []float32
	for i := range s.Clips {
		answer := session.Run(rows[i*clip:][:clip], 1)
		logits = append(logits, answer...)
		probabilities = append(probabilities, softmax(answer, m.Temperature)...)
	}
	if err := writeFloats(prefix+"."+model+".logits", logits); err != nil {
		return err
	}
	return writeFloats(prefix+"."+model+".probabilities", probabilities)
}

func softmax(logits []float32, temperature float64) []float32 {
	p, sum := make([]float32, len(logits)), 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) / temperature)
	}
	for i, v := range logits {
		p[i] = float32(math.Exp(float64(v)/temperature) / sum)
	}
	return p
}

// readFloats reads a file of float32 values, little-endian.
func readFloats(path string) ([]float32, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := make([]float32, len(raw)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return values, nil
}

func writeFloats(path string, values []float32) error {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return os.WriteFile(path, raw, 0o644)
}
