package training

import (
	"slices"
	"strings"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
)

// adversarialSteps are the steps of the attack on each batch, of half its bound.
const adversarialSteps = 4

// addL1 adds to the gradient that of l1·Σ|w|; at 0 it is taken as 0.
func (n *Network) addL1(l1 float32) {
	for _, q := range n.params {
		if !penalised(q) {
			continue
		}
		g := download(n.dev, q.Grad)
		for i, w := range download(n.dev, q.Value) {
			if w > 0 {
				g[i] += l1
			} else if w < 0 {
				g[i] -= l1
			}
		}
		n.dev.Upload(q.Grad, g)
	}
}

// penalised reports whether the L1 penalty is about a parameter: the weights of convolutions and of the head, and the
// scales of norms, which would make up for the former.
func penalised(q *Param) bool { return strings.HasSuffix(q.Name, ".weight") }

// adversary changes batches so that their loss grows (Madry et al., 2018). Norms use their running statistics in it, as
// they do for a model in use.
type adversary struct {
	net            *Network
	pass           *Pass
	epsilon, limit float32 // bounds of the change and, if positive, of the result
}

func newAdversary(n *Network, epsilon, limit float64) *adversary {
	a := &adversary{n, NewPass(n, nil), float32(epsilon), float32(limit)}
	a.pass.frozen = true
	return a
}

// attack changes each value of a batch's normalised rows by at most epsilon, along the sign of the loss's gradient. It
// overwrites the gradients of the parameters.
func (a *adversary) attack(b *datasets.Batch, targets []float32, l device.Loss) {
	x := slices.Clone(b.X[:b.B*b.Frames*a.net.program.Inputs])
	for range adversarialSteps {
		for i, d := range a.gradient(b, targets, l) {
			if d > 0 {
				b.X[i] += a.epsilon / 2
			} else if d < 0 {
				b.X[i] -= a.epsilon / 2
			}
			b.X[i] = max(x[i]-a.epsilon, min(b.X[i], x[i]+a.epsilon))
			if a.limit > 0 {
				b.X[i] = max(-a.limit, min(b.X[i], a.limit))
			}
		}
	}
}

// gradient returns the gradient of the mean loss with respect to the batch's rows.
func (a *adversary) gradient(b *datasets.Batch, targets []float32, l device.Loss) []float32 {
	n := b.B * b.Frames * a.net.program.Inputs
	x := a.pass.Input(b.X[:n], b.B, b.Frames)
	a.pass.pool(b.Lead, b.Window)
	logits := a.net.Forward(a.pass, x)
	dx := a.net.backward(a.pass, Activation{View: a.pass.LossGradient(logits, targets, l)}, true)
	return download(a.net.dev, dx.Data)[:n]
}
