package models_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// TestEmbeddedModelsKeepTheirPromises holds what the README says of the embedded models.
func TestEmbeddedModelsKeepTheirPromises(t *testing.T) {
	promise(t, "base.safetensors", models.Base(), 1_200_000, 5<<20)
	promise(t, "small.safetensors", models.Small(), 100_000, 5<<17)
	promise(t, "tiny.safetensors.gz", models.Tiny(), 120_000, 40_000)
}

func promise(t *testing.T, name string, m *polynet.Model, parameters int, bytes int64) {
	for _, label := range []string{"left", "right", "yes", "no", polynet.UnknownLabel, polynet.SilenceLabel} {
		if !slices.Contains(m.Labels, label) {
			t.Errorf("%s has no label %s", name, label)
		}
	}
	if n := m.Net.Program().Parameters(); n > parameters {
		t.Errorf("%s has %d parameters", name, n)
	}
	if info, err := os.Stat(name); err != nil || info.Size() > bytes {
		t.Errorf("%s's file: %v, %v", name, info, err)
	}
	if l := m.Net.Lookahead(m.Features); l > 450*time.Millisecond {
		t.Errorf("%s looks %v ahead", name, l)
	}
}

// TestProgramsCarryTheModelsThatTheyName builds a program that calls Small alone, and looks for the models' last bytes
// in it.
func TestProgramsCarryTheModelsThatTheyName(t *testing.T) {
	need.Long(t, "it links a program")
	path := filepath.Join(t.TempDir(), "small.exe")
	if out, err := exec.Command("go", "build", "-o", path, "./testdata/small").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"base.safetensors": false, "small.safetensors": true, "tiny.safetensors.gz": false,
	} {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(program, file[len(file)-4096:]) != want {
			t.Errorf("the program contains %s: %v", name, !want)
		}
	}
}

func TestOpen(t *testing.T) {
	embedded := models.Base()
	path := filepath.Join(t.TempDir(), "m.safetensors")
	embedded.Labels[0] = "another"
	if err := embedded.Save(path); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]*polynet.Model{
		"": models.Base(), "base": models.Base(), "small": models.Small(), "tiny": models.Tiny(),
	} {
		m, err := models.Open(name)
		if err != nil || !models.Embedded(name) || m.Net.Stem != want.Net.Stem {
			t.Errorf("%q: %v, %v", name, m, err)
		}
	}
	if m, err := models.Open(path); err != nil || m.Labels[0] != "another" {
		t.Errorf("opened %v, %v", m, err)
	}
	_, err := models.Open(path + "x")
	if !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), "base, small and tiny") {
		t.Errorf("a file that does not exist: %v", err)
	}
}
