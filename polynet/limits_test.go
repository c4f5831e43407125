package polynet_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/memtest"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// smallest returns a model with hardly any weights.
func smallest() *polynet.Model {
	return nettest.RandomModel(polynet.Config{
		Inputs: 2, Classes: 2, Block: polynet.Linear, Stem: polynet.Stem{Width: 1, Kernel: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: 1, Blocks: 1, Kernel: 1, Stride: 1}},
	}, nettest.Rand(1))
}

// zeros returns the file of a model whose weights are all zero, without its values where they take more than 4 MB.
func zeros(t *testing.T, m *polynet.Model) (file []byte, whole bool) {
	t.Helper()
	var values int64
	for _, w := range m.Net.Program().Weights {
		values += w.Len()
	}
	if file = headerOf(t, m); values > 1<<20 {
		return file, false
	}
	return append(file, make([]byte, 4*values)...), true
}

// blocksOf returns stages of so many blocks in all.
func blocksOf(n int, s polynet.Stage) (stages []polynet.Stage) {
	for ; n > 0; n -= s.Blocks {
		s.Blocks = min(n, 256)
		stages = append(stages, s)
	}
	return stages
}

// labelled gives m so many labels.
func labelled(m *polynet.Model, n int) {
	m.Net.Classes, m.Labels = n, nil
	for i := range n {
		m.Labels = append(m.Labels, fmt.Sprint("label ", i))
	}
}

// TestLimits reads, for each limit, a file just inside of it and one just outside.
func TestLimits(t *testing.T) {
	unit := polynet.Stage{Width: 1, Blocks: 1, Kernel: 1, Stride: 1}
	slow := func(m *polynet.Model) { m.Features.Rate, m.Features.MaxHz = 1000, 500 }
	detection := func(m *polynet.Model) *detect.Config {
		m.Detection = &detect.Config{Threshold: 0.5, Release: 1, Thresholds: map[string]float64{}}
		return m.Detection
	}
	cases := []struct {
		name            string
		inside, outside float64
		set             func(m *polynet.Model, v float64)
		says            string
	}{
		{"inputs", 4096, 4097, func(m *polynet.Model, v float64) {
			m.Features = features.Config{
				Rate: 2000, FFT: 32768, Window: 32768, Hop: 1024, Mels: int(v), MaxHz: 999, Floor: 1, Scale: features.Slaney,
			}
			m.Net.Inputs = int(v)
			m.Norm.Mean, m.Norm.Std = make([]float32, int(v)), slices.Repeat([]float32{1}, int(v))
		}, "4097 mels of an FFT of 32768"},
		{"rate", 1e6, 1e6 + 1, func(m *polynet.Model, v float64) { m.Features.Rate = int(v) }, "rate of 1000001 Hz"},
		{"FFT", 1 << 15, 1 << 16, func(m *polynet.Model, v float64) { m.Features.FFT = int(v) }, "FFT of 65536 points"},
		{"work for a sample", 256, 512, func(m *polynet.Model, v float64) {
			m.Features.Hop, m.Features.FFT = 2, int(2*v)
		}, "hop of 2 samples is too short"},
		{"classes", 1 << 14, 1<<14 + 1, func(m *polynet.Model, v float64) { labelled(m, int(v)) }, "16385 classes"},
		{"label", 256, 257, func(m *polynet.Model, v float64) {
			m.Labels[1] = strings.Repeat("é", 128) + strings.Repeat("x", int(v)-256)
		}, "class 1 has a label of 257 bytes, at most 256"},
		{"stages", 64, 65, func(m *polynet.Model, v float64) {
			m.Net.Stages = slices.Repeat(m.Net.Stages, int(v))
		}, "65 stages"},
		{"blocks", 256, 257, func(m *polynet.Model, v float64) { m.Net.Stages[0].Blocks = int(v) }, "257 blocks"},
		{"steps", 682, 683, func(m *polynet.Model, v float64) {
			m.Net.Stages = blocksOf(int(v), unit)
		}, "its blocks make 4098 steps, at most 4096"},
		{"steps of decompositions", 64, 65, func(m *polynet.Model, v float64) {
			m.Net.Block, m.Net.Degree, m.Net.Stages = polynet.NCPSkip, 16, blocksOf(int(v), unit)
		}, "its blocks make 4160 steps"},
		{"degree", 16, 17, func(m *polynet.Model, v float64) {
			m.Net.Block, m.Net.Degree = polynet.CCP, int(v)
		}, "degree 17"},
		{"width", 1 << 14, 1<<14 + 1, func(m *polynet.Model, v float64) { m.Net.Stem.Width = int(v) }, "stem: width 16385"},
		{"kernel", 1024, 1025, func(m *polynet.Model, v float64) { m.Net.Stages[0].Kernel = int(v) }, "kernel 1025"},
		{"stride", 64, 65, func(m *polynet.Model, v float64) { m.Net.Stem.Stride = int(v) }, "stem: stride 65"},
		{"all strides", 16, 17, func(m *polynet.Model, v float64) {
			m.Net.Stages = slices.Repeat([]polynet.Stage{unit}, 3)
			m.Net.Stages[0].Stride, m.Net.Stages[1].Stride, m.Net.Stages[2].Stride = 64, 64, int(v)
		}, "a row for 69632 frames"},
		{"context", 65, 66, func(m *polynet.Model, v float64) {
			m.Net.Stem.Kernel = int(v) // 64 rows, and 2·1023 of each of 32 blocks
			m.Net.Stages = blocksOf(32, polynet.Stage{Width: 1, Kernel: 1024, Ahead: 7, Stride: 1})
		}, "depends on 65537 rows of features, at most 65536"},
		{"weights", 16376, 16377, func(m *polynet.Model, v float64) {
			m.Net.Stages[0].Width = int(v) // w² + 16·w + 8 weights
		}, "weights, at most 268435456"},
		{"window", 3600, 3601, func(m *polynet.Model, v float64) { slow(m); m.Window = v }, "a window of 3601 s"},
		{"samples", 262.144, 262.145, func(m *polynet.Model, v float64) {
			m.Window = v
		}, "a window of 262.145 s has 4194320 samples at 16000 Hz, at most 4194304"},
		{"tensor", 79, 80, func(m *polynet.Model, v float64) {
			m.Window, m.Net.Stages[0].Width = 262.14, int(v)
		}, "would have 26215 rows of 80 channels, at most 2097152 values"},
		{"work", 158, 159, func(m *polynet.Model, v float64) {
			m.Window, m.Net.Stem.Width = 262.14, 64
			m.Net.Stages = []polynet.Stage{{Width: 64, Blocks: 1, Kernel: int(v), Stride: 1}}
		}, "multiply-adds, at most 3.4e+10"},
		{"temperature", 1e6, 1.01e6, func(m *polynet.Model, v float64) { m.Temperature = v }, "temperature 1.01e+06"},
		{"low temperature", 1e-6, 0.99e-6, func(m *polynet.Model, v float64) { m.Temperature = v }, "temperature 9.9e-07"},
		{"mean", -1e4, -10001, func(m *polynet.Model, v float64) { m.Norm.Mean[1] = float32(v) }, "mel 1 by mean -10001"},
		{"deviation", 1e-38, 0, func(m *polynet.Model, v float64) { m.Norm.Std[0] = float32(v) }, "deviation 0"},
		{"large deviation", 1e4, 10001, func(m *polynet.Model, v float64) { m.Norm.Std[0] = float32(v) }, "deviation 10001"},
		{"limit", 1e6, 1.1e6, func(m *polynet.Model, v float64) { m.Norm.Limit = float32(v) }, "limit of 1.1e+06"},
		{"dropout", 0.999, 1, func(m *polynet.Model, v float64) { m.Net.Dropout = v }, "dropout 1"},
		{"threshold", 1, 1.001, func(m *polynet.Model, v float64) { detection(m).Threshold = v }, "a threshold of 1.001"},
		{"own threshold", 1, 1.001, func(m *polynet.Model, v float64) {
			detection(m).Thresholds[m.Labels[1]] = v
		}, `a threshold of 1.001 for "label 1"`},
		{"smoothing", 60, 61, func(m *polynet.Model, v float64) { detection(m).Smoothing = v }, "smoothing over 61 s"},
		{"refractory", 3600, 3601, func(m *polynet.Model, v float64) { detection(m).Refractory = v }, "3601 s"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := smallest()
			c.set(m, c.inside)
			file, whole := zeros(t, m)
			_, err := polynet.Read(bytes.NewReader(file))
			if whole && err != nil || !whole && !strings.Contains(fmt.Sprint(err), "the file ends after 0 of") {
				t.Errorf("inside: %v", err)
			}
			m = smallest()
			c.set(m, c.outside)
			if file, _ = zeros(t, m); len(file) > 8<<20 {
				t.Errorf("a file of %d bytes", len(file))
			}
			memtest.Within(t, len(file), func() { _, err = polynet.Read(bytes.NewReader(file)) })
			if !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("outside: %v, which should say %q", err, c.says)
			}
		})
	}
}

// TestHostileHeaders gives headers that are small for what they ask for.
func TestHostileHeaders(t *testing.T) {
	metadata := func(edit func(m *polynet.Model)) map[string]string {
		m := smallest()
		edit(m)
		texts, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		return texts
	}
	with := func(texts map[string]string, key, value string) map[string]string {
		texts[key] = value
		return texts
	}
	header := func(texts map[string]string, tensors string) []byte {
		text, err := json.Marshal(texts)
		if err != nil {
			t.Fatal(err)
		}
		return withLength([]byte(`{"__metadata__":` + string(text) + tensors + "}"))
	}
	entries := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"t%d":{"dtype":"F32","shape":[],"data_offsets":[0,0]}`, i)
		}
		return b.String()
	}
	plain := func() map[string]string { return metadata(func(*polynet.Model) {}) }
	deep := func(m *polynet.Model) {
		m.Net.Block, m.Net.Degree = polynet.NCPSkip, 16
		m.Net.Stages = slices.Repeat([]polynet.Stage{{Width: 1, Blocks: 256, Kernel: 1, Stride: 1}}, 64)
	}
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"a network of a million steps": {header(metadata(deep), entries(3000)), "its blocks make 1048576 steps"},
		"an hour at 1 MHz": {
			header(metadata(func(m *polynet.Model) { m.Window, m.Features.Rate = 3600, 1e6 }), entries(60)),
			"a window of 3600 s has 3600000000 samples at 1000000 Hz",
		},
		"a frame for every sample": {
			header(metadata(func(m *polynet.Model) {
				m.Features.Rate, m.Features.Hop, m.Features.FFT, m.Features.Window = 1e6, 1, 256, 256
				m.Features.MaxHz, m.Features.MinHz = 5e5, 1e5
				m.Net.Stem.Width = 16
			}), ""), "stem.conv of a window of 0.2 s would have 1000001 rows of 16 channels",
		},
		"tensors": {header(plain(), entries(1<<15+1)), "more than 32768 tensors"},
		"labels": {
			header(with(plain(), "labels", "["+strings.Repeat(`"",`, 500_000)+`""]`), ""), "at most 1048576 are possible",
		},
		"stages": {
			header(with(plain(), "net", `{"stages":[`+strings.Repeat(`{},`, 300_000)+`{}]}`), ""), "0 inputs",
		},
		"means": {
			header(with(plain(), "norm", `{"mean":[`+strings.Repeat(`0,`, 500_000)+`0]}`), ""), "500001 means",
		},
		"other metadata": {header(with(plain(), "x", strings.Repeat("x", 5<<20)), ""), "begins with"},
		"a shape of a million numbers": {
			header(plain(), `,"w":{"dtype":"F32","shape":[`+strings.Repeat("1,", 1<<20)+`1],"data_offsets":[0,4]}`),
			"1048577 dimensions",
		},
		"deep nesting": {withLength([]byte(strings.Repeat(`{"a":`, 1<<19))), "nested more than 8 deep"},
		"open lists":   {withLength([]byte(`{"a":` + strings.Repeat(`[`, 1<<21))), "nested more than 8 deep"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			memtest.Within(t, len(c.file), func() { _, err = polynet.Read(bytes.NewReader(c.file)) })
			if !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, which should say %q", err, c.says)
			}
		})
	}
}

// TestMetadataIsStrict gives metadata that readers could understand in several ways.
func TestMetadataIsStrict(t *testing.T) {
	m := smallest()
	m.Labels = []string{"Yes", "yes"} // differ, and so do thresholds for them
	m.Detection = &detect.Config{Threshold: 0.5, Release: 1, Thresholds: map[string]float64{"Yes": 0.25, "yes": 0.75}}
	file := modelFile(t, m)
	if _, err := polynet.Read(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	raw := func(old, new string) []byte {
		size := int(binary.LittleEndian.Uint64(file))
		text := strings.Replace(string(file[8:8+size]), old, new, 1)
		if text == string(file[8:8+size]) {
			t.Fatalf("no %s in the header", old)
		}
		return append(withLength([]byte(text)), file[8+size:]...)
	}
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"a field twice":   {editMetadata(t, file, "features", `{`, `{"rate":8000,`), `features: "rate" is there twice`},
		"in another case": {editMetadata(t, file, "features", `{`, `{"Rate":8000,`), `features: "rate" is there twice`},
		"in a stage": {
			editMetadata(t, file, "net", `"blocks":1`, `"blocks":1,"blocks":1`), `net: "blocks" is there twice`,
		},
		"a label's threshold twice": {
			editMetadata(t, file, "detection", `"yes":`, `"yes":0.1,"yes":`), `detection: "yes" is there twice`,
		},
		"a metric twice": {
			editMetadata(t, file, "provenance", `"valid_accuracy"`, `"valid_accuracy":1,"valid_accuracy"`),
			`provenance: "valid_accuracy" is there twice`,
		},
		"text after an object": {editMetadata(t, file, "features", `}`, `} junk`), "features: "},
		"two values":           {editMetadata(t, file, "window", "0.2", "0.2 0.3"), "window: there is more after"},
		"two lists":            {editMetadata(t, file, "labels", `]`, `]["a"]`), "labels: there is more after"},
		"an open object":       {editMetadata(t, file, "net", `}]`, ``), "net: "},
		"an empty text":        {editMetadata(t, file, "temperature", "1.5", ""), "temperature: unexpected EOF"},
		"a number too large":   {editMetadata(t, file, "temperature", "1.5", "1e999"), "temperature: "},
		"no number":            {editMetadata(t, file, "temperature", "1.5", "NaN"), "temperature: "},
		"a float too large":    {editMetadata(t, file, "norm", `"std":[`, `"std":[1e39,`), "norm: "},
		"metadata twice": {
			raw(`"__metadata__":{`, `"__metadata__":{},"__metadata__":{`), `"__metadata__" is there twice`,
		},
		"labels twice": {raw(`"labels":`, `"labels":"[]","labels":`), `"labels" is there twice`},
		"a tensor twice": {
			raw(`"head.bias":`, `"head.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"head.bias":`),
			`"head.bias" is there twice`,
		},
		"a type twice": {raw(`"dtype":"F32"`, `"dtype":"F16","dtype":"F32"`), `"dtype" is there twice`},
	} {
		m, err := polynet.Read(bytes.NewReader(c.file))
		if m != nil || !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, which should say %q", name, err, c.says)
		}
	}
}
