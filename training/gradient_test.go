package training

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// derivative estimates f'(0) by the five-point central difference with step h.
func derivative(f func(x float64) float64, h float64) float64 {
	return (8*(f(h)-f(-h)) - (f(2*h) - f(-2*h))) / (12 * h)
}

// differences checks gradients by finite differences. With kinked, where a ReLU's kink lies within reach, two steps
// give different results: such values are passed over, as long as they are few.
type differences struct {
	kinked          bool
	checked, passed int
}

// kinked reports whether a kind's differences need kinked: mu's as well, whose factors of rank two are as good as
// kinked where both weights of a channel are near 0.
func kinked(kind polynet.BlockKind) bool { return kind.Rectified() || kind == polynet.Mu }

// check compares gradient, that of loss() with respect to values, at no more than twelve of the values; set makes loss
// use other values.
func (c *differences) check(
	t *testing.T, name string, values, gradient []float32, set func([]float32), loss func() float64,
) {
	t.Helper()
	if len(values) != len(gradient) {
		t.Fatalf("%s: %d gradients for %d values", name, len(gradient), len(values))
	}
	step, largest := 1.0/128, 0.0
	if c.kinked {
		step = 1.0 / 1024
	}
	for _, g := range gradient {
		largest = max(largest, math.Abs(float64(g)))
	}
	tolerance := 2e-3*largest + 4e-4
	if c.kinked {
		tolerance = 8e-3*largest + 4e-3 // a shorter step, more of whose difference is rounding
	}
	for _, i := range nettest.Rand(5).Perm(len(values))[:min(12, len(values))] {
		was := values[i]
		moved := func(x float64) float64 {
			values[i] = was + float32(x)
			set(values)
			return loss()
		}
		estimate := derivative(moved, step)
		smooth := !c.kinked || math.Abs(estimate-derivative(moved, 2*step)) <= tolerance/4 &&
			math.Abs(moved(step)+moved(-step)-2*moved(0))/step <= tolerance // the same from both sides
		values[i] = was
		set(values)
		c.checked++
		if !smooth {
			c.passed++
		} else if e := math.Abs(estimate - float64(gradient[i])); !(e <= tolerance) {
			t.Errorf("%s: gradient %d is %g, differences give %g (largest %g)", name, i, gradient[i], estimate, largest)
		}
	}
}

// end fails the test if too many values were passed over.
func (c *differences) end(t *testing.T) {
	t.Helper()
	if c.passed*2 > c.checked {
		t.Errorf("%d of %d differences could not be taken", c.passed, c.checked)
	}
}

// layer is a part of a network.
type layer interface {
	forward(p *Pass, x Activation) Activation
	backward(p *Pass, dy Activation) Activation // the gradient of the input
}

// networkLayer is a whole network.
type networkLayer struct{ *Network }

func (l networkLayer) backward(p *Pass, dy Activation) Activation {
	return l.Network.backward(p, dy, true)
}

// convLayer is the convolution of an OpConv, without its norm.
type convLayer struct{ *convOp }

func (l convLayer) forward(p *Pass, x Activation) Activation { return l.convolve(p, x) }

func (l convLayer) backward(p *Pass, dy Activation) Activation {
	x, dz := p.restore().x, p.activation(dy.Groups, dy.Rows, dy.Cols)
	p.add(dz.View, dy.View, device.View{})
	p.dev.MatMulTransA(l.weight.Grad, l.windows(x), dz.View)
	dx := p.memory.plainLike(x)
	l.backwardInput(p, dx, dz, l.weight.Value, false)
	return dx
}

// normLayer is a norm, and max(·, 0) of it with relu.
type normLayer struct {
	*batchNorm
	relu bool
}

func (l normLayer) forward(p *Pass, x Activation) Activation {
	return l.batchNorm.forward(p, x, Activation{}, l.relu)
}

func (l normLayer) backward(p *Pass, dy Activation) Activation {
	r := p.restore()
	if l.relu {
		p.dev.ReLUGrad(dy.View, dy.View, r.y.View)
	}
	return l.batchNorm.backward(p, dy, r)
}

// convNetwork returns a network of one convolution and its norm.
func convNetwork(d device.Trainer, s polynet.Step, rng *rand.Rand) (*Network, *convOp) {
	s.Op, s.Name, s.X, s.Weight, s.Norm = polynet.OpConv, "conv", polynet.Input, "conv.weight", polynet.Norm{Name: "norm"}
	width := []int{s.Width}
	n := drawn(&polynet.Program{Inputs: s.In, Steps: []polynet.Step{s}, Weights: []polynet.Weight{
		{Name: "conv.weight", Shape: []int{s.Kernel, s.In, s.Width}, FanOut: s.Kernel * s.Width},
		{Name: "norm.weight", Shape: width, Kind: polynet.Undecayed, Init: 1},
		{Name: "norm.bias", Shape: width, Kind: polynet.Undecayed},
		{Name: "norm.running_mean", Shape: width, Kind: polynet.Running},
		{Name: "norm.running_var", Shape: width, Kind: polynet.Running, Init: 1},
		{Name: "scale", Shape: []int{1}, Kind: polynet.Undecayed, Init: 0.5},
	}}, d, rng)
	return n, n.ops[0].(*convOp)
}

// checkLayer compares the gradients that l gives for a random linear function of its output with finite differences:
// those of the parameters and of its input of batch clips of frames rows of channels.
func checkLayer(
	t *testing.T, d device.Trainer, l layer, params []*Param, kinked bool, pad, batch, frames, channels int,
) {
	t.Helper()
	check := differences{kinked: kinked}
	rng := nettest.Rand(3)
	rows := nettest.Normals(rng, batch*frames*channels)
	var direction []float32
	p := newPass(d, pad, nil)
	forward := func() Activation {
		p.Train = true
		p.rng = nettest.Rand(9)
		return l.forward(p, p.Input(rows, batch, frames))
	}
	loss := func() float64 {
		sum := 0.0
		for i, y := range rowsOf(d, forward().View) {
			sum += float64(y) * float64(direction[i])
		}
		return sum
	}

	y := forward()
	direction = nettest.Normals(rng, y.Count()*y.Cols)
	dy := p.memory.plainLike(y)
	d.Upload(dy.Data, direction)
	dx := rowsOf(d, l.backward(p, dy).View)
	if len(p.records) != 0 {
		t.Errorf("%d records were not restored", len(p.records))
	}
	for _, q := range params {
		if q.Kind != polynet.Running {
			set := func(v []float32) { d.Upload(q.Value, v) }
			check.check(t, q.Name, download(d, q.Value), download(d, q.Grad), set, loss)
		}
	}
	check.check(t, "input", rows, dx, func([]float32) {}, loss)
	check.end(t)
}

func TestConvolutionGradient(t *testing.T) {
	cases := []struct{ frames, kernel, ahead, stride int }{
		{frames: 7, kernel: 5, ahead: 2, stride: 1},
		{frames: 7, kernel: 5, ahead: 0, stride: 1},
		{frames: 7, kernel: 5, ahead: 4, stride: 1},
		{frames: 7, kernel: 5, ahead: 2, stride: 2},
		{frames: 8, kernel: 4, ahead: 1, stride: 2},
		{frames: 9, kernel: 4, ahead: 3, stride: 3},
		{frames: 8, kernel: 7, ahead: 0, stride: 3},
		{frames: 7, kernel: 1, ahead: 0, stride: 1},
		{frames: 7, kernel: 1, ahead: 0, stride: 2},
		{frames: 8, kernel: 2, ahead: 0, stride: 5},
		{frames: 3, kernel: 9, ahead: 4, stride: 1}, // shorter than the kernel
		{frames: 3, kernel: 9, ahead: 3, stride: 2},
		{frames: 1, kernel: 5, ahead: 1, stride: 4},
	}
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, c := range cases {
			t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
				_, l := convNetwork(d, polynet.Step{
					In: 3, Width: 4, Kernel: c.kernel, Ahead: c.ahead, Stride: c.stride,
				}, nettest.Rand(3))
				checkLayer(t, d, convLayer{l}, []*Param{l.weight}, false, max(c.ahead, l.before()), 2, c.frames, 3)
			})
		}
	})
}

func TestNormGradient(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, factor := range []string{"", "scale"} {
			n, _ := convNetwork(d, polynet.Step{In: 5, Width: 5, Kernel: 1, Stride: 1}, nettest.Rand(3))
			params := map[string]*Param{}
			for _, q := range n.params {
				params[q.Name] = q
			}
			l := newBatchNorm(polynet.Norm{Name: "norm", Factor: factor}, params)
			trained := []*Param{l.weight, l.bias}
			if factor != "" {
				trained = append(trained, l.factor)
			}
			for _, relu := range []bool{false, true} {
				n.ZeroGradient()
				checkLayer(t, d, normLayer{l, relu}, trained, relu, 2, 3, 6, 5)
			}
		}
	})
}

func TestHeadGradient(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, dropout := range []float64{0, 0.4} {
			n := drawn(headProgram(6, 4, dropout), d, nettest.Rand(3))
			checkLayer(t, d, networkLayer{n}, n.params, false, 1, 3, 5, 6)
		}
	})
}

// TestHeadPoolsRange holds that frames outside the range get no gradient from the head, that those in it share it, and
// that the range of all frames is no range, to the bit.
func TestHeadPoolsRange(t *testing.T) {
	const batch, rows, stride, width = 2, 7, 3, 4
	values := nettest.Normals(nettest.Rand(2), batch*rows*width)
	onDevices(t, func(t *testing.T, d device.Trainer) {
		n := drawn(headProgram(width, 5, 0), d, nettest.Rand(1))
		n.ops[0] = meanOp{&n.program.Steps[0], stride}
		p := newPass(d, 1, nil) // one, so that later runs find the earlier ones' numbers in their memory
		p.Train = true
		run := func(pool *poolRange) (logits, gradient []float32) {
			x := p.Input(values, batch, rows)
			if pool != nil {
				p.pool(pool.first, pool.count)
			}
			y := n.forward(p, x)
			logits = rowsOf(d, y.View)
			dy := p.memory.plainLike(y)
			d.Upload(dy.Data, nettest.Normals(nettest.Rand(3), y.Count()*y.Cols))
			return logits, rowsOf(d, n.backward(p, dy, true).View)
		}
		logits, gradient := run(nil)
		whole, wholeGradient := run(&poolRange{0, rows * stride})
		if !slices.Equal(whole, logits) || !slices.Equal(wholeGradient, gradient) {
			t.Error("the range of all frames gives other numbers than no range")
		}

		_, part := run(&poolRange{4, 9}) // frames 4 to 12: rows 2, 3 and 4, of frames 6, 9 and 12
		for i, g := range part {
			want := gradient[i] * rows / 3
			if row := i / width % rows; row < 2 || row > 4 {
				want = 0
			}
			if math.Abs(float64(g-want)) > 1e-6 {
				t.Errorf("clip %d, row %d: gradient %g, want %g", i/width/rows, i/width%rows, g, want)
			}
		}
	})
}

func TestBlockGradient(t *testing.T) {
	sequential(t)
	cases := []struct{ in, frames, kernel, ahead, stride int }{
		{in: 4, frames: 7, kernel: 3, ahead: 1, stride: 1},
		{in: 3, frames: 7, kernel: 3, ahead: 0, stride: 1},
		{in: 4, frames: 7, kernel: 5, ahead: 1, stride: 2},
		{in: 3, frames: 4, kernel: 9, ahead: 4, stride: 2},
	}
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range polynet.BlockKinds() {
			for _, c := range cases {
				t.Run(fmt.Sprintf("%s %+v", kind, c), func(t *testing.T) {
					n := drawn(blockProgram(kind, nettest.Degree(kind), c.in, 4, c.kernel, c.ahead, c.stride), d, nettest.Rand(3))
					pad := n.program.Padding()
					checkLayer(t, d, networkLayer{n}, n.params, kinked(kind), pad, 3, c.frames, c.in)
				})
			}
		}
	})
}

// TestNetworkGradient checks whole networks, from the cross-entropy of smoothed targets back to every parameter, with
// the mean over time taken over all frames and over some.
func TestNetworkGradient(t *testing.T) {
	sequential(t)
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range polynet.BlockKinds() {
			for _, pool := range []poolRange{{}, {3, 5}} {
				t.Run(fmt.Sprintf("%s %+v", kind, pool), func(t *testing.T) { checkNetwork(t, d, kind, pool) })
			}
		}
	})
}

// sequential skips a long test on one goroutine in short runs: those with the race detector, which has nothing to find.
func sequential(t *testing.T) {
	t.Helper()
	need.Long(t, "one goroutine")
}

func checkNetwork(t *testing.T, d device.Trainer, kind polynet.BlockKind, pool poolRange) {
	t.Helper()
	c := nettest.Tiny(kind)
	c.Dropout = 0.3
	n := newTestNetwork(t, c, d, 1)
	perturb(n, nettest.Rand(2))
	const batch, frames = 4, 11
	rows := nettest.Normals(nettest.Rand(3), batch*frames*c.Inputs)
	targets := make([]float32, batch*c.Classes)
	Targets(targets, []int{0, 3, 1, 1}, c.Classes, 0.1)
	p := NewPass(n, nil)
	p.Train = true
	run := func() (float64, device.View) {
		p.rng = nettest.Rand(4)
		x := p.Input(rows, batch, frames)
		p.pool(pool.first, pool.count)
		gradient := p.LossGradient(n.Forward(p, x), targets, device.Loss{})
		return p.Loss(), gradient
	}
	_, gradient := run()
	n.ZeroGradient()
	n.Backward(p, gradient)
	check := differences{kinked: kinked(kind)}
	for _, q := range n.params {
		if q.Kind != polynet.Running {
			set := func(v []float32) { d.Upload(q.Value, v) }
			loss := func() float64 { l, _ := run(); return l }
			check.check(t, q.Name, download(d, q.Value), download(d, q.Grad), set, loss)
		}
	}
}
