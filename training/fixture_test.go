package polynet

import (
	"archive/zip"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"gorgonia.org/tensor"
)

// onDevices runs test on every device that works in the host's memory.
func onDevices(t *testing.T, test func(t *testing.T, d device.Trainer)) {
	cpu, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []device.Trainer{device.Ref(), cpu} {
		t.Run(d.Name(), func(t *testing.T) { test(t, d) })
	}
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// normals returns n draws from a normal distribution.
func normals(rng *rand.Rand, n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(rng.NormFloat64())
	}
	return values
}

// bind gives each parameter of l its own memory and a value that makes all of them matter: initial values and some
// noise.
func bind(d device.Trainer, l Layer, rng *rand.Rand) {
	for _, p := range l.Params() {
		p.Value, p.Grad = d.Alloc(p.Size()), d.Alloc(p.Size())
		values := make([]float32, p.Size())
		p.initial(values, rng)
		for i := range values {
			values[i] += 0.3 * float32(rng.Float64()-0.5)
		}
		d.Upload(p.Value, values)
	}
}

// rowsOf returns v's rows one behind the other.
func rowsOf(d device.Trainer, v device.View) []float32 {
	data := download(d, v.Data)
	var rows []float32
	for g := range v.Groups {
		for r := range v.Rows {
			rows = append(rows, data[g*v.GroupStride+r*v.RowStride:][:v.Cols]...)
		}
	}
	return rows
}

// fill sets an activation's rows.
func fill(p *Pass, a Activation, rows []float32) {
	data := download(p.dev, a.Data)
	for i := range a.Count() {
		copy(data[i/a.Rows*a.GroupStride+i%a.Rows*a.RowStride:][:a.Cols], rows[i*a.Cols:])
	}
	p.dev.Upload(a.Data, data)
}

// near fails the test unless got is want up to tolerance, relative to want's largest value.
func near(t *testing.T, name string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	largest, worst, at := 0.0, 0.0, 0
	for i := range want {
		largest = max(largest, math.Abs(float64(want[i])))
		if e := math.Abs(float64(got[i]) - float64(want[i])); !(e <= worst) {
			worst, at = e, i
		}
	}
	if !(worst <= tolerance*largest+3e-6) {
		t.Errorf("%s: value %d is %g, want %g (largest %g)", name, at, got[at], want[at], largest)
	}
}

// golden holds the arrays of an .npz file by name.
type golden map[string]*tensor.Dense

func readGolden(t *testing.T, name string) golden {
	t.Helper()
	archive, err := zip.OpenReader(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	g := golden{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		array := new(tensor.Dense)
		if err := array.ReadNpy(r); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		r.Close()
		g[strings.TrimSuffix(f.Name, ".npy")] = array
	}
	return g
}

func (g golden) values(t *testing.T, name string) []float32 {
	t.Helper()
	array, ok := g[name]
	if !ok {
		t.Fatalf("the golden file has no %s", name)
	}
	return array.Data().([]float32)
}

// under returns the arrays whose names begin with prefix, without it.
func (g golden) under(prefix string) golden {
	sub := golden{}
	for name, array := range g {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			sub[rest] = array
		}
	}
	return sub
}

// someDegree returns a degree for kinds that have one to choose.
func someDegree(kind BlockKind) int {
	if kind.Decomposition() {
		return 3
	}
	return 0
}

// tiny returns a small network with strides, a lookahead, even and odd kernels.
func tiny(kind BlockKind) Config {
	return Config{
		Inputs: 6, Classes: 4, Block: kind, Degree: someDegree(kind),
		Stem: Stem{Width: 8, Kernel: 5, Ahead: 2, Stride: 2},
		Stages: []Stage{
			{Width: 8, Blocks: 1, Kernel: 3, Ahead: 1, Stride: 1},
			{Width: 10, Blocks: 2, Kernel: 4, Ahead: 0, Stride: 2},
		},
	}
}

func newTestNetwork(t *testing.T, c Config, d device.Trainer, seed uint64) *Network {
	t.Helper()
	n, err := NewNetwork(c, d, seeded(seed))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// perturb moves all parameters and running statistics off their initial values, so that all of them matter.
func perturb(n *Network, rng *rand.Rand) {
	for _, p := range n.params {
		values := download(n.dev, p.Value)
		for i := range values {
			values[i] += 0.3 * float32(rng.Float64()-0.5)
		}
		n.dev.Upload(p.Value, values)
	}
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
