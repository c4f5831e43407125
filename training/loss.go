package polynet

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
)

// Targets writes one row of classes target probabilities for each label: 1−smoothing on the label, and smoothing spread
// evenly over all classes (Szegedy et al., 2016; PyTorch's label_smoothing). dst is (len(labels), classes); its rows may be
// mixed before they go into CrossEntropy.
func Targets(dst []float32, labels []int, classes int, smoothing float64) {
	if len(dst) != len(labels)*classes {
		panic(fmt.Sprintf("polynet: %d targets for %d labels of %d classes", len(dst), len(labels), classes))
	}
	for i := range dst {
		dst[i] = float32(smoothing / float64(classes))
	}
	for i, label := range labels {
		dst[i*classes : (i+1)*classes][label] += float32(1 - smoothing)
	}
}

// CrossEntropy computes the batch's mean cross-entropy between the rows of targets, (batch, classes) probabilities, and the
// softmax of the logits, which Loss returns. It returns the loss's gradient with respect to the logits, which is valid until
// the next Input.
func (p *Pass) CrossEntropy(logits device.View, targets []float32) (gradient device.View) {
	batch, classes := logits.Rows, logits.Cols
	if len(targets) != batch*classes {
		panic(fmt.Sprintf("polynet: %d targets for logits %v", len(targets), logits))
	}
	t := p.matrix(batch, classes)
	p.dev.Upload(t.Data, targets)
	gradient = p.matrix(batch, classes)
	p.losses = p.vector(batch)
	p.dev.CrossEntropy(gradient, p.losses, logits, t, 1/float32(batch))
	return gradient
}

// Loss returns the mean cross-entropy, in nats, that the latest CrossEntropy has computed. It waits for the device, so ask when
// the whole step has been started.
func (p *Pass) Loss() (loss float64) {
	losses := download(p.dev, p.losses)
	for _, l := range losses {
		loss += float64(l) / float64(len(losses))
	}
	return loss
}
