package main

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/polyphon/polyphon/device"
)

// digits are images of 784 pixels from 0 to 1, and what they show.
type digits struct {
	pixels []float32
	labels []int
}

const pixels, classes = 28 * 28, 10

// recipe is that of the papers' code: stochastic gradient descent with momentum on cross-entropy + l1·Σ|weights|, at a
// rate that falls to a tenth after each drop.
type recipe struct {
	rate, momentum, l1  float32
	batch, epochs, drop int
}

// layer is a dense one: x·weight + bias, weight (in, out).
type layer struct {
	in, out                  int
	weight, bias             device.Buffer
	weightGrad, biasGrad     device.Buffer
	weightMoment, biasMoment []float32
	packed, transposed       device.Packed
	transposedWeight         device.Buffer
	output, gradient         device.Buffer // (batch, out)
}

// mlp is a network of dense layers with a ReLU after each but the last.
type mlp struct {
	dev    device.Trainer
	layers []*layer
}

// newMLP draws weights and biases as PyTorch's Linear does, uniform within 1/√in.
func newMLP(dev device.Trainer, widths []int, batch int, rng *rand.Rand) *mlp {
	n := &mlp{dev: dev}
	for i, out := range widths[1:] {
		in := widths[i]
		l := &layer{
			in: in, out: out, weight: dev.Alloc(in * out), bias: dev.Alloc(out), weightGrad: dev.Alloc(in * out),
			biasGrad: dev.Alloc(out), weightMoment: make([]float32, in*out), biasMoment: make([]float32, out),
			transposedWeight: dev.Alloc(in * out), output: dev.Alloc(batch * out), gradient: dev.Alloc(batch * out),
		}
		for _, b := range []device.Buffer{l.weight, l.bias} {
			for k := range b.Host() {
				b.Host()[k] = float32((2*rng.Float64() - 1) / math.Sqrt(float64(in)))
			}
		}
		n.layers = append(n.layers, l)
	}
	return n
}

// forward returns the logits (count, classes) of count images in x.
func (n *mlp) forward(x device.Buffer, count int) device.View {
	v := device.Matrix(x, count, n.layers[0].in)
	for i, l := range n.layers {
		n.dev.Pack(&l.packed, l.weight, l.in, l.out)
		y := device.Matrix(l.output, count, l.out)
		n.dev.MatMul(y, v, &l.packed, device.Epilogue{Shift: l.bias, ReLU: i+1 < len(n.layers)})
		v = y
	}
	return v
}

// backward computes the gradients, given that of the logits in the last layer's gradient.
func (n *mlp) backward(x device.Buffer, count int) {
	for i := len(n.layers) - 1; i >= 0; i-- {
		l := n.layers[i]
		dy, input := device.Matrix(l.gradient, count, l.out), device.Matrix(x, count, l.in)
		if i > 0 {
			input = device.Matrix(n.layers[i-1].output, count, l.in)
		}
		n.dev.Fill(device.Matrix(l.weightGrad, l.in, l.out), 0)
		n.dev.MatMulTransA(l.weightGrad, input, dy)
		n.dev.GradSums(l.biasGrad, device.Buffer{}, dy, device.View{}, device.View{})
		if i == 0 {
			return
		}
		n.dev.Transpose(device.Matrix(l.transposedWeight, l.out, l.in), device.Matrix(l.weight, l.in, l.out), false)
		n.dev.Pack(&l.transposed, l.transposedWeight, l.out, l.in)
		dx := device.Matrix(n.layers[i-1].gradient, count, l.in)
		n.dev.MatMul(dx, dy, &l.transposed, device.Epilogue{})
		n.dev.ReLUGrad(dx, dx, input)
	}
}

// step moves the parameters, with momentum in PyTorch's form.
func (n *mlp) step(r recipe, rate float32) {
	move := func(w, g, m []float32, l1 float32) {
		for i, v := range w {
			d := g[i]
			if v > 0 {
				d += l1
			} else if v < 0 {
				d -= l1
			}
			m[i] = r.momentum*m[i] + d
			w[i] = v - rate*m[i]
		}
	}
	for _, l := range n.layers {
		move(l.weight.Host(), l.weightGrad.Host(), l.weightMoment, r.l1)
		move(l.bias.Host(), l.biasGrad.Host(), l.biasMoment, 0)
	}
}

// fit trains the network.
func (n *mlp) fit(
	ctx context.Context, d digits, r recipe, rng *rand.Rand, report func(epoch int, loss float64),
) error {
	x, targets, losses := n.dev.Alloc(r.batch*pixels), n.dev.Alloc(r.batch*classes), n.dev.Alloc(r.batch)
	last := n.layers[len(n.layers)-1]
	rate := r.rate
	for epoch := range r.epochs {
		if epoch > 0 && epoch%r.drop == 0 {
			rate /= 10
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		sum, order := 0.0, rng.Perm(len(d.labels))
		for len(order) > 0 {
			count := min(r.batch, len(order))
			clear(targets.Host())
			for i, k := range order[:count] {
				copy(x.Host()[i*pixels:], d.pixels[k*pixels:(k+1)*pixels])
				targets.Host()[i*classes+d.labels[k]] = 1
			}
			order = order[count:]
			logits := n.forward(x, count)
			n.dev.Loss(device.Matrix(last.gradient, count, classes), losses.Slice(0, count), logits,
				device.Matrix(targets, count, classes), device.Loss{}, 1/float32(count))
			for _, l := range losses.Host()[:count] {
				sum += float64(l)
			}
			n.backward(x, count)
			n.step(r, rate)
		}
		report(epoch+1, sum/float64(len(d.labels)))
	}
	return nil
}
