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

// teacher answers for the clips of a batch with the mean probabilities of trained models, which the network in training is
// to give too (Hinton et al., 2015). It hears each clip as it is augmented, but not masked (Beyer et al., 2022: a patient and
// consistent teacher).
type teacher struct {
	models []taught
	batch  int
}

// taught is one of a teacher's models.
type taught struct {
	plan        *polynet.Plan
	temperature float64
	sessions    map[int]*polynet.Session // by the frames of a clip
}

// newTeacher compiles models, and returns nil where there are none.
func newTeacher(models []*polynet.Model, dev device.Trainer, batch int) (*teacher, error) {
	if len(models) == 0 {
		return nil, nil
	}
	t := &teacher{batch: batch}
	for _, m := range models {
		plan, err := m.Compile(dev)
		if err != nil {
			return nil, err
		}
		t.models = append(t.models, taught{plan: plan, temperature: m.Temperature, sessions: map[int]*polynet.Session{}})
	}
	return t, nil
}

// checkTeachers returns the models' digests, or an error where one cannot teach a network of these labels and features.
func checkTeachers(models []*polynet.Model, cfg Config, labels []string) ([]string, error) {
	var digests []string
	for _, m := range models {
		switch {
		case !slices.Equal(m.Labels, labels):
			return nil, fmt.Errorf("%w: a teacher of the labels %v cannot teach %v", ErrConfig, m.Labels, labels)
		case m.Features != cfg.Features || m.Window != cfg.Window:
			return nil, fmt.Errorf("%w: a teacher hears other features or windows: %v in %g s, not %v in %g s",
				ErrConfig, m.Features, m.Window, cfg.Features, cfg.Window)
		case m.Net.WholeClip() && cfg.Context.Share > 0:
			return nil, fmt.Errorf("%w: a teacher of %s blocks knows no context", ErrConfig, m.Net.Block)
		}
		h := sha256.New()
		if err := m.Write(h); err != nil {
			return nil, err
		}
		digests = append(digests, hex.EncodeToString(h.Sum(nil)))
	}
	return digests, nil
}

// add mixes the teacher's answers, with this weight, into the targets, which are (b.B, classes).
func (t *teacher) add(targets []float32, b *datasets.Batch, weight float32) {
	classes := len(targets) / b.B
	for i := range targets {
		targets[i] *= 1 - weight
	}
	weight /= float32(len(t.models))
	probabilities := make([]float64, classes)
	for _, m := range t.models {
		s := m.session(t.batch, b)
		logits := s.Run(b.Raw, b.B)
		for i := range b.B {
			for c, v := range logits[i*classes : (i+1)*classes] {
				probabilities[c] = float64(v)
			}
			polynet.Softmax(probabilities, m.temperature)
			for c, p := range probabilities {
				targets[i*classes+c] += weight * float32(p)
			}
		}
	}
}

func (m taught) session(batch int, b *datasets.Batch) *polynet.Session {
	s := m.sessions[b.Frames]
	if s == nil {
		s = m.plan.Session(batch, b.Frames)
		m.sessions[b.Frames] = s
	}
	s.Pool(b.Lead, b.Window)
	return s
}

func (t *teacher) close() {
	if t == nil {
		return
	}
	for _, m := range t.models {
		for _, s := range m.sessions {
			s.Close()
		}
		m.plan.Close()
	}
}
