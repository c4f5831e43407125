package features

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gorgonia.org/tensor"
)

// signal is the test sound of testdata/goldens.py.
func signal(samples, rate int) []float32 {
	x := make([]float32, samples)
	state := uint32(1)
	for i := range x {
		state = 1664525*state + 1013904223
		if i/1500%4 != 3 {
			at := float64(i)
			phase := 50*at/float64(rate) + 0.45*at*at/float64(2*samples)
			x[i] = float32(0.5*math.Sin(2*math.Pi*phase) + 0.01*(float64(state)/(1<<31)-1))
		}
	}
	return x
}

func TestRowsAgreeWithTorchaudio(t *testing.T) { eachSet(t, rowsAgreeWithTorchaudio) }

func rowsAgreeWithTorchaudio(t *testing.T) {
	list, err := os.ReadFile(filepath.Join("testdata", "goldens.json"))
	if err != nil {
		t.Fatal(err)
	}
	var goldens []struct {
		Name    string
		Samples int
		Config  Config
	}
	if err := json.Unmarshal(list, &goldens); err != nil {
		t.Fatal(err)
	}
	for _, g := range goldens {
		t.Run(g.Name, func(t *testing.T) {
			want := readGolden(t, g.Name)
			e := testExtractor(t, g.Config)
			got := e.Rows(nil, signal(g.Samples, g.Config.Rate), e.Scratch())
			if frames := len(got) / g.Config.Mels; !want.Shape().Eq(tensor.Shape{frames, g.Config.Mels}) {
				t.Fatalf("%d frames of %d mels, torchaudio's shape is %v", frames, g.Config.Mels, want.Shape())
			}
			worst := 0.0
			wanted := want.Data().([]float32)
			for i, v := range got {
				worst = max(worst, math.Abs(float64(v)-float64(wanted[i])))
			}
			t.Logf("largest difference %.2g", worst)
			if !(worst <= 1e-4) {
				t.Errorf("largest difference %.2g, at most 1e-4 wanted", worst)
			}
		})
	}
}

// The presets are what the goldens of their names check.
func TestPresetsAreInTheGoldens(t *testing.T) {
	list, err := os.ReadFile(filepath.Join("testdata", "goldens.json"))
	if err != nil {
		t.Fatal(err)
	}
	var goldens []struct{ Config Config }
	if err := json.Unmarshal(list, &goldens); err != nil {
		t.Fatal(err)
	}
	if goldens[0].Config != Default() || goldens[1].Config != Square32() {
		t.Errorf("goldens of\n%+v\n%+v, presets are\n%+v\n%+v", goldens[0].Config, goldens[1].Config, Default(), Square32())
	}
}

func readGolden(t *testing.T, name string) *tensor.Dense {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".npy"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := new(tensor.Dense)
	if err := d.ReadNpy(f); err != nil {
		t.Fatal(err)
	}
	return d
}
