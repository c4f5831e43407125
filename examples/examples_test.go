// Package examples tests the example programs: that they build, run, and stay short.
package examples

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/polynet"
)

// run builds an example, runs it and returns what it prints.
func run(t *testing.T, name string, stdin []byte, args ...string) string {
	t.Helper()
	need.Long(t, "builds and runs a program")
	program := filepath.Join(t.TempDir(), name+".exe") // of any system
	if out, err := exec.Command("go", "build", "-o", program, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestClassify(t *testing.T) {
	for _, word := range []string{"left", "stop", "yes"} {
		if got := run(t, "classify", nil, word+".wav"); !strings.HasPrefix(got, word+" ") {
			t.Errorf("%s.wav: %s", word, got)
		}
	}
}

func TestListen(t *testing.T) {
	var pcm []byte
	for _, word := range []string{"yes", "left"} {
		clip, err := audio.ReadFile(word+".wav", 16000)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range append(clip.Samples, make([]float32, 16000)...) {
			pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(v*32767)))
		}
	}
	got := run(t, "listen", pcm)
	if yes, left := strings.Index(got, "s: yes "), strings.Index(got, "s: left "); yes < 0 || left < yes {
		t.Errorf("events:\n%s", got)
	}
}

// TestTrain trains on twelve clips of 0.2 s, faint and loud noise.
func TestTrain(t *testing.T) {
	data, model := t.TempDir(), filepath.Join(t.TempDir(), "model.safetensors")
	rng := rand.New(rand.NewPCG(1, 2))
	for label, level := range map[string]float32{"faint": 0.01, "loud": 0.5} {
		if err := os.Mkdir(filepath.Join(data, label), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			clip := audio.Clip{Rate: 16000, Samples: make([]float32, 3200)}
			for k := range clip.Samples {
				clip.Samples[k] = level * (2*rng.Float32() - 1)
			}
			f, err := os.Create(filepath.Join(data, label, fmt.Sprint(i, ".wav")))
			if err != nil {
				t.Fatal(err)
			}
			if err := audio.WriteWAV(f, clip, audio.Tags{}); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(t, "train", nil, data, model)
	m, err := polynet.Load(model)
	if err != nil || strings.Join(m.Labels, " ") != "faint loud" {
		t.Errorf("%v, a model of %v", err, m)
	}
}

// TestLengths keeps the programs short enough to be read at a glance.
func TestLengths(t *testing.T) {
	for name, limit := range map[string]int{"listen": 25, "train": 30} {
		text, err := os.ReadFile(filepath.Join(name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				n++
			}
		}
		if n > limit {
			t.Errorf("%s has %d lines, at most %d are allowed", name, n, limit)
		}
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, filepath.Join("classify", "main.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "main" {
			if n := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1; n > 12 {
				t.Errorf("classify's main has %d lines, at most 12 are allowed", n)
			}
		}
	}
}
