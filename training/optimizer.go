package training

import (
	"errors"
	"fmt"
	"math"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// Optimizer moves a network's parameters against their gradients. Weight decay applies to Decayed parameters only.
type Optimizer struct {
	net     *Network
	moments []device.Buffer // moving averages of the gradients, laid out like the parameters
	update  func(g group, rate float32, step int)
	decay   float32
	body    float64 // factor of the learning rate of all layers but the head
}

// group is a range of the parameters' buffer with one weight decay.
type group struct {
	begin, end int
	decay      float32
}

func (g group) of(b device.Buffer) device.Buffer { return b.Slice(g.begin, g.end) }

func newOptimizer(n *Network, moments int, decay float64) *Optimizer {
	o := &Optimizer{net: n, decay: float32(decay), body: 1}
	for range moments {
		o.moments = append(o.moments, n.dev.Alloc(n.values.Len()))
	}
	return o
}

// NewSGD returns stochastic gradient descent with Nesterov momentum, in PyTorch's form: momentum in [0, 1), and weight
// decay.
func NewSGD(n *Network, momentum, decay float64) *Optimizer {
	o := newOptimizer(n, 1, decay)
	o.update = func(g group, rate float32, _ int) {
		n.dev.SGD(g.of(n.values), g.of(n.grads), g.of(o.moments[0]), rate, float32(momentum), g.decay)
	}
	return o
}

// NewAdamW returns Adam with decoupled weight decay (Loshchilov and Hutter, 2019): beta1 and beta2, in [0, 1), are the
// decays of the moments, eps is added to the root of the second one. The usual values are 0.9, 0.999 and 1e-8.
func NewAdamW(n *Network, beta1, beta2, eps, decay float64) *Optimizer {
	o := newOptimizer(n, 2, decay)
	o.update = func(g group, rate float32, step int) {
		n.dev.AdamW(g.of(n.values), g.of(n.grads), g.of(o.moments[0]), g.of(o.moments[1]),
			rate, float32(beta1), float32(beta2), float32(eps), g.decay, step)
	}
	return o
}

// Step makes step number step, counted from 1, with the given learning rate.
func (o *Optimizer) Step(rate float64, step int) {
	section := func(begin, head, end int, decay float32) {
		o.update(group{begin, head, decay}, float32(rate*o.body), step)
		o.update(group{head, end, decay}, float32(rate), step)
	}
	weight, bias := o.net.head()
	section(0, weight, o.net.decayed, o.decay)
	section(o.net.decayed, bias, o.net.values.Len(), 0)
}

// state returns copies of the moments, for checkpoints.
func (o *Optimizer) state() [][]float32 {
	var moments [][]float32
	for _, b := range o.moments {
		moments = append(moments, download(o.net.dev, b))
	}
	return moments
}

// setState sets the moments to those of an optimiser of the same kind, for a network of the same Program. Other lengths
// give an error wrapping polynet.ErrWeights.
func (o *Optimizer) setState(moments [][]float32) error {
	if len(moments) != len(o.moments) {
		return fmt.Errorf("%w: %d moments for an optimiser of %d", polynet.ErrWeights, len(moments), len(o.moments))
	}
	var err error
	for i, b := range o.moments {
		err = errors.Join(err, upload(o.net.dev, b, moments[i]))
	}
	return err
}

func (o *Optimizer) close() {
	for _, b := range o.moments {
		o.net.dev.Free(b)
	}
}

// schedule gives the learning rate of each step: a linear warm-up to peak, then half a cosine to 0 (Loshchilov and
// Hutter, 2017, without restarts), or, where there are milestones, a staircase (He et al., 2016).
type schedule struct {
	peak       float64
	warmup     int   // steps
	total      int   // steps, the warm-up's included
	milestones []int // the steps after which the rate is a tenth of what it was
}

// rate returns the learning rate of step number step, counted from 1. The warm-up's last step has the peak; steps
// beyond total have 0.
func (s schedule) rate(step int) float64 {
	switch {
	case step <= s.warmup:
		return s.peak * float64(step) / float64(s.warmup)
	case step > s.total:
		return 0
	case len(s.milestones) > 0:
		rate := s.peak
		for _, m := range s.milestones {
			if step > m {
				rate /= 10
			}
		}
		return rate
	}
	done := float64(step-1-s.warmup) / float64(s.total-s.warmup)
	return s.peak / 2 * (1 + math.Cos(math.Pi*done))
}

// ema is an exponential moving average of a network's parameters and running statistics over its training steps (Polyak
// and Juditsky, 1992), which is often more accurate than the last ones.
type ema struct {
	net, average *Network
	decay        float64
}

// newEMA returns an average that begins at n's present weights. decay, in [0, 1), is the share of itself that the
// average keeps at each step; in early steps it is lower, since the weights still move fast.
func newEMA(n *Network, decay float64) *ema {
	e := &ema{net: n, average: newNetwork(n.program, n.dev, false), decay: decay}
	e.move(1)
	return e
}

// update takes the network's weights after step number step, counted from 1, into the average, which keeps
// min(decay, (1+step)/(10+step)) of itself.
func (e *ema) update(step int) {
	e.move(float32(1 - min(e.decay, float64(1+step)/float64(10+step))))
}

// move moves the average by a share of the way to the network's weights.
func (e *ema) move(share float32) {
	e.net.dev.EMAUpdate(e.average.values, e.net.values, share)
	e.net.dev.EMAUpdate(e.average.running, e.net.running, share)
}
