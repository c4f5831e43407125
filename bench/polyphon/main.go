// Command polyphon is polyphon's side of bench/run.py: a worker (see package serve) with a case for each row of the
// tables. The environment variable POLYPHON_CPU chooses its kernels.
package main

import (
	"os"
	"runtime"

	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/device"
)

func main() {
	serve.Main(map[string]string{"kernels": kernels(), "go": runtime.Version()}, map[string]serve.Maker{
		"peak":        serve.Make(preparePeak),
		"copy":        serve.Make(prepareCopy),
		"product":     serve.Make(prepareProduct),
		"block":       serve.Make(prepareBlock),
		"elementwise": serve.Make(prepareElementwise),
		"logmel":      serve.Make(prepareLogMel),
		"resample":    serve.Make(prepareResample),
		"model":       serve.Make(prepareModel),
		"plan":        serve.Make(preparePlan),
		"network":     serve.Make(prepareNetwork),
		"step":        serve.Make(prepareStep),
		"sounds":      serve.Make(prepareSounds),
		"one pass":    serve.Make(prepareOnePass),
		"stream":      serve.Make(prepareStream),
		"streams":     serve.Make(prepareManyStreams),
	})
}

// kernels returns the name of the kernel set that device.CPU takes.
func kernels() string {
	if name := os.Getenv("POLYPHON_CPU"); name != "" {
		return name
	}
	known := device.Kernels()
	return known[len(known)-1]
}

// read returns the values in the file at path.
func read(path string) []float32 { return serve.Must(serve.ReadFloats(path)) }

// upload returns device memory with the values.
func upload(d device.Trainer, values []float32) device.Buffer {
	b := d.Alloc(len(values))
	d.Upload(b, values)
	return b
}
