package onnx

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/memtest"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"google.golang.org/protobuf/encoding/protowire"
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

func exported(t testing.TB, m *polynet.Model, input Input) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := Write(&file, m, input); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestRoundTrip: what was exported, imported and exported again is the same file.
func TestRoundTrip(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		rng := rand.New(rand.NewPCG(11, 12))
		for i := range 20 {
			m := randomModel(kind, rng)
			input := []Input{Samples, LogMel}[i%2]
			file := exported(t, m, input)
			back, err := imported(t, file, m)
			if err != nil {
				t.Fatalf("%s: %v (%+v)", kind, err, m.Net)
			}
			if err := back.Validate(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(exported(t, back, input), file) {
				t.Fatalf("%s: another file (%+v)", kind, m.Net)
			}
		}
	}
}

func TestStateDictRefusesAnotherNetwork(t *testing.T) {
	config := polynet.Config{
		Inputs: 5, Classes: 3, Block: polynet.Pi, Stem: polynet.Stem{Width: 4, Kernel: 5, Ahead: 1, Stride: 1},
		Stages: []polynet.Stage{
			{Width: 4, Blocks: 1, Kernel: 3, Ahead: 1, Stride: 1}, {Width: 6, Blocks: 2, Kernel: 3, Ahead: 0, Stride: 2},
		},
	}
	m := nettest.RandomModel(config, nettest.Rand(13))
	file := exported(t, m, LogMel)
	for name, c := range map[string]struct {
		change func(c *polynet.Config)
		says   string
	}{
		"relu":   {func(c *polynet.Config) { c.Block = polynet.ReLU }, "Relu"},
		"linear": {func(c *polynet.Config) { c.Block = polynet.Linear }, "stages.1.0"},
		"mixed":  {func(c *polynet.Config) { c.Block = polynet.Pi1x1 }, "stages.0.0.product.conv"},
		"lookahead": {
			func(c *polynet.Config) { c.Stages[1].Ahead = 2 },
			"stages.1.0.conv1 reads 2 rows before the present one, not 0",
		},
		"stride": {func(c *polynet.Config) { c.Stem.Stride = 2 }, "stem.conv has a stride of 1, not 2"},
		"kernel": {
			func(c *polynet.Config) { c.Stages[0].Kernel, c.Stages[0].Ahead = 4, 2 },
			"stages.0.0.conv1.weight has shape [4 4 3] instead of [4 4 4]",
		},
		"classes": {func(c *polynet.Config) { c.Classes++ }, "head.weight"},
		"fewer":   {func(c *polynet.Config) { c.Stages[1].Blocks = 1 }, "pool"},
		"more":    {func(c *polynet.Config) { c.Stages[1].Blocks = 3 }, "stages.1.2"},
	} {
		other := *m
		other.Net.Stages = slices.Clone(m.Net.Stages)
		c.change(&other.Net)
		if _, err := imported(t, file, &other); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, which should say %q", name, err, c.says)
		}
	}
}

func TestStateDictRefusesAnotherDecomposition(t *testing.T) {
	config := func(kind polynet.BlockKind, degree int) polynet.Config {
		c := nettest.Tiny(kind)
		c.Degree = degree
		return c
	}
	for _, c := range []struct {
		is, want polynet.Config
		says     string
	}{
		{config(polynet.CCP, 3), config(polynet.CCP, 2), "stages.0.0.out.conv"},
		{config(polynet.CCP, 2), config(polynet.CCP, 3), "stages.0.0.conv3"},
		{config(polynet.CCP, 2), config(polynet.NCP, 2), "stages.0.0.nest2.conv"},
		{config(polynet.NCP, 2), config(polynet.NCPSkip, 2), "stages.0.0.skip2.conv"},
		{config(polynet.NCPSkip, 2), config(polynet.NCP, 2), "stages.0.0.out.conv"},
		{config(polynet.CCP, 2), nettest.Tiny(polynet.Star), "stages.0.0.depthwise.conv"},
		{nettest.Tiny(polynet.Star), nettest.Tiny(polynet.Linear), "stages.0.0.conv1"},
		{nettest.Tiny(polynet.Star), nettest.Tiny(polynet.Mu), "stages.0.0.b.conv"},
		{nettest.Tiny(polynet.Mu), nettest.Tiny(polynet.Star), "stages.0.0.product"},
		{nettest.Tiny(polynet.Star), nettest.Tiny(polynet.Pi), "stages.0.0.conv1"},
		{config(polynet.NCP, 3), nettest.Tiny(polynet.PiTanh), "stages.0.0.conv2"},
	} {
		m := nettest.RandomModel(c.is, nettest.Rand(14))
		file := exported(t, m, LogMel)
		m.Net = c.want
		if _, err := imported(t, file, m); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s of degree %d as %s of degree %d: %v, which should say %q",
				c.is.Block, c.is.Degree, c.want.Block, c.want.Degree, err, c.says)
		}
	}
}

// TestStateDictNamesWhatIsWrong changes one thing of a good file.
func TestStateDictNamesWhatIsWrong(t *testing.T) {
	m := randomModel(polynet.Pi, rand.New(rand.NewPCG(15, 16)))
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
			g.nodes = append(g.nodes, nodeProto{
				name: "sigmoid", op: "Sigmoid", inputs: []string{"stem.conv"}, outputs: []string{"sigmoid"},
			})
		}, "activation"},
		"dilated": {func(g *graphProto) {
			i := slices.IndexFunc(g.nodes, func(n nodeProto) bool { return n.name == "stem.conv" })
			g.nodes[i].attributes = append(g.nodes[i].attributes, ints("dilations", 1, 2))
		}, "dilated"},
	} {
		p := written(t, m, LogMel)
		c.change(&p.graph)
		if _, err := imported(t, encode(p), m); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, which should say %q", name, err, c.says)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	whole := exported(t, randomModel(polynet.Linear, rand.New(rand.NewPCG(17, 18))), LogMel)
	graph := func(g graphProto) []byte { return encode(&modelProto{graph: g}) }
	node := nodeProto{op: "Conv", outputs: []string{"y"}}
	weight := func(t tensorProto) []byte {
		t.name, t.kind = "w", tensorFloat
		return graph(graphProto{nodes: []nodeProto{node}, initializers: []tensorProto{t}})
	}
	// outside returns a file whose weight has one more field.
	outside := func(field protowire.Number, kind protowire.Type, value ...byte) []byte {
		inner := append(encode(&tensorProto{name: "w", kind: tensorFloat, dims: []int64{0}}), byte(field)<<3|byte(kind))
		g := protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), append(inner, value...))
		return protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), g)
	}
	long := strings.Repeat("x", maxName)
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"inputs of a node": {graph(graphProto{
			nodes: []nodeProto{{op: "Concat", outputs: []string{"y"}, inputs: make([]string, maxOfNode+1)}},
		}), "field 1: more than 16 items"},
		"nodes":        {graph(graphProto{nodes: slices.Repeat([]nodeProto{node}, maxNodes+1)}), "more than 32768 items"},
		"initializers": {graph(graphProto{initializers: make([]tensorProto, maxItems+1)}), "more than 65536 items"},
		"parts": {graph(graphProto{nodes: slices.Repeat([]nodeProto{{
			op: "Concat", outputs: make([]string, 13), inputs: make([]string, 16), attributes: make([]attributeProto, 16),
		}}, maxParts/45+1)}), "more than 196608 inputs, outputs and attributes"},
		"a name": {graph(graphProto{nodes: []nodeProto{{op: long + "x", outputs: node.outputs}}}), "a text of 4097 bytes"},
		"metadata": {
			encode(&modelProto{metadata: []entryProto{{"x", string(make([]byte, maxText+1))}}}), "1048577 bytes",
		},
		"empty":            {nil, "it is an empty file"},
		"text":             {[]byte("a text, no model"), "field"},
		"cut":              {whole[:len(whole)/2], "unexpected EOF"},
		"no graph":         {[]byte{8, 8}, "no graph"},
		"Git LFS":          {[]byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n"), "git lfs pull"},
		"HTML":             {[]byte("<!doctype html><title>404"), "an HTML page"},
		"a checkpoint":     {[]byte("PK\x03\x04\x00\x00\x08\x08"), "ZIP archive"},
		"claims":           {weight(tensorProto{dims: []int64{1 << 40, 1 << 40}}), "shape [1099511627776 1099511627776]"},
		"an overflow":      {weight(tensorProto{dims: []int64{1 << 31, 1 << 31, 1 << 31}}), "shape"},
		"to nothing":       {weight(tensorProto{dims: []int64{1 << 30, 1 << 30, 16}}), "shape"},
		"a negative shape": {weight(tensorProto{dims: []int64{-1, -1}, floats: []float32{1}}), "shape [-1 -1]"},
		"too few values":   {weight(tensorProto{dims: []int64{3}, floats: []float32{1}}), "1 values in a shape of [3]"},
		"dimensions":       {weight(tensorProto{dims: make([]int64, maxDims+1)}), "more than 8 items"},
		"external data":    {outside(13, protowire.BytesType, 0), "lie in another file"},
		"external place":   {outside(14, protowire.VarintType, 1), "lie in another file"},
	} {
		var err error
		memtest.Within(t, 5*len(c.file), func() { _, err = Read(bytes.NewReader(c.file)) })
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, which should say %q", name, err, c.says)
		}
	}
	for name, file := range map[string][]byte{ // just inside
		"inputs": graph(graphProto{
			nodes: []nodeProto{{op: "Concat", outputs: []string{"y"}, inputs: make([]string, maxOfNode)}},
		}),
		"nodes": graph(graphProto{nodes: slices.Repeat([]nodeProto{node}, maxNodes)}),
		"initializers": graph(graphProto{
			nodes:        []nodeProto{node},
			initializers: slices.Repeat([]tensorProto{{kind: tensorFloat, dims: []int64{0}}}, maxItems),
		}),
		"parts": graph(graphProto{nodes: slices.Repeat([]nodeProto{{
			op: "Concat", outputs: make([]string, 13), inputs: make([]string, 16), attributes: make([]attributeProto, 16),
		}}, maxParts/45)}),
		"name":       graph(graphProto{nodes: []nodeProto{{op: long, outputs: node.outputs}}}),
		"dimensions": weight(tensorProto{dims: make([]int64, maxDims)}),
	} {
		var err error
		memtest.Within(t, 5*len(file), func() { _, err = Read(bytes.NewReader(file)) })
		if err != nil {
			t.Errorf("inside: %s: %v", name, err)
		}
	}
}

// TestReadHoldsLittle reads a file of 40 MB.
func TestReadHoldsLittle(t *testing.T) {
	file := encode(&modelProto{graph: graphProto{
		nodes:        []nodeProto{{op: "Conv", outputs: []string{"y"}}},
		initializers: []tensorProto{{name: "w", kind: tensorFloat, dims: []int64{10e6}, floats: make([]float32, 10e6)}},
	}})
	memtest.Within(t, 3*len(file), func() {
		if _, err := Read(bytes.NewReader(file)); err != nil {
			t.Error(err)
		}
	})
}

// TestCrowdedGraphsTakeNoTime gives a value that every node of a large graph reads.
func TestCrowdedGraphsTakeNoTime(t *testing.T) {
	node := nodeProto{op: "Conv", inputs: []string{"x"}, outputs: []string{"x"}}
	file := encode(&modelProto{graph: graphProto{nodes: slices.Repeat([]nodeProto{node}, maxNodes)}})
	_, err := imported(t, file, nettest.RandomModel(nettest.Tiny(polynet.Pi), nettest.Rand(1)))
	if err == nil || !strings.Contains(err.Error(), `32768 operators read "x"`) {
		t.Error(err)
	}
}

func FuzzONNXImport(f *testing.F) {
	var nets []polynet.Config
	for _, kind := range polynet.BlockKinds() { // small, since mutations of large files rarely reach what matters
		net := polynet.Config{
			Inputs: 2, Classes: 1, Block: kind, Degree: nettest.Degree(kind),
			Stem:   polynet.Stem{Width: 1, Kernel: 1, Stride: 1},
			Stages: []polynet.Stage{{Width: 2, Blocks: 1, Kernel: 2, Ahead: 1, Stride: 1}},
		}
		nets = append(nets, net)
		f.Add(exported(f, nettest.RandomModel(net, nettest.Rand(19)), LogMel))
	}
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var p *File
		var err error
		memtest.Within(t, 5*len(file), func() { p, err = Read(bytes.NewReader(file)) })
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
