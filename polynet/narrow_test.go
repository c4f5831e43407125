package polynet_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// narrowed returns a random model of the kind with narrow weights.
func narrowed(kind polynet.BlockKind, n polynet.Narrow, seed uint64) *polynet.Model {
	c := nettest.Configs(kind)[seed%2]
	c.Narrow = &n
	return nettest.RandomModel(c, nettest.Rand(seed))
}

// narrows are all that a Config can say.
var narrows = []polynet.Narrow{
	{Weights: polynet.Int8}, {Weights: polynet.Ternary, Stem: true}, {Weights: polynet.Int8, Stem: true, Head: true},
	{Weights: polynet.Ternary, Head: true},
}

func TestNarrowModelsRoundTrip(t *testing.T) {
	for i, kind := range polynet.BlockKinds() {
		for _, n := range narrows {
			want := narrowed(kind, n, uint64(i))
			file := modelFile(t, want)
			got, err := polynet.Read(bytes.NewReader(file))
			if err != nil {
				t.Fatalf("%s, %+v: %v", kind, n, err)
			}
			if err := difference(got, want); err != "" {
				t.Errorf("%s, %+v: what is read differs in its %s", kind, n, err)
			}
			if !bytes.Equal(modelFile(t, got), file) {
				t.Errorf("%s, %+v: writing what was read gives other bytes", kind, n)
			}
			if !bytes.Contains(file, []byte(`"format":"polyphon/2"`)) {
				t.Errorf("%s, %+v: earlier programs would take the file for one of theirs", kind, n)
			}
		}
	}
}

// TestTernaryWeightsInFiles states the bytes of a ternary weight.
func TestTernaryWeightsInFiles(t *testing.T) {
	for _, c := range []struct {
		levels []int8 // of the stem's weight, (1, levels, 1)
		want   []byte
	}{
		{[]int8{-1}, []byte{0}},
		{[]int8{1}, []byte{2 * 81}},
		{[]int8{0, 0, 0, 0, 0}, []byte{121}},
		{[]int8{1, 1, 1, 1, 1, 0}, []byte{242, 81}},
		{[]int8{-1, 0, 1, 0, -1, 1, -1, 0}, []byte{27 + 2*9 + 3, 2*81 + 9}},
	} {
		m := nettest.RandomModel(polynet.Config{
			Inputs: len(c.levels), Classes: 2, Block: polynet.Linear, Stem: polynet.Stem{Width: 1, Kernel: 1, Stride: 1},
			Stages: []polynet.Stage{{Width: 1, Blocks: 1, Kernel: 1, Stride: 1}},
			Narrow: &polynet.Narrow{Weights: polynet.Ternary, Stem: true},
		}, nettest.Rand(1))
		m.Weights["stem.conv.weight"] = tensor.New(tensor.WithShape(1, len(c.levels), 1), tensor.WithBacking(c.levels))
		file := modelFile(t, m)
		data := file[8+headerSize(file):]
		if got := data[:len(c.want)]; !bytes.Equal(got, c.want) {
			t.Errorf("%v is stored as %v, want %v", c.levels, got, c.want)
		}
		m, err := polynet.Read(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Weights.Levels("stem.conv.weight"); !slices.Equal(got, c.levels) {
			t.Errorf("%v is read as %v", c.levels, got)
		}
	}
}

func TestReadRefusesDamagedNarrowFiles(t *testing.T) {
	ternary := narrowed(polynet.Pi, polynet.Narrow{Weights: polynet.Ternary, Stem: true}, 0) // stem (4, 7, 5): 28 bytes
	file := modelFile(t, ternary)
	eight := modelFile(t, narrowed(polynet.Pi, polynet.Narrow{Weights: polynet.Int8, Stem: true}, 0))
	// stemByte returns the file with one of the bytes of the stem's weight changed.
	stemByte := func(file []byte, i int, b byte) []byte {
		edited := bytes.Clone(file)
		edited[8+headerSize(file)+i] = b
		return edited
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"a byte of more than five weights", stemByte(file, 3, 243), "stem.conv.weight: byte 3 is 243"},
		{"another", stemByte(file, 27, 255), "byte 27 is 255"},
		{"minus 128", stemByte(eight, 5, 0x80), "has the value -128 at 5, levels of int8 are at most 127"},
		{"floats for levels", editTensor(t, file, "stem.conv.weight", "dtype", "F32"), `type "F32", want U8`},
		{"bytes for int8", editTensor(t, eight, "stem.conv.weight", "dtype", "U8"), `type "U8", want I8`},
		{"levels for floats", editTensor(t, eight, "stem.norm.bias", "dtype", "I8"), `type "I8", want F32`},
		{
			"ternary weights for int8", editMetadata(t, file, "net", `"ternary"`, `"int8"`),
			`stem.conv.weight: type "U8", want I8`,
		},
		{"weights of another kind", editMetadata(t, file, "net", `"ternary"`, `"binary"`), `weights of "binary" are none of`},
		{"narrow float32", editMetadata(t, file, "net", `"ternary"`, `"float32"`), "narrow weights of float32"},
		{"a shape of more", editTensor(t, file, "stem.conv.weight", "shape", []int{29}), "shape [29] in 28 bytes"},
		{
			"the file of another network", editMetadata(t, file, "net", `"kernel":4`, `"kernel":3`),
			"28 bytes, want 21 for 105 ternary weights",
		},
		{"a scale of nothing", editValue(t, file, "stem.conv.input_scale", 0), "has the value 0, a scale is positive"},
		{"a negative scale", editValue(t, file, "stages.0.0.conv1.input_scale", -1), "a scale is positive"},
		{"an infinite scale", editValue(t, file, "stem.conv.weight_scale", float32(math.Inf(1))), "+Inf at 0"},
		{"the format of float32", editMetadata(t, file, "format", "polyphon/2", "polyphon/1"), "a file of format polyphon/1"},
		{
			"the format of narrow weights", editMetadata(t, modelFile(t, testModel()), "format", "polyphon/1", "polyphon/2"),
			"a file of format polyphon/2",
		},
		{"a later format", editMetadata(t, file, "format", "polyphon/2", "polyphon/3"), `its format is "polyphon/3"`},
	} {
		_, err := polynet.Read(bytes.NewReader(c.file))
		if !errors.Is(err, polynet.ErrModel) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want ... %s", c.name, err, c.want)
		}
	}
	// 140 weights fill 28 bytes; of 139, the last digit is none.
	short := nettest.RandomModel(polynet.Config{
		Inputs: 7, Classes: 2, Block: polynet.Linear, Stem: polynet.Stem{Width: 1, Kernel: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: 1, Blocks: 1, Kernel: 1, Stride: 1}},
		Narrow: &polynet.Narrow{Weights: polynet.Ternary, Stem: true},
	}, nettest.Rand(1))
	if _, err := polynet.Read(bytes.NewReader(stemByte(modelFile(t, short), 1, 1))); err == nil ||
		!strings.Contains(err.Error(), "there are more than 7 weights") {
		t.Errorf("digits after the last weight: %v", err)
	}
}

// TestNarrowRewritesComputeTheSame compares the program as built with the folded, the fused and the expanded one.
func TestNarrowRewritesComputeTheSame(t *testing.T) {
	for i, kind := range polynet.BlockKinds() {
		for _, n := range narrows {
			m := narrowed(kind, n, uint64(i))
			nettest.SetStatistics(m)
			rows := nettest.Float64(nettest.Normals(nettest.Rand(4), 29*m.Net.Inputs), m.Net.Inputs)
			run := func(p *polynet.Program, w polynet.Weights) (logits []float32) {
				if err := p.Check(w); err != nil {
					t.Fatalf("%s, %+v: %v", kind, n, err)
				}
				for _, v := range (nettest.Plain{Program: p, Weights: w}).Run(rows)[0] {
					logits = append(logits, float32(v))
				}
				return logits
			}
			p := m.Net.Program()
			want := run(p, m.Weights)
			near := func(what string, p *polynet.Program, w polynet.Weights) {
				t.Helper()
				// float32 rounds what is folded; a value next to the middle of two levels may then go to the other.
				nettest.Near(t, fmt.Sprintf("%s, %+v, %s", kind, n, what), run(p, w), want, 0.02)
			}
			p, w := p.FoldNorms(m.Weights)
			near("folded", p, w)
			p, w = p.FuseProducts(w)
			near("fused", p, w)
			expanded, floats := p.ExpandNarrow(w)
			near("expanded", expanded, floats)
			for _, s := range expanded.Steps {
				if s.Precision != polynet.Float32 {
					t.Errorf("%s is still %s", s.Name, s.Precision)
				}
			}
			if got, want := expanded.MACs(100), p.MACs(100); got != want {
				t.Errorf("%s: %d multiply-adds when expanded, %d before", kind, got, want)
			}
		}
	}
}

func TestFoldNormsLeavesLevelsAlone(t *testing.T) {
	m := narrowed(polynet.Pi, polynet.Narrow{Weights: polynet.Int8, Stem: true, Head: true}, 0)
	p, w := m.Net.Program().FoldNorms(m.Weights)
	for _, s := range p.Steps {
		if s.Precision != polynet.Float32 && w[s.Weight] != m.Weights[s.Weight] {
			t.Errorf("%s has another weight", s.Name)
		}
		if s.Op == polynet.OpConv && slices.Equal(w[s.WeightScale].Data().([]float32),
			m.Weights[s.WeightScale].Data().([]float32)) {
			t.Errorf("%s: the norm's factor is not in the scale", s.Name)
		}
	}
}

func TestQuantise(t *testing.T) {
	for _, c := range []struct {
		precision polynet.Precision
		values    []float32 // (rows, 2)
		levels    []int8
		scales    []float32
	}{
		{polynet.Int8, []float32{127, 0.5, -63.5, -0.25}, []int8{127, 127, -64, -64}, []float32{1, 0.5 / 127}},
		{polynet.Int8, []float32{0, 254, 0, 1}, []int8{0, 127, 0, 0}, []float32{1, 2}},
		{polynet.Ternary, []float32{1, 3, -2, 0, 0.5, 0, 0.1, 0}, []int8{1, 1, -1, 0, 0, 0, 0, 0}, []float32{1.5, 3}},
		{polynet.Ternary, []float32{0, -1, 0, -1}, []int8{0, -1, 0, -1}, []float32{1, 1}},
	} {
		levels, scales := c.precision.Quantise(c.values, 2)
		if !slices.Equal(levels, c.levels) || !slices.Equal(scales, c.scales) {
			t.Errorf("%s of %v: %v times %v, want %v times %v", c.precision, c.values, levels, scales, c.levels, c.scales)
		}
		// What levels stand for has these levels.
		again, _ := c.precision.Quantise(polynet.Expand(levels, scales), 2)
		if !slices.Equal(again, levels) {
			t.Errorf("%s of %v: %v, and again %v", c.precision, c.values, levels, again)
		}
	}
}

func TestRoundTo(t *testing.T) {
	x := []float32{0, 0.24, 0.25, 0.26, 0.75, -0.25, -0.75, 63.4, 63.6, 1e30, -1e30, 63.25}
	want := []float32{0, 0, 0, 0.5, 1, 0, -1, 63.5, 63.5, 63.5, -63.5, 63}
	got := make([]float32, len(x))
	if polynet.RoundTo(got, x, 0.5); !slices.Equal(got, want) {
		t.Errorf("%v rounded is %v, want %v", x, got, want)
	}
}

func TestNarrowLimits(t *testing.T) {
	c := polynet.Config{
		Inputs: 2, Classes: 2, Block: polynet.Linear, Stem: polynet.Stem{Width: 1, Kernel: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: 64, Blocks: 1, Kernel: 1024, Ahead: 1023, Stride: 1}},
		Narrow: &polynet.Narrow{Weights: polynet.Int8},
	}
	if err := c.Validate(); err != nil {
		t.Errorf("sums of 65,536 products: %v", err)
	}
	c.Stages[0].Width++
	if err := c.Validate(); !errors.Is(err, polynet.ErrConfig) || !strings.Contains(fmt.Sprint(err), "66560 products") {
		t.Errorf("sums of 66,560 products: %v", err)
	}
	c.Narrow = nil
	if err := c.Validate(); err != nil {
		t.Errorf("float32 sums of 66,560 products: %v", err)
	}
}

func TestWeightBits(t *testing.T) {
	c := nettest.Tiny(polynet.Linear)
	weights, bits := c.Program().WeightBits()
	if bits != 32*float64(weights) {
		t.Errorf("%d float32 weights take %g bits", weights, bits)
	}
	c.Narrow = &polynet.Narrow{Weights: polynet.Ternary, Stem: true, Head: true}
	steps, channels := 0, 0
	for _, s := range c.Program().Steps {
		if s.InputScale != "" {
			steps++
		}
		if s.Precision == polynet.Ternary {
			channels += s.Width
		}
	}
	same, few := c.Program().WeightBits()
	if want := 1.6*float64(weights) + 32*float64(steps+channels); same != weights || math.Abs(few-want) > 1e-6*want {
		t.Errorf("%d ternary weights take %g bits, want %g", same, few, want)
	}
	if c.Program().Parameters() != func() int { c.Narrow = nil; return c.Program().Parameters() }() {
		t.Error("scales count as parameters")
	}
}
