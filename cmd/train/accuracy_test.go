package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/need"
)

// The embedded models' floors in percent on the test split of Speech Commands as polyphon's developers share it: of
// clips alone, and in the middle of other sound in noise. A better model may raise them; nothing lowers them.
var accuracyFloors = map[string]struct{ alone, inContext float64 }{
	"base":  {97, 94.5},
	"small": {95.5, 93.5},
	"tiny":  {95, 92},
}

// TestEmbeddedModelsAccuracy measures the embedded models on the recordings in POLYPHON_DATA, which .ci/run unpacks.
func TestEmbeddedModelsAccuracy(t *testing.T) {
	data := need.Data(t)
	for model, floors := range accuracyFloors {
		folder := filepath.Join(data, "speech_commands")
		status, out, errs := train(t.Context(), "eval", "--model", model, "--data", folder, "--context", "--json")
		if status != program.StatusOK {
			t.Fatal(errs)
		}
		type result struct {
			Accuracy float64
			Clips    int
		}
		var r struct {
			result
			InContext result `json:"in_context"`
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		if r.Accuracy < floors.alone || r.InContext.Accuracy < floors.inContext || r.Clips < 1000 {
			t.Errorf("%s: accuracy %.2f %% of %d clips, in context %.2f %%; the floors are %.1f and %.1f %%",
				model, r.Accuracy, r.Clips, r.InContext.Accuracy, floors.alone, floors.inContext)
		}
	}
}
