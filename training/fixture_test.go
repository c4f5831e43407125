package training

import (
	"archive/zip"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
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

// drawn returns a network of a program with initial values and some noise, so that all of them matter.
func drawn(p *polynet.Program, d device.Trainer, rng *rand.Rand) *Network {
	n := newNetwork(p, d, true)
	for _, q := range n.params {
		d.Upload(q.Value, noisy(initialValues(q.Weight, rng), rng))
	}
	return n
}

func noisy(values []float32, rng *rand.Rand) []float32 {
	for i := range values {
		values[i] += 0.3 * float32(rng.Float64()-0.5)
	}
	return values
}

// blockProgram returns the program of one block.
func blockProgram(kind polynet.BlockKind, degree, in, width, kernel, ahead, stride int) *polynet.Program {
	return blockOf(polynet.Config{
		Inputs: 1, Classes: 1, Block: kind, Degree: degree, Stem: polynet.Stem{Width: in, Kernel: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: width, Blocks: 1, Kernel: kernel, Ahead: ahead, Stride: stride}},
	})
}

// blockOf returns the program of the first block of a network.
func blockOf(c polynet.Config) *polynet.Program {
	const part = "stages.0.0"
	p := &polynet.Program{Inputs: c.Stem.Width}
	network := c.Program()
	for _, s := range network.Steps {
		if s.Part != part {
			continue
		}
		for _, x := range []*polynet.Tensor{&s.X, &s.Y, &s.Skip, &s.Add} {
			if *x != polynet.NoTensor {
				*x-- // without the stem, whose output is the input
			}
		}
		p.Steps = append(p.Steps, s)
	}
	for _, w := range network.Weights {
		if strings.HasPrefix(w.Name, part) {
			p.Weights = append(p.Weights, w)
		}
	}
	return p
}

// headProgram returns the program of a head.
func headProgram(in, out int, dropout float64) *polynet.Program {
	c := nettest.Tiny(polynet.Linear)
	c.Stages[1].Width, c.Classes, c.Dropout = in, out, dropout
	network := c.Program()
	p := &polynet.Program{Inputs: in, Weights: network.Weights[len(network.Weights)-2:]}
	for _, s := range network.Steps {
		if s.Part == "head" {
			s.X = polynet.Tensor(len(p.Steps) + 1)
			p.Steps = append(p.Steps, s)
		}
	}
	return p
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

func newTestNetwork(t *testing.T, c polynet.Config, d device.Trainer, seed uint64) *Network {
	t.Helper()
	n, err := NewNetwork(c, d, nettest.Rand(seed))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// perturb moves all parameters and running statistics off their initial values, so that all of them matter.
func perturb(n *Network, rng *rand.Rand) {
	for _, p := range n.params {
		n.dev.Upload(p.Value, noisy(download(n.dev, p.Value), rng))
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
