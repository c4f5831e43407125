package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
)

// The embedded model's floors in percent on the test split of Speech Commands as polyphon's developers share it. A better model
// may raise them; nothing lowers them.
const accuracyFloor = 95.5

// TestEmbeddedModelAccuracy measures the embedded model on the recordings in POLYPHON_DATA, which .ci/run unpacks.
func TestEmbeddedModelAccuracy(t *testing.T) {
	data := os.Getenv("POLYPHON_DATA")
	if data == "" {
		t.Skip("POLYPHON_DATA names no folder of recordings")
	}
	status, out, errs := train(t.Context(), "eval", "--data", filepath.Join(data, "speech_commands"), "--json")
	if status != program.StatusOK {
		t.Fatal(errs)
	}
	var r struct {
		Accuracy float64
		Clips    int
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Accuracy < accuracyFloor || r.Clips < 1000 {
		t.Errorf("accuracy %.2f %% of %d clips, below %.1f %%", r.Accuracy, r.Clips, accuracyFloor)
	}
}
