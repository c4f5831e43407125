package training

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// TestConvolutionFollowsItsDefinition compares with the sums in Config's comment.
func TestConvolutionFollowsItsDefinition(t *testing.T) {
	const in, out, batch = 2, 3, 2
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for kernel := 1; kernel <= 6; kernel++ {
			for ahead := range kernel {
				for stride := 1; stride <= 3; stride++ {
					for _, frames := range []int{1, 2, 5, 8, 9} {
						rng := nettest.Rand(uint64(kernel))
						_, c := convNetwork(d, polynet.Step{
							In: in, Width: out, Kernel: kernel, Ahead: ahead, Stride: stride,
						}, rng)
						w := download(d, c.weight.Value)
						x := nettest.Normals(rng, batch*frames*in)
						p := newPass(d, max(ahead, kernel-1-ahead), nil)
						y := c.convolve(p, p.Input(x, batch, frames))
						if want := (frames + stride - 1) / stride; y.Rows != want {
							t.Fatalf("%d frames at stride %d give %d rows, want %d", frames, stride, y.Rows, want)
						}
						var want []float32
						for g := range batch {
							clip := x[g*frames*in : (g+1)*frames*in]
							for r := range y.Rows {
								first := r*stride - (kernel - 1 - ahead)
								for o := range out {
									want = append(want, naiveConvolution(w, clip, first, in, out, kernel, o))
								}
							}
						}
						nettest.Near(t, "y", rowsOf(d, y.View), want, 1e-6)
					}
				}
			}
		}
	})
}

// naiveConvolution returns channel o of the output whose window begins at frame first of a clip.
func naiveConvolution(w, clip []float32, first, in, out, kernel, o int) float32 {
	sum := 0.0
	for k := range kernel {
		if f := first + k; f >= 0 && f < len(clip)/in {
			for i := range in {
				sum += float64(w[(k*in+i)*out+o]) * float64(clip[f*in+i])
			}
		}
	}
	return float32(sum)
}

func TestNetworkHasTheModelsWeights(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		c := nettest.Tiny(kind)
		n := newTestNetwork(t, c, device.Ref(), 1)
		weights := n.Weights()
		trained := 0
		for _, w := range c.Program().Weights {
			got, ok := weights[w.Name]
			if !ok || !slices.Equal([]int(got.Shape()), w.Shape) {
				t.Errorf("%s: %s is %v, want shape %v", kind, w.Name, got, w.Shape)
			}
			delete(weights, w.Name)
		}
		if len(weights) > 0 {
			t.Errorf("%s: the network has %v, which the model has not", kind, sorted(weights))
		}
		for _, p := range n.Params() {
			if p.Kind != polynet.Running {
				trained += p.Value.Len()
			}
		}
		if want := c.Program().Parameters(); trained != want {
			t.Errorf("%s: Parameters gives %d, the network has %d", kind, want, trained)
		}
	}
}

func TestNewNetworkRefusesAnImpossibleConfig(t *testing.T) {
	c := nettest.Tiny(polynet.Pi)
	c.Stages[1].Ahead = 4
	if _, err := NewNetwork(c, device.Ref(), nettest.Rand(1)); !errors.Is(err, polynet.ErrConfig) {
		t.Errorf("got %v, want ErrConfig", err)
	}
}

func TestSetWeights(t *testing.T) {
	c := nettest.Tiny(polynet.Pi)
	from, to := newTestNetwork(t, c, device.Ref(), 1), newTestNetwork(t, c, device.Ref(), 2)
	perturb(from, nettest.Rand(3))
	weights := from.Weights()
	if err := to.SetWeights(weights); err != nil {
		t.Fatal(err)
	}
	if a, b := from.state(), to.state(); !slices.Equal(a.Params, b.Params) || !slices.Equal(a.Running, b.Running) {
		t.Error("the weights differ after SetWeights")
	}

	const name = "stages.0.0.norm1.running_var"
	right := weights[name]
	before := to.state()
	for what, wrong := range map[string]*tensor.Dense{
		"missing": nil,
		"shape":   tensor.New(tensor.WithShape(9), tensor.WithBacking(make([]float32, 9))),
		"type":    tensor.New(tensor.WithShape(8), tensor.WithBacking(make([]float64, 8))),
	} {
		weights[name] = wrong
		if wrong == nil {
			delete(weights, name)
		}
		if err := to.SetWeights(weights); !errors.Is(err, polynet.ErrWeights) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want ErrWeights naming %s", what, err, name)
		}
	}
	weights[name] = right
	weights["extra"] = right
	if err := to.SetWeights(weights); !errors.Is(err, polynet.ErrWeights) || !strings.Contains(err.Error(), "extra") {
		t.Errorf("an unknown name: got %v", err)
	}
	if after := to.state(); !slices.Equal(before.Params, after.Params) || !slices.Equal(before.Running, after.Running) {
		t.Error("refused weights changed the network")
	}
}

func TestSetStateRefusesOtherLengths(t *testing.T) {
	n := newTestNetwork(t, nettest.Tiny(polynet.Pi), device.Ref(), 1)
	s := n.state()
	s.Running = s.Running[1:]
	if err := n.setState(s); !errors.Is(err, polynet.ErrWeights) {
		t.Errorf("got %v, want ErrWeights", err)
	}
	if err := NewSGD(n, 0.9, 0).setState([][]float32{{1}}); !errors.Is(err, polynet.ErrWeights) {
		t.Errorf("got %v, want ErrWeights", err)
	}
	if err := NewAdamW(n, 0.9, 0.999, 1e-8, 0).setState([][]float32{s.Params}); !errors.Is(err, polynet.ErrWeights) {
		t.Errorf("got %v, want ErrWeights", err)
	}
}

// TestEvaluationUsesRunningStatistics moves the running statistics to one batch's: training and evaluation then agree
// on it.
func TestEvaluationUsesRunningStatistics(t *testing.T) {
	const batch, frames = 4, 19
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range polynet.BlockKinds() {
			n := newTestNetwork(t, nettest.Tiny(kind), d, 1)
			perturb(n, nettest.Rand(2))
			rows := nettest.Normals(nettest.Rand(3), batch*frames*6)
			p := NewPass(n, nil)
			p.Train = true
			var trained []float32
			for range 200 {
				trained = rowsOf(d, n.Forward(p, p.Input(rows, batch, frames)))
			}
			for _, q := range n.params {
				if strings.HasSuffix(q.Name, ".running_var") {
					count := batch * 10
					if strings.HasPrefix(q.Name, "stages.1") {
						count = batch * 5
					}
					makeBiased(d, q.Value, count)
				}
			}
			p.Train = false
			nettest.Near(t, string(kind), rowsOf(d, n.Forward(p, p.Input(rows, batch, frames))), trained, 1e-5)
			running := n.state().Running
			n.Forward(p, p.Input(rows, batch, frames))
			if !slices.Equal(running, n.state().Running) {
				t.Errorf("%s: evaluation moved the running statistics", kind)
			}
		}
	})
}

// makeBiased turns unbiased variances of count rows into population variances, which is what training divides by.
func makeBiased(d device.Trainer, variance device.Buffer, count int) {
	values := download(d, variance)
	for i := range values {
		values[i] *= float32(count-1) / float32(count)
	}
	d.Upload(variance, values)
}

// TestClipsOfABatchAreIndependent checks that in evaluation a clip's logits do not depend on its neighbours, whatever
// the kernels reach over.
func TestClipsOfABatchAreIndependent(t *testing.T) {
	c := nettest.Tiny(polynet.Pi)
	c.Stages[0].Kernel, c.Stages[0].Ahead = 9, 4
	onDevices(t, func(t *testing.T, d device.Trainer) {
		n := newTestNetwork(t, c, d, 1)
		perturb(n, nettest.Rand(2))
		p := NewPass(n, nil)
		for _, frames := range []int{1, 2, 7, 20} {
			rows := nettest.Normals(nettest.Rand(3), 3*frames*6)
			together := rowsOf(d, n.Forward(p, p.Input(rows, 3, frames)))
			var alone []float32
			for clip := range 3 {
				one := rows[clip*frames*6 : (clip+1)*frames*6]
				alone = append(alone, rowsOf(d, n.Forward(p, p.Input(one, 1, frames)))...)
			}
			nettest.Near(t, "logits", alone, together, 1e-6)
		}
	})
}

// TestPassKeepsNothing runs other shapes, and a forward run without a backward one, between two equal steps.
func TestPassKeepsNothing(t *testing.T) {
	c := nettest.Tiny(polynet.Pi1x1)
	c.Dropout = 0.5
	onDevices(t, func(t *testing.T, d device.Trainer) {
		n := newTestNetwork(t, c, d, 1)
		perturb(n, nettest.Rand(2))
		p := NewPass(n, nil)
		step := func(batch, frames int) ([]float32, []float32) {
			p.Train, p.rng = true, nettest.Rand(4)
			logits := n.Forward(p, p.Input(nettest.Normals(nettest.Rand(5), batch*frames*6), batch, frames))
			out := rowsOf(d, logits)
			n.ZeroGradient()
			n.Backward(p, logits)
			return out, download(d, n.grads)
		}
		logits, gradient := step(4, 13)
		step(7, 40)
		step(2, 1)
		n.Forward(p, p.Input(nettest.Normals(nettest.Rand(6), 6*13*3), 3, 13))
		p.Train = false
		n.Forward(p, p.Input(nettest.Normals(nettest.Rand(7), 6*13*4), 4, 13))
		p.Close()
		for range 2 {
			again, gradientAgain := step(4, 13)
			if !slices.Equal(logits, again) || !slices.Equal(gradient, gradientAgain) {
				t.Fatal("the same step gives other numbers")
			}
		}
	})
}

func TestPassReusesItsMemory(t *testing.T) {
	n := newTestNetwork(t, nettest.Tiny(polynet.Pi1x1), device.Ref(), 1)
	counting := &countingDevice{Trainer: device.Ref()}
	p := newPass(counting, n.program.Padding(), nil)
	p.Train = true
	n.dev = counting
	step := func(batch int) {
		logits := n.Forward(p, p.Input(make([]float32, batch*30*6), batch, 30))
		n.Backward(p, logits)
	}
	step(40)
	step(40)
	before := counting.allocs
	step(40)
	step(12)
	step(40)
	if counting.allocs != before {
		t.Errorf("%d allocations in steps no larger than earlier ones", counting.allocs-before)
	}
	p.Close()
	if counting.held != 0 {
		t.Errorf("%d values are not given back", counting.held)
	}
}

// countingDevice counts what is allocated.
type countingDevice struct {
	device.Trainer
	allocs, held int
}

func (c *countingDevice) Alloc(n int) device.Buffer {
	c.allocs++
	c.held += n
	return c.Trainer.Alloc(n)
}

func (c *countingDevice) Pack(dst *device.Packed, w device.Buffer, k, n int) {
	c.held -= dst.Data.Len()
	c.Trainer.Pack(dst, w, k, n)
	c.held += dst.Data.Len()
}

func (c *countingDevice) PackWindows(dst *device.Packed, w device.Buffer, n int, windows device.View) {
	c.held -= dst.Data.Len()
	c.Trainer.PackWindows(dst, w, n, windows)
	c.held += dst.Data.Len()
}

func (c *countingDevice) Free(b device.Buffer) {
	c.held -= b.Len()
	c.Trainer.Free(b)
}

func TestMisusePanics(t *testing.T) {
	n := newTestNetwork(t, nettest.Tiny(polynet.Pi), device.Ref(), 1)
	p := NewPass(n, nil)
	cases := map[string]func(){
		"no frames":        func() { p.Input(nil, 2, 0) },
		"rows that do not": func() { p.Input(make([]float32, 13), 2, 3) },
		"other features":   func() { n.Forward(p, p.Input(make([]float32, 2*3*5), 2, 3)) },
		"backward in evaluation": func() {
			n.Backward(p, n.Forward(p, p.Input(make([]float32, 2*3*6), 2, 3)))
		},
		"statistics of one row": func() {
			p.Train = true
			n.Forward(p, p.Input(make([]float32, 6), 1, 1))
		},
	}
	for name, f := range cases {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			p.Train = false
			f()
		}()
	}
}

// TestProductsBeginAtZero begins a network with products with the weights of one without: both compute the same.
func TestProductsBeginAtZero(t *testing.T) {
	config := polynet.Config{
		Inputs: 8, Classes: 3, Block: polynet.ReLU, Stem: polynet.Stem{Width: 4, Kernel: 3, Ahead: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: 5, Blocks: 2, Kernel: 3, Stride: 2}},
	}
	plain := nettest.RandomModel(config, rand.New(rand.NewPCG(1, 1)))
	config.Block = polynet.PiReLU
	n, err := NewNetwork(config, device.Ref(), rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	if err := n.begin(plain, true); err != nil {
		t.Fatal(err)
	}
	product := *plain
	product.Net, product.Weights = config, n.Weights()
	rows := make([]float32, 20*config.Inputs)
	for i := range rows {
		rows[i] = float32(math.Sin(float64(i * i)))
	}
	want, got := nettest.Logits(plain, rows), nettest.Logits(&product, rows)
	for c, v := range want {
		if math.Abs(got[c]-v) > 1e-6 {
			t.Errorf("class %d: %v, without products %v", c, got[c], v)
		}
	}
	other := config
	other.Block, other.Degree = polynet.CCP, 2
	m, err := NewNetwork(other, device.Ref(), rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	if err := m.begin(plain, true); !errors.Is(err, ErrConfig) {
		t.Errorf("other blocks: %v", err)
	}
}
