package training

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// ensemble is the teacher models, whose mean probabilities the network in training is to give too (Hinton et al.,
// 2015). They classify each clip as it is augmented, but not masked (Beyer et al., 2022: a patient and consistent
// teacher).
type ensemble []teacherModel

type teacherModel struct {
	*evaluator
	temperature float64
}

func newEnsemble(models []*polynet.Model, dev device.Trainer) (ensemble, error) {
	var list ensemble
	for _, m := range models {
		n, err := trained(m, dev, false)
		if err != nil {
			list.close()
			return nil, err
		}
		list = append(list, teacherModel{newEvaluator(n, m.Norm), m.Temperature})
	}
	return list, nil
}

// checkTeachers returns the models' digests, or an error where one does not fit a network of these labels and features.
func checkTeachers(models []*polynet.Model, cfg Config, labels []string) ([]string, error) {
	var digests []string
	for _, m := range models {
		switch {
		case !slices.EqualFunc(m.Labels, labels, datasets.SameLabel):
			return nil, fmt.Errorf("%w: a teacher model has the labels %v, not %v", ErrConfig, m.Labels, labels)
		case m.Features != cfg.Features || m.Window != cfg.Window:
			return nil, fmt.Errorf(
				"%w: a teacher model has other features or another window: %v in %g s, not %v in %g s",
				ErrConfig, m.Features, m.Window, cfg.Features, cfg.Window)
		}
		sum, err := digest(m)
		if err != nil {
			return nil, err
		}
		digests = append(digests, sum)
	}
	return digests, nil
}

// checkFrom returns the digest of the model that a run begins with, or an error where it does not fit the features.
func checkFrom(m *polynet.Model, cfg Config) (string, error) {
	switch {
	case m == nil:
		return "", nil
	case m.Features != cfg.Features:
		return "", fmt.Errorf("%w: the model to begin with has other features: %v, not %v",
			ErrConfig, m.Features, cfg.Features)
	}
	return digest(m)
}

// digest returns that of a model's file.
func digest(m *polynet.Model) (string, error) {
	h := sha256.New()
	if err := m.Write(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// mix mixes the models' mean probabilities, with this weight, into the targets, which are (b.B, classes). A clip for
// which a model has none gives an error.
func (e ensemble) mix(targets []float32, b *datasets.Batch, weight float32) error {
	classes := len(targets) / b.B
	for i := range b.B {
		if !b.Items[i].Negative {
			for c := range classes {
				targets[i*classes+c] *= 1 - weight
			}
		}
	}
	weight /= float32(len(e))
	probabilities := make([]float64, classes)
	for _, m := range e {
		logits := m.logits(b.Raw, b)
		for i := range b.B {
			for c, v := range logits[i*classes : (i+1)*classes] {
				probabilities[c] = float64(v)
			}
			if !polynet.Softmax(probabilities, m.temperature) {
				return fmt.Errorf("%s: a teacher model's outputs are not finite", b.Items[i].Path)
			}
			if b.Items[i].Negative { // that no word is said in it is certain, whatever a teacher takes it for
				continue
			}
			for c, p := range probabilities {
				targets[i*classes+c] += weight * float32(p)
			}
		}
	}
	return nil
}

func (e ensemble) close() {
	for _, m := range e {
		m.pass.Close()
		m.net.close()
	}
}
