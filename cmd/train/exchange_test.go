package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/export/onnx"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// smallModel saves a model of random weights in the folder and returns it with its path.
func smallModel(t *testing.T, folder string) (*polynet.Model, string) {
	t.Helper()
	m := &polynet.Model{
		Features: features.Default(), Window: 1, Labels: []string{"no", "yes"}, Temperature: 1.5,
		Provenance: polynet.Provenance{Seed: 7},
		Net: polynet.Config{
			Inputs: 40, Classes: 2, Block: polynet.Pi, Stem: polynet.Stem{Width: 8, Kernel: 3, Ahead: 1, Stride: 2},
			Stages: []polynet.Stage{
				{Width: 8, Blocks: 1, Kernel: 3, Stride: 1}, {Width: 9, Blocks: 1, Kernel: 3, Ahead: 1, Stride: 2},
			},
		},
	}
	for range m.Net.Inputs {
		m.Norm.Mean, m.Norm.Std = append(m.Norm.Mean, -3), append(m.Norm.Std, 2)
	}
	net, err := training.NewNetwork(m.Net, device.Ref(), rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	m.Weights = net.Weights()
	path := filepath.Join(folder, "small.safetensors")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	return m, path
}

// stateDict writes m's weights as PyTorch keeps them, with the given metadata, and returns the file.
func stateDict(t *testing.T, folder string, m *polynet.Model, metadata map[string]string) string {
	t.Helper()
	header, values := map[string]any{"__metadata__": metadata}, new(bytes.Buffer)
	for _, s := range m.Net.Program().Weights {
		shape := slices.Clone(s.Shape)
		slices.Reverse(shape)
		begin := values.Len()
		for i := range int(s.Len()) {
			data := m.Weights[s.Name].Data().([]float32)
			binary.Write(values, binary.LittleEndian, data[reversed(i, s.Shape)])
		}
		header[s.Name] = map[string]any{"dtype": "F32", "shape": shape, "data_offsets": []int{begin, values.Len()}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	path := filepath.Join(folder, "state_dict.safetensors")
	if err := os.WriteFile(path, slices.Concat(file, text, values.Bytes()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// reversed returns where value i of a tensor with shape's dimensions in the opposite order is in one of that shape.
func reversed(i int, shape []int) int {
	at, size := 0, 1
	for _, n := range shape {
		size *= n
	}
	for _, n := range shape {
		size /= n
		at += i % n * size
		i /= n
	}
	return at
}

// sameAnswers fails the test unless the model at path answers as m does.
func sameAnswers(t *testing.T, path string, m *polynet.Model) {
	t.Helper()
	got, err := polynet.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]float32, 20*m.Net.Inputs)
	for i := range rows {
		rows[i] = -3 + float32(i%7)
	}
	answer := func(m *polynet.Model) []float32 {
		plan, err := inference.Compile(m, device.Ref())
		if err != nil {
			t.Fatal(err)
		}
		return plan.Clips(1, 20).Run(rows, 1)
	}
	if a, b := answer(got), answer(m); !slices.Equal(a, b) {
		t.Errorf("%s answers %v, want %v", path, a, b)
	}
	if !slices.Equal(got.Labels, m.Labels) || got.Window != m.Window || got.Features != m.Features {
		t.Errorf("%s is %v of %g s, %+v", path, got.Labels, got.Window, got.Features)
	}
}

func TestExportImport(t *testing.T) {
	folder := t.TempDir()
	m, model := smallModel(t, folder)
	for _, more := range [][]string{nil, {"--with-features"}} {
		file, back := filepath.Join(folder, "m.onnx"), filepath.Join(folder, "back.safetensors")
		status, out, errs := train(t.Context(), append([]string{"export", "--onnx", file, model}, more...)...)
		input := onnx.LogMel
		if more != nil {
			input = onnx.Samples
		}
		if status != program.StatusOK || !strings.Contains(out, file) || !strings.Contains(out, string(input)) || errs != "" {
			t.Fatalf("export: status %d, %q, %q", status, out, errs)
		}
		status, out, errs = train(t.Context(), "import", "--onnx", file, "--out", back)
		if status != program.StatusOK || !strings.Contains(out, back) {
			t.Fatalf("import: status %d, %q, %q", status, out, errs)
		}
		sameAnswers(t, back, m)
		if got, _ := polynet.Load(back); got.Temperature != m.Temperature || got.Provenance.Seed != m.Provenance.Seed {
			t.Errorf("temperature %g, provenance %+v", got.Temperature, got.Provenance)
		}
	}
}

func TestExportOfTheEmbeddedModel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.onnx")
	status, out, errs := train(t.Context(), "export", "--onnx", file)
	if status != program.StatusOK || !strings.Contains(out, "19 labels") {
		t.Fatalf("status %d, %q, %q", status, out, errs)
	}
	if info, err := os.Stat(file); err != nil || info.Size() < 4e6 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestImportStateDict(t *testing.T) {
	folder := t.TempDir()
	m, model := smallModel(t, folder)
	metadata, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	metadata["format"] = "pt"
	norm := filepath.Join(folder, "norm.json")
	if err := os.WriteFile(norm, []byte(metadata["norm"]), 0o644); err != nil {
		t.Fatal(err)
	}
	bare := map[string]string{"format": "pt"}
	flags := []string{"--arch", "pi", "--stem", "8:3:1:2", "--stages", "8:1:3:0:1,9:1:3:1:2", "--labels", "no,yes",
		"--features", "default", "--window", "1", "--norm", norm}
	for name, c := range map[string]struct {
		metadata map[string]string
		args     []string
	}{
		"metadata": {metadata, nil}, "like": {bare, []string{"--like", model}}, "flags": {bare, flags},
	} {
		file, out := stateDict(t, folder, m, c.metadata), filepath.Join(folder, name)
		args := append([]string{"import", "--safetensors", file, "--out", out}, c.args...)
		if status, _, errs := train(t.Context(), args...); status != program.StatusOK {
			t.Errorf("%s: status %d, %s", name, status, errs)
			continue
		}
		sameAnswers(t, out, m)
	}
	delete(metadata, "provenance")
	out := filepath.Join(folder, "out")
	train(t.Context(), "import", "--safetensors", stateDict(t, folder, m, metadata), "--out", out)
	got, err := polynet.Load(out)
	if err != nil || got.Provenance.Parameters != m.Net.Program().Parameters() || got.Provenance.Created == "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestExchangeErrors(t *testing.T) {
	folder := t.TempDir()
	m, model := smallModel(t, folder)
	metadata, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	metadata["format"] = "pt"
	whole := stateDict(t, folder, m, metadata)
	bareFolder := t.TempDir()
	bare := stateDict(t, bareFolder, m, nil)
	file, out, foreign := filepath.Join(folder, "m.onnx"), filepath.Join(folder, "out"), filepath.Join(folder, "foreign")
	if status, _, errs := train(t.Context(), "export", "--onnx", file, model); status != program.StatusOK {
		t.Fatal(errs)
	}
	if err := os.WriteFile(foreign, []byte("PK\x03\x04 and more"), 0o644); err != nil {
		t.Fatal(err)
	}
	exportTo := func(args ...string) []string { return append([]string{"export"}, args...) }
	importTo := func(args ...string) []string { return append([]string{"import", "--out", out}, args...) }
	bareWith := func(args ...string) []string { return importTo(append([]string{"--safetensors", bare}, args...)...) }
	like := func(args ...string) []string { return bareWith(append([]string{"--like", model}, args...)...) }
	none := filepath.Join(folder, "none")
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"export to nothing":    {exportTo(model), program.StatusUsage, "--onnx"},
		"export of a stranger": {exportTo("--onnx", out, foreign), program.StatusModel, foreign},
		"export into nowhere":  {exportTo("--onnx", filepath.Join(none, "m.onnx"), model), program.StatusFailed, "none"},
		"import of nothing":    {importTo(), program.StatusUsage, "--safetensors"},
		"import of both":       {importTo("--onnx", file, "--safetensors", whole), program.StatusUsage, "together"},
		"import to nothing":    {[]string{"import", "--onnx", file}, program.StatusUsage, "--out"},
		"import of no file":    {importTo("--onnx", none), program.StatusModel, "none"},
		"import of a stranger": {importTo("--safetensors", foreign), program.StatusModel, "PyTorch checkpoint"},
		"a stranger as ONNX":   {importTo("--onnx", foreign), program.StatusModel, foreign},
		"polyphon's own":       {importTo("--safetensors", model), program.StatusModel, "already"},
		"nothing stated":       {bareWith(), program.StatusUsage, "--like"},
		"some stated":          {bareWith("--labels", "a,b"), program.StatusUsage, "--norm"},
		"stated twice":         {importTo("--safetensors", whole, "--labels", "a,b"), program.StatusUsage, "--labels"},
		"half a network":       {like("--arch", "pi"), program.StatusUsage, "together"},
		"impossible network": {
			like("--arch", "cubic", "--stem", "1:1:0:1", "--stages", "1:1:1:0:1"), program.StatusUsage, "cubic",
		},
		"retired network": {
			like("--arch", "rpoly", "--stem", "1:1:0:1", "--stages", "1:1:1:0:1"), program.StatusUsage, "retired",
		},
		"another network": {
			like("--arch", "linear", "--stem", "8:3:1:2", "--stages", "8:1:3:0:1,9:1:3:1:2"),
			program.StatusModel, "stages.0.0.product.norm.bias",
		},
		"other labels": {
			like("--labels", "a,b,c"), program.StatusModel, "head.weight has shape [2 9] instead of [3 9]",
		},
		"like a stranger": {bareWith("--like", foreign), program.StatusModel, foreign},
		"norm of no file": {like("--norm", none), program.StatusUsage, "none"},
		"import into nowhere": {
			[]string{"import", "--onnx", file, "--out", filepath.Join(none, "m")}, program.StatusFailed, "none",
		},
	} {
		checkFailure(t, name, c.args, c.status, c.says)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a failure left a file")
	}
}
