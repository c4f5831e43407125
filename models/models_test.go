package models_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// TestEmbeddedModelsKeepTheirPromises holds what the README says of the embedded models.
func TestEmbeddedModelsKeepTheirPromises(t *testing.T) {
	promise(t, models.Base, 1_200_000)
	promise(t, models.Small, 100_000)
}

func promise(t *testing.T, name string, parameters int) {
	m, err := models.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"left", "right", "yes", "no", polynet.UnknownLabel, polynet.SilenceLabel} {
		if !slices.Contains(m.Labels, label) {
			t.Errorf("%s has no label %s", name, label)
		}
	}
	if n := m.Net.Parameters(); n > parameters {
		t.Errorf("%s has %d parameters", name, n)
	}
	if info, err := os.Stat(name + ".safetensors"); err != nil || info.Size() > 5<<20 {
		t.Errorf("%s's file: %v, %v", name, info, err)
	}
	if l := m.Net.Lookahead(m.Features); l > 450*time.Millisecond {
		t.Errorf("%s looks %v ahead", name, l)
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
	for _, name := range []string{models.Base, models.Small} {
		if m, err := models.Open(name); err != nil || !models.Embedded(name) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if m, err := models.Open(path); err != nil || m.Labels[0] != "another" {
		t.Errorf("opened %v, %v", m, err)
	}
	if _, err := models.Open(path + "x"); !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), models.Small) {
		t.Errorf("a file that does not exist: %v", err)
	}
}
