package models_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// TestEmbeddedModelKeepsItsPromises holds what the README says of the embedded model.
func TestEmbeddedModelKeepsItsPromises(t *testing.T) {
	m, err := models.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"left", "right", "yes", "no", polynet.UnknownLabel, polynet.SilenceLabel} {
		if !slices.Contains(m.Labels, label) {
			t.Errorf("it has no label %s", label)
		}
	}
	if n := m.Net.Parameters(); n > 1_200_000 {
		t.Errorf("it has %d parameters", n)
	}
	if info, err := os.Stat("base.safetensors"); err != nil || info.Size() > 5<<20 {
		t.Errorf("its file: %v, %v", info, err)
	}
	if l := m.Net.Lookahead(m.Features); l > 450*time.Millisecond {
		t.Errorf("it looks %v ahead", l)
	}
}

func TestOpen(t *testing.T) {
	embedded, err := models.Open("")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	embedded.Labels[0] = "another"
	if err := embedded.Save(path); err != nil {
		t.Fatal(err)
	}
	if m, err := models.Open(path); err != nil || m.Labels[0] != "another" {
		t.Errorf("opened %v, %v", m, err)
	}
	if _, err := models.Open(path + "x"); !errors.Is(err, polynet.ErrModel) {
		t.Errorf("a file that does not exist: %v", err)
	}
}
