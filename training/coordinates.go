package training

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// Coordinates evaluates changes of single levels of a narrow model's weights by a loss on a batch of clips. It keeps
// what all steps gave, so that a change updates the columns of the convolution that it is about, and what follows alone
// is computed again. Norms use their running statistics. It is used by one goroutine.
type Coordinates struct {
	net           *Network
	base, trial   *Pass // what is kept, and the latest Try
	gradient      *Pass
	sums          [2][]Activation // by step: what convolutions of base and of trial gave, before their norms
	steps         []int           // the narrow ones
	levels        map[int][]int8  // by narrow step
	scales        map[int][]float32
	narrowings    map[int]*narrowing
	rows, targets []float32
	clips         int
	loss          float64
	tried         []Change
}

// Change sets one level of a narrow step's weight, by its place in it.
type Change struct {
	Step, At int
	Level    int8
}

// NewCoordinates returns the Coordinates of a model with narrow weights. Weights that do not fit its network give an
// error wrapping polynet.ErrWeights, a model without narrow weights one wrapping ErrConfig. dev must work in the host's
// memory.
func NewCoordinates(m *polynet.Model, dev device.Trainer) (*Coordinates, error) {
	if m.Net.Narrow == nil {
		return nil, fmt.Errorf("%w: a search for levels of a model whose weights are float32", ErrConfig)
	}
	n, err := trained(m, dev, true)
	if err != nil {
		return nil, err
	}
	c := &Coordinates{
		net: n, base: NewPass(n, nil), trial: NewPass(n, nil), gradient: NewPass(n, nil), levels: map[int][]int8{},
		scales: map[int][]float32{}, narrowings: map[int]*narrowing{},
	}
	c.gradient.frozen = true
	for i, op := range n.ops {
		var w *narrowing
		switch op := op.(type) {
		case *convOp:
			w = op.narrow
		case linearOp:
			w = op.narrow
		}
		if w == nil {
			continue
		}
		s := &n.program.Steps[i]
		c.steps = append(c.steps, i)
		c.levels[i] = slices.Clone(m.Weights.Levels(s.Weight))
		c.scales[i] = m.Weights[s.WeightScale].Data().([]float32)
		w.fixed = n.dev.Alloc(len(c.levels[i]))
		c.narrowings[i] = w
		n.dev.Upload(w.fixed, polynet.Expand(c.levels[i], c.scales[i]))
	}
	return c, nil
}

// Close gives the memory back to the device.
func (c *Coordinates) Close() {
	for _, p := range []*Pass{c.base, c.trial, c.gradient} {
		p.Close()
	}
	for _, w := range c.narrowings {
		c.net.dev.Free(w.fixed)
	}
	c.net.close()
}

// Steps returns the narrow steps, as indices of the program's.
func (c *Coordinates) Steps() []int { return c.steps }

// Levels returns the levels of a narrow step's weight, which are read-only.
func (c *Coordinates) Levels(step int) []int8 { return c.levels[step] }

// Begin takes a batch of clips, whose rows are normalised features (clips, frames, mels), with their target
// probabilities (clips, classes), and returns the mean cross-entropy.
func (c *Coordinates) Begin(rows, targets []float32, clips int) float64 {
	c.rows, c.targets, c.clips, c.tried = rows, targets, clips, nil
	c.base.tensors = append(c.base.tensors[:0], Activation{}, c.input(c.base))
	c.loss = c.run(0, 0)
	return c.loss
}

func (c *Coordinates) input(p *Pass) Activation {
	return p.Input(c.rows, c.clips, len(c.rows)/(c.clips*c.net.program.Inputs))
}

// Loss returns the loss of what is kept.
func (c *Coordinates) Loss() float64 { return c.loss }

// pass returns the base or the trial.
func (c *Coordinates) pass(which int) *Pass { return []*Pass{c.base, c.trial}[which] }

// run computes a pass from a step on, whose operands are in its tensors, and returns the loss.
func (c *Coordinates) run(which, step int) float64 {
	p := c.pass(which)
	c.sums[which] = append(c.sums[which][:0], make([]Activation, len(c.net.ops))...)
	for i := step; i < len(c.net.ops); i++ {
		conv, ok := c.net.ops[i].(*convOp)
		if !ok {
			p.tensors = append(p.tensors, c.net.ops[i].forward(p))
			continue
		}
		z := Activation{}
		if which == 1 && i == step {
			z = c.update(p, conv, i)
		} else {
			z = conv.convolve(p, p.tensors[conv.X])
		}
		c.sums[which][i] = z
		p.tensors = append(p.tensors, conv.finish(p, z))
	}
	logits := p.tensors[len(p.tensors)-1].matrix()
	p.LossGradient(logits, c.targets, device.Loss{})
	return p.Loss()
}

// update returns what the convolution of a trial's first step gives: what base's gave, but for the columns that changes
// are about.
func (c *Coordinates) update(p *Pass, conv *convOp, step int) Activation {
	x, _ := conv.narrow.round(p, p.tensors[conv.X])
	windows, was := conv.windows(x), c.sums[0][step]
	z := p.memory.plainLike(was)
	copy(z.Data.Host(), was.Data.Host()[:z.Extent()])
	from, to := windows.Data.Host(), z.Data.Host()
	for _, change := range c.tried {
		row, col := change.At/conv.Width, change.At%conv.Width
		delta := c.scales[step][col] * (float32(change.Level) - float32(c.levels[step][change.At]))
		for g := range z.Groups {
			at, out := g*windows.GroupStride+row, g*z.GroupStride+col
			for range z.Rows {
				to[out] += delta * from[at]
				at, out = at+windows.RowStride, out+z.RowStride
			}
		}
	}
	return z
}

// Try returns the loss with the changes, which must be of one step.
func (c *Coordinates) Try(changes []Change) float64 {
	step := changes[0].Step
	c.tried = changes
	c.set(changes, func(change Change) int8 { return change.Level })
	c.trial.reset()
	c.trial.pooled = c.base.pooled
	c.trial.tensors = append(c.trial.tensors[:0], c.base.tensors[:polynet.Output(step)]...)
	loss := c.run(1, step)
	c.set(changes, func(change Change) int8 { return c.levels[change.Step][change.At] })
	return loss
}

// set sets values of the weights by levels.
func (c *Coordinates) set(changes []Change, level func(Change) int8) {
	for _, change := range changes {
		width := len(c.scales[change.Step])
		value := c.scales[change.Step][change.At%width] * float32(level(change))
		c.net.dev.Upload(c.narrowings[change.Step].fixed.Slice(change.At, change.At+1), []float32{value})
	}
}

// Accept keeps the changes of the latest Try, whose loss is given.
func (c *Coordinates) Accept(loss float64) {
	c.set(c.tried, func(change Change) int8 { return change.Level })
	for _, change := range c.tried {
		c.levels[change.Step][change.At] = change.Level
	}
	step := c.tried[0].Step
	for t := polynet.Output(step); int(t) < len(c.trial.tensors); t++ {
		c.copyRows(c.base.tensors[t], c.trial.tensors[t])
	}
	for i := step; i < len(c.sums[0]); i++ {
		if !c.sums[0][i].Empty() {
			c.copyRows(c.sums[0][i], c.sums[1][i])
		}
	}
	c.loss = loss
}

func (c *Coordinates) copyRows(dst, src Activation) {
	eachRow(c.net.dev, dst.View, src.View, func(dst, src []float32) { copy(dst, src) })
}

// Gains returns by how much the loss falls, to first order, where a level of a narrow step's weight grows by one.
func (c *Coordinates) Gains(step int) []float32 {
	c.net.ZeroGradient()
	logits := c.net.Forward(c.gradient, c.input(c.gradient))
	c.net.Backward(c.gradient, c.gradient.LossGradient(logits, c.targets, device.Loss{}))
	gains := download(c.net.dev, c.narrowings[step].weight.Grad)
	for i := range gains {
		gains[i] *= -c.scales[step][i%len(c.scales[step])]
	}
	return gains
}

// Weights returns the model's weights with the levels that are kept.
func (c *Coordinates) Weights() polynet.Weights {
	w := c.net.Weights()
	for i, levels := range c.levels {
		s := &c.net.program.Steps[i]
		shape := w[s.Weight].Shape()
		w[s.Weight] = tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Clone(levels)))
		w[s.WeightScale] = tensor.New(tensor.WithShape(s.Width), tensor.WithBacking(slices.Clone(c.scales[i])))
	}
	return w
}

// NormStatistics returns the running statistics of m's norms as training on clips without changing m would leave them,
// by name. rows are the clips' normalised features (clips, frames, mels).
func NormStatistics(m *polynet.Model, dev device.Trainer, rows []float32, clips int) (polynet.Weights, error) {
	n, err := trained(m, dev, false)
	if err != nil {
		return nil, err
	}
	defer n.close()
	p := NewPass(n, rand.New(rand.NewPCG(1, 1))) // of dropout, after which there are no norms
	defer p.Close()
	p.Train = true
	const batch, moved = 32, 60 // of so many batches each moves the statistics a tenth of the way
	size := len(rows) / clips
	for i := range moved {
		first := i * batch % clips
		some := min(batch, clips-first)
		n.Forward(p, p.Input(rows[first*size:(first+some)*size], some, size/n.program.Inputs))
	}
	statistics := polynet.Weights{}
	for _, q := range n.params {
		if strings.HasSuffix(q.Name, ".running_mean") || strings.HasSuffix(q.Name, ".running_var") {
			n.put(statistics, q)
		}
	}
	return statistics, nil
}
