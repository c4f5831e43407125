package polynet

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// derivative estimates f'(0) by the five-point central difference with step h.
func derivative(f func(x float64) float64, h float64) float64 {
	return (8*(f(h)-f(-h)) - (f(2*h) - f(-2*h))) / (12 * h)
}

// differences checks gradients by finite differences. With kinked, where a ReLU's kink lies within reach, two steps give
// different results: such values are passed over, as long as they are few.
type differences struct {
	kinked          bool
	checked, passed int
}

// check compares gradient, that of loss() with respect to values, at no more than twelve of the values; set makes loss use
// other values.
func (c *differences) check(t *testing.T, name string, values, gradient []float32, set func([]float32), loss func() float64) {
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
	for _, i := range seeded(5).Perm(len(values))[:min(12, len(values))] {
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

// checkLayer compares the gradients that l gives for a random linear function of its output with finite differences: those
// of all its parameters and of its input of batch clips of frames rows of channels.
func checkLayer(t *testing.T, d device.Trainer, l Layer, kinked bool, pad, batch, frames, channels int) {
	t.Helper()
	check := differences{kinked: kinked}
	rng := seeded(3)
	bind(d, l, rng)
	rows := normals(rng, batch*frames*channels)
	var direction []float32
	p := newPass(d, pad, nil)
	forward := func() Activation {
		p.Train = true
		p.rng = seeded(9)
		return l.Forward(p, p.Input(rows, batch, frames))
	}
	loss := func() float64 {
		sum := 0.0
		for i, y := range rowsOf(d, forward().View) {
			sum += float64(y) * float64(direction[i])
		}
		return sum
	}

	y := forward()
	direction = normals(rng, y.Count()*y.Cols)
	dy := Activation{View: p.matrix(y.Rows, y.Cols)} // the head's
	if !y.padded.Empty() {
		dy = p.like(y)
	}
	fill(p, dy, direction)
	dx := rowsOf(d, l.Backward(p, dy).View)
	if len(p.tape) != 0 {
		t.Errorf("%d records were not taken back", len(p.tape))
	}
	for _, q := range l.Params() {
		if q.Kind != Running {
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
				l := newConvolution("conv", 3, 4, c.kernel, c.ahead, c.stride)
				checkLayer(t, d, l, false, max(c.ahead, l.left()), 2, c.frames, 3)
			})
		}
	})
}

func TestNormGradient(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		scaled := newBatchNorm("norm", 5)
		scaled.factor = newVector("scale", 1, Undecayed, 0.5)
		for _, n := range []norm{newBatchNorm("norm", 5), scaled, newSplitNorm("norm", 5, 3)} {
			for _, relu := range []bool{false, true} {
				checkLayer(t, d, normLayer{n, relu}, relu, 2, 3, 6, 5)
			}
		}
	})
}

// TestIterNormGradient checks groups of channels, of which there are more than one where there are many.
func TestIterNormGradient(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for width, group := range map[int]int{5: 5, 66: 33, 96: 48, 67: 1} {
			n := newIterNorm("norm", width, newVector("scale", 1, Undecayed, 0.5))
			if n.group != group {
				t.Errorf("%d channels in groups of %d, want %d", width, n.group, group)
			}
			checkLayer(t, d, normLayer{n, false}, false, 2, 3, 45, width)
		}
	})
}

// TestIterNormWhitens checks that the covariance of what it gives is nearly that of independent channels, where they were not too
// much alike for five steps.
func TestIterNormWhitens(t *testing.T) {
	const width, rows = 6, 400
	d := device.Ref()
	n := newIterNorm("norm", width, newVector("scale", 1, Undecayed, 1))
	for _, p := range n.Params() {
		p.Value, p.Grad = d.Alloc(p.Size()), d.Alloc(p.Size())
		values := make([]float32, p.Size())
		p.initial(values, nil)
		d.Upload(p.Value, values)
	}
	rng := seeded(1)
	x, mix := make([]float32, rows*width), normals(rng, width*width)
	for r := range rows {
		for i, v := range normals(rng, width) {
			for c := range width {
				x[r*width+c] += v * (mix[i*width+c]/8 + float32(1-min(1, (i-c)*(i-c))))
			}
		}
	}
	p := newPass(d, 0, nil)
	p.Train = true
	y := rowsOf(d, n.forward(p, p.Input(x, 1, rows), Activation{}, false).View)
	for a := range width {
		for b := range width {
			sum := 0.0
			for r := range rows {
				sum += float64(y[r*width+a]) * float64(y[r*width+b]) / rows
			}
			if want := float64(1 - min(1, (a-b)*(a-b))); math.Abs(sum-want) > 0.1 {
				t.Errorf("the covariance of channels %d and %d is %.3f, want %g", a, b, sum, want)
			}
		}
	}
}

// normLayer is a norm, and max(·, 0) behind it with relu, as a Layer.
type normLayer struct {
	norm
	relu bool
}

func (n normLayer) Forward(p *Pass, x Activation) Activation {
	return n.forward(p, x, Activation{}, n.relu)
}

func (n normLayer) Backward(p *Pass, dy Activation) Activation {
	r := p.restore()
	if n.relu {
		p.dev.ReLUGrad(dy.View, dy.View, r.y.View)
	}
	return n.backward(p, dy, r)
}

func TestHeadGradient(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		checkLayer(t, d, newHead(6, 4, 1, 0), false, 1, 3, 5, 6)
		checkLayer(t, d, newHead(6, 4, 1, 0.4), false, 1, 3, 5, 6)
	})
}

// TestHeadPoolsRange holds that frames outside the range get no gradient from the head, that those in it share it, and that
// the range of all frames is no range, to the bit.
func TestHeadPoolsRange(t *testing.T) {
	const batch, rows, stride, width = 2, 7, 3, 4
	values := normals(seeded(2), batch*rows*width)
	onDevices(t, func(t *testing.T, d device.Trainer) {
		h := newHead(width, 5, stride, 0)
		bind(d, h, seeded(1))
		p := newPass(d, 1, nil) // one, so that later runs find the earlier ones' numbers in their memory
		p.Train = true
		run := func(pool *poolRange) (logits, gradient []float32) {
			x := p.Input(values, batch, rows)
			if pool != nil {
				p.Pool(pool.first, pool.count)
			}
			y := h.Forward(p, x)
			logits = rowsOf(d, y.View)
			dy := Activation{View: p.matrix(y.Rows, y.Cols)}
			fill(p, dy, normals(seeded(3), y.Rows*y.Cols))
			return logits, rowsOf(d, h.Backward(p, dy).View)
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
		for _, kind := range BlockKinds() {
			for _, c := range cases {
				t.Run(fmt.Sprintf("%s %+v", kind, c), func(t *testing.T) {
					g := blockGraph(kind, blockSpec{in: c.in, width: 4, kernel: c.kernel, ahead: c.ahead, stride: c.stride})
					frames := c.frames
					if kind.regularised() {
						frames += 20 // the norm of a clip of two rows is next to a step function
					}
					checkLayer(t, d, g, kind.Rectified() || kind == DPoly, g.program.padding(), 3, frames, c.in)
				})
			}
		}
	})
}

// blockGraph returns a block, and for dpoly, whose blocks read earlier ones' maps, a second and third one behind it.
func blockGraph(kind BlockKind, g blockSpec) *graph {
	b := &builder{kind: kind, degree: someDegree(kind)}
	b.begin("b")
	x := b.block(g, input)
	if kind == DPoly {
		b.begin("c")
		g.in, g.stride = g.width, 1
		x = b.block(g, x)
		b.begin("d")
		g.width++
		b.block(g, x)
	}
	return newGraph(&b.program)
}

// TestRowGradients checks what regularised networks have between their stages.
func TestRowGradients(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, s := range []step{{op: opMaxPool, name: "pool", width: 4, x: input}, {op: opDropRows, name: "drop", width: 4, x: input}} {
			b := &builder{}
			b.begin("b")
			b.plain(s)
			checkLayer(t, d, newGraph(&b.program), s.op == opMaxPool, 1, 3, 19, 4)
		}
	})
}

// TestNetworkGradient checks whole networks, from the cross-entropy of smoothed targets back to every parameter, with the
// mean over time taken over all frames and over some.
func TestNetworkGradient(t *testing.T) {
	sequential(t)
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range BlockKinds() {
			for _, pool := range []poolRange{{}, {3, 5}} {
				t.Run(fmt.Sprintf("%s %+v", kind, pool), func(t *testing.T) { checkNetwork(t, d, kind, pool) })
			}
		}
	})
}

// sequential skips a long test that could tell nothing of races, in short runs, which those with the race detector are.
func sequential(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long, on one goroutine")
	}
}

func checkNetwork(t *testing.T, d device.Trainer, kind BlockKind, pool poolRange) {
	t.Helper()
	c := tiny(kind)
	c.Dropout = 0.3
	n := newTestNetwork(t, c, d, 1)
	perturb(n, seeded(2))
	const batch, frames = 4, 11
	rows := normals(seeded(3), batch*frames*c.Inputs)
	targets := make([]float32, batch*c.Classes)
	Targets(targets, []int{0, 3, 1, 1}, c.Classes, 0.1)
	p := NewPass(n, nil)
	p.Train = true
	run := func() (float64, device.View) {
		p.rng = seeded(4)
		x := p.Input(rows, batch, frames)
		p.Pool(pool.first, pool.count)
		gradient := p.CrossEntropy(n.Forward(p, x), targets)
		return p.Loss(), gradient
	}
	_, gradient := run()
	n.ZeroGradient()
	n.Backward(p, gradient)
	check := differences{kinked: slices.ContainsFunc(c.bends(), func(what string) bool { return what == "ReLU" || what == "max-pooling" })}
	for _, q := range n.params {
		if q.Kind != Running {
			set := func(v []float32) { d.Upload(q.Value, v) }
			loss := func() float64 { l, _ := run(); return l }
			check.check(t, q.Name, download(d, q.Value), download(d, q.Grad), set, loss)
		}
	}
}
