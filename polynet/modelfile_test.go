package polynet_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/internal/memtest"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// The safetensors format as the tests write it.
const (
	metadataKey = "__metadata__"
	maxHeader   = 4 << 20 // bytes that are read
)

type tensorEntry struct {
	Type    string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

func modelFile(t testing.TB, m *polynet.Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func testModel() *polynet.Model {
	return nettest.RandomModel(nettest.Configs(polynet.Pi1x1)[0], nettest.Rand(11))
}

func TestModelFileRoundTrip(t *testing.T) {
	for i, kind := range slices.Concat(polynet.BlockKinds(), polynet.BlockKinds()) {
		want := nettest.RandomModel(nettest.Configs(kind)[i/len(polynet.BlockKinds())], nettest.Rand(11))
		want.Provenance.Compressed = []string{"similar: 3 channels"}
		file := modelFile(t, want)
		got, err := polynet.Read(iotest.OneByteReader(bytes.NewReader(file)))
		if err != nil {
			t.Fatal(err)
		}
		if err := difference(got, want); err != "" {
			t.Errorf("%s: what is read differs in its %s", kind, err)
		}
		if !bytes.Equal(modelFile(t, got), file) {
			t.Errorf("%s: writing what was read gives other bytes", kind)
		}
	}
}

// difference names the first field in which two models differ.
func difference(m, other *polynet.Model) string {
	a, b := reflect.ValueOf(*m), reflect.ValueOf(*other)
	for i := range a.NumField() {
		name := a.Type().Field(i).Name
		if name != "Weights" && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			return name
		}
	}
	for name, w := range other.Weights {
		if m.Weights[name] == nil || !m.Weights[name].Eq(w) {
			return name
		}
	}
	return ""
}

// TestModelFileLayout reads a file with nothing but the safetensors specification in hand.
func TestModelFileLayout(t *testing.T) {
	m := testModel()
	file := modelFile(t, m)
	size := binary.LittleEndian.Uint64(file)
	if size%8 != 0 {
		t.Errorf("the header has %d bytes: the tensors are not aligned", size)
	}
	var header map[string]struct {
		Dtype   string
		Shape   []int
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(file[8:8+size], &header); err != nil {
		t.Fatal(err)
	}
	e := header["stages.1.0.skip.conv.weight"]
	if e.Dtype != "F32" || !reflect.DeepEqual(e.Shape, []int{1, 5, 8}) || e.Offsets[1]-e.Offsets[0] != 4*40 {
		t.Errorf("the skip's weight is described as %+v", e)
	}
	data := file[8+size:]
	for i, want := range m.Weights["stages.1.0.skip.conv.weight"].Data().([]float32) {
		if got := math.Float32frombits(binary.LittleEndian.Uint32(data[e.Offsets[0]+4*i:])); got != want {
			t.Fatalf("value %d is %g, want %g", i, got, want)
		}
	}
}

// editFile returns the file with its header changed.
func editFile(t *testing.T, file []byte, edit func(header map[string]any)) []byte {
	t.Helper()
	size := binary.LittleEndian.Uint64(file)
	var header map[string]any
	if err := json.Unmarshal(file[8:8+size], &header); err != nil {
		t.Fatal(err)
	}
	edit(header)
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(withLength(text), file[8+size:]...)
}

func headerSize(file []byte) int { return int(binary.LittleEndian.Uint64(file)) }

func withLength(header []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
}

// editMetadata returns the file with old replaced by new in one text of its metadata, which must hold old.
func editMetadata(t *testing.T, file []byte, key, old, new string) []byte {
	return editFile(t, file, func(header map[string]any) {
		metadata := header[metadataKey].(map[string]any)
		text := metadata[key].(string)
		if !strings.Contains(text, old) {
			t.Fatalf("%s is %s, without %s", key, text, old)
		}
		metadata[key] = strings.Replace(text, old, new, 1)
	})
}

// editTensor returns the file with one tensor's description changed.
func editTensor(t *testing.T, file []byte, name, field string, value any) []byte {
	return editFile(t, file, func(header map[string]any) { header[name].(map[string]any)[field] = value })
}

// editValue returns the file with the first value of a tensor changed.
func editValue(t *testing.T, file []byte, name string, value float32) []byte {
	edited := bytes.Clone(file)
	editFile(t, file, func(header map[string]any) {
		at := header[name].(map[string]any)["data_offsets"].([]any)[0].(float64)
		start := 8 + int(binary.LittleEndian.Uint64(file)) + int(at)
		binary.LittleEndian.PutUint32(edited[start:], math.Float32bits(value))
	})
	return edited
}

func TestReadRefusesDamagedAndForeignFiles(t *testing.T) {
	file := modelFile(t, testModel())
	tuned := modelFile(t, withDetection())
	header := int(binary.LittleEndian.Uint64(file))
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	cases := []struct {
		name string
		file []byte
		want string // part of the message
	}{
		{"empty", nil, "an empty file"},
		{"three bytes", file[:3], "a file of 3 bytes"},
		{"cut in the header", file[:100], "92 of the header's"},
		{"cut in a tensor", file[:len(file)-2], "tensor head.bias: the file ends after 10 of 12 bytes"},
		{"cut between tensors", file[:len(file)-12], "tensor head.bias: the file ends after 0 of 12 bytes"},
		{"cut after the header", file[:8+header], "tensor stem.conv.weight: the file ends after 0"},
		{"bytes after the end", append(bytes.Clone(file), 0), "bytes after the last tensor"},
		{"header of zero bytes", withLength(nil), "header"},
		{"header of 2^63 bytes", binary.LittleEndian.AppendUint64(nil, 1<<63), "not a safetensors file"},
		{"header that claims 4 MB", binary.LittleEndian.AppendUint64(nil, maxHeader), "0 of the header's 4194304"},

		{"PyTorch checkpoint", []byte("PK\x03\x04\x00\x00\x08\x08\x00\x00"), "ZIP archive"},
		{"pickle", []byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."), "pickle"},
		{"ONNX", []byte("\x08\x08\x12\x07pytorch\x1a\x062.0.0"), "ONNX"},
		{"WAV", []byte("RIFF\x24\x7d\x00\x00WAVEfmt "), "RIFF"},
		{"FLAC", []byte("fLaC\x00\x00\x00\x22"), "FLAC"},
		{"NumPy", []byte("\x93NUMPY\x01\x00v\x00"), "NumPy"},
		{"Git LFS", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n"), `"git lfs pull"`},
		{"HTML", []byte("\n<!DOCTYPE html><title>404"), "an HTML page"},
		{"JSON", []byte(`{"labels": ["yes", "no"]}`), "a text file"},
		{"short JSON", []byte(`{}`), "a text file"},
		{"unknown", []byte("#!/bin/sh\nexit 0"), `begins with "#!/bin/s"`},
		{"header that is not JSON", withLength([]byte("not JSON at all")), "header"},
		{"header that is a list", withLength([]byte("[1, 2, 3]")), "header"},
		{
			"safetensors without metadata",
			withLength([]byte(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`)), "another program",
		},
		{"safetensors of PyTorch", withLength([]byte(`{"__metadata__":{"format":"pt"}}`)), "PyTorch"},
		{"metadata that is no map of strings", withLength([]byte(`{"__metadata__":{"format":1}}`)), "metadata"},
		{"a later version", editMetadata(t, file, "format", "polyphon/1", "polyphon/2"), "polyphon/2"},

		{
			"no labels",
			editFile(t, file, func(h map[string]any) { delete(h[metadataKey].(map[string]any), "labels") }), "no labels",
		},
		{"labels that are no list", editMetadata(t, file, "labels", `"label 0"`, `7`), "labels"},
		{"a label twice", editMetadata(t, file, "labels", `label 0`, `label 2`), `classes 0 and 2 share the label "label 2"`},
		{"an empty label", editMetadata(t, file, "labels", `label 0`, ``), `class 0 has the label ""`},
		{"a label with a line end", editMetadata(t, file, "labels", `label 0`, `a\nb`), "class 0"},
		{"a label too few", editMetadata(t, file, "labels", `"label 0",`, ``), "2 labels for 3 classes"},
		{"no temperature", editMetadata(t, file, "temperature", "1.5", "0"), "temperature 0"},
		{"a window of nothing", editMetadata(t, file, "window", "0.2", "0.000001"), "window"},
		{"an endless window", editMetadata(t, file, "window", "0.2", "1e9"), "window"},
		{"other features", editMetadata(t, file, "features", `"mels":7`, `"mels":8`), "mels"},
		{"impossible features", editMetadata(t, file, "features", `"hop":160`, `"hop":0`), "feature"},
		{"unknown block", editMetadata(t, file, "net", `pi1x1`, `attention`), `"attention"`},
		{"a retired block", editMetadata(t, file, "net", `pi1x1`, `rpoly`), `blocks of the kind "rpoly" are retired`},
		{"another retired block", editMetadata(t, file, "net", `pi1x1`, `dpoly`), `blocks of the kind "dpoly" are retired`},
		{"unknown setting", editMetadata(t, file, "net", `"block"`, `"heads":4,"block"`), `"heads"`},
		{"a wider network", editMetadata(t, file, "net", `"width":8`, `"width":9`), "has shape"},
		{
			"a deeper network",
			editMetadata(t, file, "net", `"blocks":1`, `"blocks":2`), "no tensor stages.2.1.conv1.weight",
		},
		{
			"a shallower network",
			editMetadata(t, file, "net", `"blocks":2`, `"blocks":1`), "stages.0.1.conv1.weight is not one of its",
		},
		{
			"a very deep network",
			editMetadata(t, file, "net", `"blocks":2`, `"blocks":250`), "no tensor stages.0.2.conv1.weight",
		},
		{"a deviation of zero", editMetadata(t, file, "norm", `"std":[`, `"std":[0,`), "normalisation"},

		{
			"a threshold of nothing",
			editMetadata(t, tuned, "detection", `"threshold":0.75`, `"threshold":0`), "a threshold of 0",
		},
		{
			"a threshold for another label",
			editMetadata(t, tuned, "detection", `label 1`, `label 7`), `"label 7", which is none of the labels`,
		},
		{
			"endless smoothing",
			editMetadata(t, tuned, "detection", `"smoothing":0.15`, `"smoothing":1e9`), "smoothing",
		},
		{"unknown detection setting", editMetadata(t, tuned, "detection", `{`, `{"patience":3,`), `"patience"`},
		{"detection that is no object", editMetadata(t, tuned, "detection", `{`, `[{`), "detection"},

		{
			"a tensor missing",
			editFile(t, file[:len(file)-12], func(h map[string]any) { delete(h, "head.bias") }), "no tensor head.bias",
		},
		{
			"a tensor too many",
			append(editFile(t, file, func(h map[string]any) {
				n := len(file) - 8 - header // bytes of the tensors
				h["extra"] = tensorEntry{"F32", []int{1}, [2]int64{int64(n), int64(n) + 4}}
			}), 0, 0, 0, 0), "extra is not one of its",
		},
		{
			"a tensor twice",
			editFile(t, file, func(h map[string]any) { h["extra"] = h["head.bias"] }), "overlaps",
		},
		{"half precision", editTensor(t, file, "head.bias", "dtype", "F16"), `"F16"`},
		{
			"another shape",
			editTensor(t, file, "head.weight", "shape", []int{3, 8}), "shape [3 8], the network wants [8 3]",
		},
		{"a negative shape", editTensor(t, file, "head.weight", "shape", []int{-8, -3}), "shape"},
		{"overlapping tensors", editTensor(t, file, "stem.norm.bias", "data_offsets", []int{0, 20}), "overlaps"},
		{"offsets out of range", editTensor(t, file, "head.bias", "data_offsets", []int64{1 << 40, 1<<40 + 12}), "gaps"},
		{"offsets backwards", editTensor(t, file, "head.bias", "data_offsets", []int{12, 0}), "overlaps"},
		{"negative offsets", editTensor(t, file, "head.bias", "data_offsets", []int{-12, 0}), "overlaps"},
		{"three offsets", editTensor(t, file, "head.bias", "data_offsets", "all"), "head.bias"},

		{
			"a weight that is no number",
			editValue(t, file, "stages.0.0.conv1.weight", nan), "stages.0.0.conv1.weight has the value NaN at 0",
		},
		{"an infinite bias", editValue(t, file, "head.bias", inf), "head.bias has the value +Inf"},
		{"a negative variance", editValue(t, file, "stem.norm.running_var", -1), "negative variance -1"},
	}
	for _, c := range cases {
		m, err := polynet.Read(bytes.NewReader(c.file))
		switch {
		case !errors.Is(err, polynet.ErrModel):
			t.Errorf("%s: error %v, want one that wraps ErrModel", c.name, err)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %q does not say %q", c.name, err, c.want)
		case m != nil:
			t.Errorf("%s: a model comes with the error", c.name)
		}
	}
}

func TestReadPassesOnTheReadersError(t *testing.T) {
	file := modelFile(t, testModel())
	broken := errors.New("the disk is broken")
	for _, n := range []int{0, 5, 50, len(file) - 20, len(file)} {
		_, err := polynet.Read(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || !errors.Is(err, polynet.ErrModel) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// TestReadAllocatesAsBytesArrive gives headers that claim a lot and deliver nothing.
func TestReadAllocatesAsBytesArrive(t *testing.T) {
	huge := nettest.Configs(polynet.Linear)[0]
	huge.Stages[0].Width = 1 << 12 // of which a convolution has 200 MB
	m := nettest.RandomModel(nettest.Configs(polynet.Linear)[0], nettest.Rand(1))
	m.Net = huge
	for name, file := range map[string][]byte{
		"tensors": append(headerOf(t, m), make([]byte, 1<<20)...),
		"header":  append(binary.LittleEndian.AppendUint64(nil, maxHeader), '{'),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := polynet.Read(bytes.NewReader(file)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, took, len(file))
		}
	}
}

// headerOf returns the beginning of m's file, up to the tensors' values.
func headerOf(t *testing.T, m *polynet.Model) []byte {
	t.Helper()
	metadata, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	header, end := map[string]any{metadataKey: metadata}, int64(0)
	for _, w := range m.Net.Program().Weights {
		header[w.Name] = tensorEntry{"F32", w.Shape, [2]int64{end, end + 4*w.Len()}}
		end += 4 * w.Len()
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return withLength(text)
}

func TestSaveIsWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.safetensors")
	m := testModel()
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	bad := testModel()
	bad.Weights["head.bias"].Data().([]float32)[0] = float32(math.NaN())
	if err := bad.Save(path); !errors.Is(err, polynet.ErrModel) {
		t.Errorf("saving a broken model: %v", err)
	}
	got, err := polynet.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if field := difference(got, m); field != "" {
		t.Errorf("the model that was saved first differs in its %s", field)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("the folder holds %v", files)
	}
	if err := m.Save(filepath.Join(dir, "missing", "model")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("saving into a missing folder: %v", err)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	for _, write := range []bool{false, true} {
		if write {
			os.WriteFile(path, []byte("PK\x03\x04 and so on"), 0o600)
		}
		if _, err := polynet.Load(path); !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want ErrModel and the path", err)
		}
	}
}

func TestValidate(t *testing.T) {
	for name, breakIt := range map[string]func(m *polynet.Model){
		"missing": func(m *polynet.Model) { delete(m.Weights, "head.bias") },
		"extra":   func(m *polynet.Model) { m.Weights["x"] = m.Weights["head.bias"] },
		"shape": func(m *polynet.Model) {
			m.Weights["head.bias"] = tensor.New(tensor.WithShape(2), tensor.WithBacking(make([]float32, 2)))
		},
		"float64": func(m *polynet.Model) {
			m.Weights["head.bias"] = tensor.New(tensor.WithShape(3), tensor.WithBacking(make([]float64, 3)))
		},
		"view":          func(m *polynet.Model) { m.Weights["head.weight"] = columns(m.Weights["head.weight"]) },
		"temperature":   func(m *polynet.Model) { m.Temperature = math.NaN() },
		"window":        func(m *polynet.Model) { m.Window = math.Inf(1) },
		"label":         func(m *polynet.Model) { m.Labels[0] = "\xff" },
		"detection":     func(m *polynet.Model) { m.Detection = &detect.Config{Threshold: math.NaN(), Release: 1} },
		"configuration": func(m *polynet.Model) { m.Net.Classes = 0 },
	} {
		m := testModel()
		breakIt(m)
		if err := m.Validate(); !errors.Is(err, polynet.ErrModel) {
			t.Errorf("%s: %v", name, err)
		}
		if err := m.Write(io.Discard); !errors.Is(err, polynet.ErrModel) {
			t.Errorf("%s: written: %v", name, err)
		}
	}
}

// columns returns a view of a wider tensor that has w's shape but does not lie in one piece.
func columns(w *tensor.Dense) *tensor.Dense {
	rows, cols := w.Shape()[0], w.Shape()[1]
	wide := tensor.New(tensor.WithShape(rows, cols+1), tensor.WithBacking(make([]float32, rows*(cols+1))))
	view, err := wide.Slice(nil, tensor.S(0, cols))
	if err != nil {
		panic(err)
	}
	return view.(*tensor.Dense)
}

// FuzzModelRead reads a file, and what it reads it writes and reads again, compiles and runs over a clip and a stream.
func FuzzModelRead(f *testing.F) {
	m := nettest.RandomModel(polynet.Config{
		Inputs: 2, Classes: 1, Block: polynet.Pi, Stem: polynet.Stem{Width: 1, Kernel: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: 1, Blocks: 1, Kernel: 1, Stride: 1}},
	}, nettest.Rand(1))
	file := modelFile(f, m)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add(bytes.Replace(file, []byte(`"window":"0.2"`), []byte(`"window":"240"`), 1))
	f.Add(bytes.Replace(file, []byte(`\"rate\":16000`), []byte(`\"rate\":99999`), 1))
	f.Add(bytes.Replace(file, []byte(`\"hop\":160`), []byte(`\"hop\":002`), 1))
	f.Add(bytes.Replace(file, []byte(`\"hop\":160`), []byte(`\"hop\":  2`), 1))
	f.Add(bytes.Replace(file, []byte(`\"labels\"`), []byte(`\"format\"`), 1))
	m.Detection = &detect.Config{Threshold: 0.5, Thresholds: map[string]float64{m.Labels[0]: 0.6}, Release: 1}
	f.Add(modelFile(f, m))
	for _, kind := range []polynet.BlockKind{polynet.PiTanh, polynet.NCPSkip} {
		f.Add(modelFile(f, nettest.RandomModel(nettest.Tiny(kind), nettest.Rand(2))))
	}
	for _, n := range narrows {
		f.Add(modelFile(f, narrowed(polynet.Pi, n, 2)))
	}
	f.Add(zipped(f, file))
	f.Add([]byte("PK\x03\x04\x00\x00\x08\x08\x00\x00"))
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n"))
	f.Add(withLength([]byte(`{"__metadata__":{"format":"polyphon/1"}}`)))
	cpu, err := device.CPU(1)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		var m *polynet.Model
		var err error
		memtest.Within(t, len(file), func() { m, err = polynet.Read(bytes.NewReader(file)) })
		if err != nil {
			if !errors.Is(err, polynet.ErrModel) {
				t.Fatalf("%v does not wrap ErrModel", err)
			}
			return
		}
		written := modelFile(t, m)
		again, err := polynet.Read(bytes.NewReader(written))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if !bytes.Equal(modelFile(t, again), written) {
			t.Fatal("written again, the file differs")
		}
		const tensors, samples = 64 << 20, 16 << 20 // of a clip, and as much for a stream's
		memtest.Within(t, 2*tensors+samples+len(file), func() { run(t, m, cpu) })
	})
}

// run computes the answers for a clip and for the beginning of a stream, if the model can be compiled.
func run(t *testing.T, m *polynet.Model, d device.Device) {
	plan, err := inference.Compile(m, d)
	if err != nil {
		if !errors.Is(err, polynet.ErrModel) {
			t.Fatalf("%v does not wrap ErrModel", err)
		}
		return
	}
	defer plan.Close()
	samples := make([]float32, m.WindowSamples())
	for i := range samples {
		samples[i] = float32(i%7)/7 - 0.5
	}
	clips := plan.Clips(1, m.Features.Frames(len(samples)))
	defer clips.Close()
	if n := len(clips.RunSamples(samples, 1)); n != len(m.Labels) {
		t.Fatalf("%d logits for %d labels", n, len(m.Labels))
	}
	stream, err := plan.Group(1, inference.StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	stream.Push(0, samples[:min(len(samples), 1<<14)])
	stream.Flush(0)
	for ok := true; ok; {
		if _, _, ok, err = stream.Next(); err != nil && !errors.Is(err, inference.ErrDiverged) {
			t.Fatal(err)
		}
	}
}

// floatBytes returns float32 values as they lie in a file.
func floatBytes(values []float32) []byte {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}
