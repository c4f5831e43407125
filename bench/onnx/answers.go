package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// answers writes S.M.logits and S.M.probabilities, (Clips, classes), for each model M.safetensors and all sounds S.
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
		plan, err := inference.Compile(m, cpu)
		if err != nil {
			return err
		}
		model := strings.TrimSuffix(filepath.Base(path), ".safetensors")
		for _, s := range list {
			if err := answer(plan, s, filepath.Join(dir, s.Name), model); err != nil {
				return err
			}
		}
	}
	return nil
}

func answer(plan *inference.Plan, s sounds, prefix, model string) error {
	rows, err := serve.ReadFloats(prefix + ".rows")
	if err != nil {
		return err
	}
	clips := plan.Clips(1, s.Frames)
	defer clips.Close()
	var logits, probabilities []float32
	for clip := range slices.Chunk(rows, s.Frames*s.Mels) {
		answer := clips.Run(clip, 1)
		logits = append(logits, answer...)
		p := nettest.Float64(answer, len(answer))[0]
		plan.Model().Probabilities(p)
		for _, v := range p {
			probabilities = append(probabilities, float32(v))
		}
	}
	if err := serve.WriteFloats(prefix+"."+model+".logits", logits); err != nil {
		return err
	}
	return serve.WriteFloats(prefix+"."+model+".probabilities", probabilities)
}
