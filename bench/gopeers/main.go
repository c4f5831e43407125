// Command gopeers runs the Go libraries that bench/run.py compares polyphon with: gonum and gorgonia.org/tensor for
// matrix products, go-dsp and gonum for log-mel rows. It is a worker; see package serve.
package main

import "github.com/polyphon/polyphon/bench/serve"

func main() {
	serve.Main(nil, map[string]serve.Maker{
		"gonum product":  serve.Make(prepareGonumProduct),
		"tensor product": serve.Make(prepareTensorProduct),
		"go-dsp logmel":  serve.Make(prepareGoDSPLogMel),
		"gonum logmel":   serve.Make(prepareGonumLogMel),
	})
}
