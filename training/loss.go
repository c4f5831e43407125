package training

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/device"
	"gonum.org/v1/gonum/stat/distuv"
)

// Targets writes one row of classes target probabilities for each label: 1−smoothing on the label, and smoothing spread
// evenly over all classes (Szegedy et al., 2016; PyTorch's label_smoothing). dst is (len(labels), classes); its rows
// may be mixed before they go into LossGradient.
func Targets(dst []float32, labels []int, classes int, smoothing float64) {
	if len(dst) != len(labels)*classes {
		panic(fmt.Sprintf("training: %d targets for %d labels of %d classes", len(dst), len(labels), classes))
	}
	for i := range dst {
		dst[i] = float32(smoothing / float64(classes))
	}
	for i, label := range labels {
		dst[i*classes : (i+1)*classes][label] += float32(1 - smoothing)
	}
}

// mixUp replaces each clip of x and its row of targets by a mixture with another clip of the batch and its row, in a
// proportion drawn from Beta(alpha, alpha) (mixup: Zhang et al., 2018, with one share a batch as in their code).
func mixUp(x, targets []float32, clips int, alpha float64, rng *rand.Rand) {
	share := float32(distuv.Beta{Alpha: alpha, Beta: alpha, Src: rng}.Rand())
	partners := rng.Perm(clips)
	mix := func(values []float32) {
		size, was := len(values)/clips, slices.Clone(values)
		for i, partner := range partners {
			other := was[partner*size:]
			for k := range size {
				v := &values[i*size+k]
				*v = share**v + (1-share)*other[k]
			}
		}
	}
	mix(x)
	mix(targets)
}

// LossGradient starts computing the batch's mean loss of the logits for the rows of targets, (batch, classes)
// probabilities, which Loss returns. It returns the loss's gradient with respect to the logits, which is valid until
// the next Input.
func (p *Pass) LossGradient(logits device.View, targets []float32, l device.Loss) (gradient device.View) {
	batch, classes := logits.Rows, logits.Cols
	if len(targets) != batch*classes {
		panic(fmt.Sprintf("training: %d targets for logits %v", len(targets), logits))
	}
	t := p.matrix(batch, classes)
	p.dev.Upload(t.Data, targets)
	gradient = p.matrix(batch, classes)
	p.losses = p.memory.alloc(batch)
	p.dev.Loss(gradient, p.losses, logits, t, l, 1/float32(batch))
	return gradient
}

// Loss returns the mean loss of the latest LossGradient. It waits for the device: call it when the whole step has been
// started.
func (p *Pass) Loss() (loss float64) {
	losses := download(p.dev, p.losses)
	for _, l := range losses {
		loss += float64(l) / float64(len(losses))
	}
	return loss
}
