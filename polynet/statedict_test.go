package polynet_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// pytorchOrder returns the model's weights as PyTorch keeps them.
func pytorchOrder(m *polynet.Model) polynet.StateDict {
	d := polynet.StateDict{}
	for name, w := range m.Weights {
		turned := w.Clone().(*tensor.Dense)
		if err := turned.T(); err != nil { // all dimensions in the opposite order
			panic(err)
		}
		if err := turned.Transpose(); err != nil {
			panic(err)
		}
		d[name] = turned
	}
	return d
}

// stateDictFile returns a safetensors file of d, with the counts of steps that PyTorch's norms have.
func stateDictFile(t testing.TB, d polynet.StateDict, metadata map[string]string) []byte {
	t.Helper()
	header, values := map[string]any{metadataKey: metadata}, new(bytes.Buffer)
	place := func(name, kind string, shape []int, raw []byte) {
		begin := int64(values.Len())
		values.Write(raw)
		header[name] = tensorEntry{kind, shape, [2]int64{begin, int64(values.Len())}}
	}
	for _, name := range slices.Sorted(maps.Keys(d)) {
		place(name, "F32", d[name].Shape(), floatBytes(d[name].Data().([]float32)))
		if norm, ok := strings.CutSuffix(name, ".running_var"); ok {
			place(norm+".num_batches_tracked", "I64", []int{}, make([]byte, 8))
		}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(withLength(text), values.Bytes()...)
}

func TestStateDictRoundTrip(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		m := nettest.RandomModel(nettest.Tiny(kind), nettest.Rand(3))
		metadata, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		metadata["format"] = "pt"
		d, metadata, err := polynet.ReadStateDict(bytes.NewReader(stateDictFile(t, pytorchOrder(m), metadata)))
		if err != nil {
			t.Fatal(err)
		}
		var got polynet.Model
		if err := got.SetMetadata(metadata); err != nil {
			t.Fatal(err)
		}
		if err := got.SetStateDict(d); err != nil {
			t.Fatal(err)
		}
		if field := difference(&got, m); field != "" {
			t.Errorf("%s: what comes back differs in its %s", kind, field)
		}
		for name, w := range m.Weights.StateDict() {
			if !w.Shape().Eq(d[name].Shape()) || !slices.Equal(w.Data().([]float32), d[name].Data().([]float32)) {
				t.Errorf("%s: StateDict gives another %s", kind, name)
			}
		}
	}
}

func TestStateDictNamesWhatIsWrong(t *testing.T) {
	m := nettest.RandomModel(nettest.Tiny(polynet.Pi), nettest.Rand(4))
	for says, breakIt := range map[string]func(d polynet.StateDict){
		"lacks stages.0.0.product.scale": func(d polynet.StateDict) { delete(d, "stages.0.0.product.scale") },
		"and ":                           func(d polynet.StateDict) { clear(d) },
		"no extra.weight":                func(d polynet.StateDict) { d["extra.weight"] = d["head.bias"] },
		"head.bias has shape [4 10] instead of [4]": func(d polynet.StateDict) { d["head.bias"] = d["head.weight"] },
	} {
		d := pytorchOrder(m)
		breakIt(d)
		back := *m
		if err := back.SetStateDict(d); !errors.Is(err, polynet.ErrWeights) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, which should say %q", err, says)
		}
		if !reflect.DeepEqual(back.Weights, m.Weights) {
			t.Error("the weights changed")
		}
	}
}

func TestReadStateDictRefuses(t *testing.T) {
	m := nettest.RandomModel(nettest.Tiny(polynet.Pi), nettest.Rand(5))
	whole := stateDictFile(t, pytorchOrder(m), map[string]string{"format": "pt"})
	if _, _, err := polynet.ReadStateDict(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"empty":     nil,
		"pickle":    []byte("PK\x03\x04\x00\x00\x08\x08\x00\x00"),
		"ours":      modelFile(t, m),
		"cut":       whole[:len(whole)-1],
		"more":      append(slices.Clone(whole), 0),
		"half":      withLength([]byte(`{"w":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}  `)),
		"gap":       withLength([]byte(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}  `)),
		"backwards": withLength([]byte(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,-4]}}  `)),
		"overflow": withLength([]byte(
			`{"w":{"dtype":"F32","shape":[4294967296,4294967297],"data_offsets":[0,17179869184]}}`)),
		"claims": withLength([]byte(`{"w":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}`)),
	} {
		if _, _, err := polynet.ReadStateDict(bytes.NewReader(file)); !errors.Is(err, polynet.ErrModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := polynet.Read(bytes.NewReader(whole)); err == nil || !strings.Contains(err.Error(), "train import") {
		t.Errorf("read as a model: %v", err)
	}
}

func TestSetMetadata(t *testing.T) {
	m := testModel()
	before := *m
	err := m.SetMetadata(map[string]string{"format": "pt", "note": "of another program", "temperature": "2"})
	if err != nil {
		t.Fatal(err)
	}
	if m.Temperature != 2 || !slices.Equal(m.Labels, before.Labels) {
		t.Errorf("got temperature %g, labels %v", m.Temperature, m.Labels)
	}
	for _, bad := range []map[string]string{
		{"format": "polyphon/9"}, {"labels": "yes no"}, {"features": `{"rate": 16000, "colour": "red"}`},
	} {
		if err := m.SetMetadata(bad); !errors.Is(err, polynet.ErrModel) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func FuzzReadStateDict(f *testing.F) {
	c := polynet.Config{
		Inputs: 2, Classes: 1, Block: polynet.Pi, Stem: polynet.Stem{Width: 1, Kernel: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: 1, Blocks: 1, Kernel: 1, Stride: 1}},
	}
	file := stateDictFile(f, pytorchOrder(nettest.RandomModel(c, nettest.Rand(1))), map[string]string{"format": "pt"})
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add(withLength([]byte(`{"w":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`)))
	f.Fuzz(func(t *testing.T, file []byte) {
		d, metadata, err := polynet.ReadStateDict(bytes.NewReader(file))
		if err != nil {
			if !errors.Is(err, polynet.ErrModel) {
				t.Fatalf("%v does not wrap ErrModel", err)
			}
			return
		}
		m := polynet.Model{Net: c}
		if err := m.SetStateDict(d); err != nil && !errors.Is(err, polynet.ErrWeights) {
			t.Fatalf("%v does not wrap ErrWeights", err)
		}
		if err := m.SetMetadata(metadata); err != nil && !errors.Is(err, polynet.ErrModel) {
			t.Fatalf("%v does not wrap ErrModel", err)
		}
	})
}
