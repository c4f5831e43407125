package onnx

import (
	"archive/zip"
	"encoding/json"
	"io"
	"math"
	"testing"

	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// TestTorchExports imports what testdata/goldens.py exported and compares polyphon's logits with PyTorch's.
func TestTorchExports(t *testing.T) {
	archive, err := zip.OpenReader("testdata/torch.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	content := func(name string) []byte {
		f, err := archive.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var cases struct {
		Rows   []float32
		Clips  int
		Logits map[polynet.BlockKind][]float32
		Net    polynet.Config
	}
	if err := json.Unmarshal(content("cases.json"), &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases.Logits) < 9 {
		t.Errorf("logits of %d block kinds", len(cases.Logits))
	}
	for kind := range cases.Logits {
		for _, norms := range []string{"folded", "norms"} {
			m := &polynet.Model{Net: cases.Net}
			m.Net.Block = kind
			m.Norm = features.Norm{Mean: make([]float32, 3), Std: []float32{1, 1, 1}}
			m, err := imported(t, content(string(kind)+"."+norms+".onnx"), m)
			if err != nil {
				t.Errorf("%s, %s: %v", kind, norms, err)
				continue
			}
			for i, got := range logits(m, cases.Rows, cases.Clips) {
				if want := cases.Logits[kind][i]; !(math.Abs(got-float64(want)) <= 1e-5) {
					t.Errorf("%s, %s: logit %d is %g, want %g", kind, norms, i, got, want)
				}
			}
		}
	}
}
