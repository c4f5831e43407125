package onnx

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/polynet"
)

// imported returns the model that the file makes of m's configuration.
func imported(t testing.TB, file []byte, m *polynet.Model) (*polynet.Model, error) {
	t.Helper()
	f, err := Read(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	d, err := f.StateDict(m.Net)
	if err != nil {
		return nil, err
	}
	back := *m
	back.Weights = nil
	return &back, back.SetStateDict(d)
}

func exported(t testing.TB, m *polynet.Model, opts ...Option) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := Write(&file, m, opts...); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestRoundTrip: what was exported and imported answers with the same bits.
func TestRoundTrip(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		rng := rand.New(rand.NewPCG(11, 12))
		for i := range 20 {
			m := randomModel(t, kind, rng)
			var opts []Option
			if i%2 == 0 {
				opts = append(opts, WithFeatures())
			}
			back, err := imported(t, exported(t, m, opts...), m)
			if err != nil {
				t.Fatalf("%s: %v (%+v)", kind, err, m.Net)
			}
			if err := back.Validate(); err != nil {
				t.Fatal(err)
			}
			rows := uniform(rng, 2*20*m.Net.Inputs, -8, 3)
			if got, want := logits(t, back, rows, 2), logits(t, m, rows, 2); !slices.Equal(got, want) {
				t.Fatalf("%s: logits %v, want %v", kind, got, want)
			}
		}
	}
}

func TestStateDictRefusesAnotherNetwork(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	m := randomModel(t, polynet.Pi, rng)
	m.Net.Stem = polynet.Stem{Width: 4, Kernel: 5, Ahead: 1, Stride: 1}
	m.Net.Stages = []polynet.Stage{{Width: 4, Blocks: 1, Kernel: 3, Ahead: 1, Stride: 1}, {Width: 6, Blocks: 2, Kernel: 3, Ahead: 0, Stride: 2}}
	randomWeights(t, m, rng)
	file := exported(t, m)
	for name, c := range map[string]struct {
		change func(c *polynet.Config)
		says   string
	}{
		"relu":      {func(c *polynet.Config) { c.Block = polynet.ReLU }, "Relu"},
		"linear":    {func(c *polynet.Config) { c.Block = polynet.Linear }, "stages.1.0"},
		"mixed":     {func(c *polynet.Config) { c.Block = polynet.Pi1x1 }, "stages.0.0.product.conv"},
		"lookahead": {func(c *polynet.Config) { c.Stages[1].Ahead = 2 }, "stages.1.0.conv1 reads 2 rows before the present one, not 0"},
		"stride":    {func(c *polynet.Config) { c.Stem.Stride = 2 }, "stem.conv has a stride of 1, not 2"},
		"kernel":    {func(c *polynet.Config) { c.Stages[0].Kernel, c.Stages[0].Ahead = 4, 2 }, "stages.0.0.conv1.weight has shape [4 4 3] instead of [4 4 4]"},
		"classes":   {func(c *polynet.Config) { c.Classes++ }, "head.weight"},
		"fewer":     {func(c *polynet.Config) { c.Stages[1].Blocks = 1 }, "pool"},
		"more":      {func(c *polynet.Config) { c.Stages[1].Blocks = 3 }, "stages.1.2"},
	} {
		other := *m
		other.Net.Stages = slices.Clone(m.Net.Stages)
		c.change(&other.Net)
		if _, err := imported(t, file, &other); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, which should say %q", name, err, c.says)
		}
	}
}

// TestStateDictNamesWhatIsWrong changes one thing of a good file.
func TestStateDictNamesWhatIsWrong(t *testing.T) {
	m := randomModel(t, polynet.Pi, rand.New(rand.NewPCG(15, 16)))
	norm := func(g *graphProto) *nodeProto {
		i := slices.IndexFunc(g.nodes, func(n nodeProto) bool { return n.op == "BatchNormalization" })
		return &g.nodes[i]
	}
	for name, c := range map[string]struct {
		change func(g *graphProto)
		says   string
	}{
		"surplus": {func(g *graphProto) {
			g.initializers = append(g.initializers, tensorProto{name: "x", kind: tensorFloat, floats: []float32{1}})
		}, "no x"},
		"missing": {func(g *graphProto) {
			g.initializers = slices.DeleteFunc(g.initializers, func(t tensorProto) bool { return t.name == "stem.conv.weight" })
		}, "stem.conv.weight"},
		"half": {func(g *graphProto) {
			i := slices.IndexFunc(g.initializers, func(t tensorProto) bool { return t.name == "head.bias" })
			g.initializers[i].kind = 10
		}, "head.bias"},
		"training": {func(g *graphProto) {
			norm(g).attributes = append(norm(g).attributes, integer("training_mode", 1))
		}, "eval mode"},
		"epsilon": {func(g *graphProto) {
			norm(g).attributes = []attributeProto{float("epsilon", -1)}
		}, "epsilon"},
		"activation": {func(g *graphProto) {
			g.nodes = append(g.nodes, nodeProto{name: "sigmoid", op: "Sigmoid", inputs: []string{"stem.conv"}, outputs: []string{"sigmoid"}})
		}, "activation"},
		"dilated": {func(g *graphProto) {
			i := slices.IndexFunc(g.nodes, func(n nodeProto) bool { return n.name == "stem.conv" })
			g.nodes[i].attributes = append(g.nodes[i].attributes, ints("dilations", 1, 2))
		}, "dilated"},
	} {
		p := written(t, m)
		c.change(&p.graph)
		if _, err := imported(t, p.encode(), m); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, which should say %q", name, err, c.says)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	whole := exported(t, randomModel(t, polynet.Linear, rand.New(rand.NewPCG(17, 18))))
	external := (&modelProto{graph: graphProto{
		nodes:        []nodeProto{{op: "Conv", outputs: []string{"y"}}},
		initializers: []tensorProto{{name: "w", kind: tensorFloat, dims: []int64{1 << 40, 1 << 40}}},
	}}).encode()
	for name, file := range map[string][]byte{
		"many inputs": (&modelProto{graph: graphProto{nodes: []nodeProto{{op: "Concat", outputs: []string{"y"}, inputs: make([]string, 100)}}}}).encode(),
		"empty":       nil, "text": []byte("a text, no model"), "cut": whole[:len(whole)/2], "no graph": {8, 8}, "claims": external,
	} {
		if _, err := Read(bytes.NewReader(file)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	var nets []polynet.Config
	for _, kind := range polynet.BlockKinds() { // small, since mutations of large files rarely meet what matters
		m := randomModel(f, kind, rand.New(rand.NewPCG(19, 20)))
		m.Net.Stem, m.Net.Classes, m.Labels = polynet.Stem{Width: 1, Kernel: 1, Stride: 1}, 1, []string{"a"}
		m.Net.Stages = []polynet.Stage{{Width: 2, Blocks: 1, Kernel: 2, Ahead: 1, Stride: 1}}
		randomWeights(f, m, rand.New(rand.NewPCG(21, 22)))
		nets = append(nets, m.Net)
		f.Add(exported(f, m))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := Read(bytes.NewReader(file))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%v does not wrap ErrFormat", err)
			}
			return
		}
		for _, c := range nets {
			d, err := p.StateDict(c)
			if err != nil && !errors.Is(err, ErrFormat) {
				t.Fatalf("%v does not wrap ErrFormat", err)
			}
			if err == nil {
				m := polynet.Model{Net: c}
				m.SetStateDict(d)
			}
		}
	})
}
