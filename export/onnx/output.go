package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
)

// withoutScaling returns m without what Model.Inference has made part of the weights.
func withoutScaling(m *polynet.Model) *polynet.Model {
	plain, c := *m, m.Calibrated()
	if c.Scaling == nil {
		return m
	}
	c.Scaling, plain.Calibration = nil, &c
	return &plain
}

func probabilitiesDoc(m *polynet.Model) string {
	doc := "The softmax of the logits divided by the temperature."
	if m.Calibrated().Unknown != nil {
		doc = "Calibrated. Sounds of no known class are " + polynet.UnknownLabel
		if !slices.Contains(m.Labels, polynet.UnknownLabel) {
			doc += ", which has what is missing from a sum of 1"
		}
		doc += "."
	}
	return doc
}

// probabilities adds those of Model.Probabilities.
func (b *builder) probabilities(m *polynet.Model) error {
	t := b.constant("output/temperature", []float32{float32(m.Temperature)})
	z := b.node("Div", "output/cooled", []string{Logits, t})
	if m.Calibrated().Unknown == nil {
		b.node("Softmax", Probabilities, []string{z}, integer("axis", 1))
		return nil
	}
	p := b.node("Softmax", "output/softmax", []string{z}, integer("axis", 1))
	known := make([]float32, len(m.Labels))
	for i, label := range m.Labels {
		if !detect.Background(label) {
			known[i] = 1
		}
	}
	unknown, err := b.unknown(m.Calibration.Unknown, z, p, known)
	if err != nil {
		return err
	}
	share := b.node("MatMul", "output/share", []string{unknown, b.constant("output/known", known, 1, len(known))})
	moved := b.node("Mul", "output/moved", []string{p, share})
	i := slices.Index(m.Labels, polynet.UnknownLabel)
	if i < 0 {
		b.node("Sub", Probabilities, []string{p, moved})
		return nil
	}
	kept := b.node("Sub", "output/kept", []string{p, moved})
	target := make([]float32, len(known))
	target[i] = 1
	sum := b.node("MatMul", "output/moved_sum", []string{moved, b.ones(len(known))})
	gained := b.node("MatMul", "output/gained", []string{sum, b.constant("output/target", target, 1, len(known))})
	b.node("Add", Probabilities, []string{kept, gained})
	return nil
}

// unknown adds the probability, (batch, 1), that a sound is of no known class, given its logits divided by the
// temperature and their softmax. Each score is a number minus what a node makes of these.
func (b *builder) unknown(u *confidence.Unknown, z, p string, known []float32) (string, error) {
	classes, one := len(known), 1.0
	rows := []attributeProto{ints("axes", 1), integer("keepdims", 1)}
	masked := func() string { // logits that are those of known classes or far below
		mask := make([]float32, classes)
		for i, k := range known {
			mask[i] = (k - 1) * math.MaxFloat32 / 4
		}
		return b.node("Add", "output/known_logits", []string{z, b.constant("output/mask", mask, classes)})
	}
	var v string
	switch u.Score {
	case confidence.Background:
		v = b.node("MatMul", "output/score", []string{p, b.constant("output/known_column", known, classes, 1)})
	case confidence.MaxProbability:
		product := b.node("Mul", "output/known_probabilities", []string{p, b.constant("output/known_row", known, classes)})
		v = b.node("ReduceMax", "output/score", []string{product}, rows...)
	case confidence.MaxLogit:
		v, one = b.node("ReduceMax", "output/score", []string{masked()}, rows...), 0
	case confidence.Energy:
		v, one = b.node("ReduceLogSumExp", "output/score", []string{masked()}, rows...), 0
	case confidence.Entropy:
		log := b.node("LogSoftmax", "output/log_softmax", []string{z}, integer("axis", 1))
		product := b.node("Mul", "output/entropies", []string{p, log})
		v, one = b.node("MatMul", "output/score", []string{product, b.ones(classes)}), 0
	case confidence.Margin:
		top := b.node("TopK", "output/two", []string{p, b.integers("output/2", 2)})
		b.graph.nodes[len(b.graph.nodes)-1].outputs = []string{top, "output/two_indices"}
		v = b.node("MatMul", "output/score", []string{top, b.constant("output/difference", []float32{1, -1}, 2, 1)})
	default:
		return "", fmt.Errorf("%w: unknown sounds are told by the score %q, which has no export", polynet.ErrModel, u.Score)
	}
	v = b.node("Sub", "output/beyond", []string{v, b.constant("output/threshold", []float32{float32(one - u.Threshold)})})
	v = b.node("Mul", "output/steep", []string{v, b.constant("output/slope", []float32{float32(-u.Slope)})})
	return b.node("Sigmoid", "output/unknown", []string{v}), nil
}

// ones returns a column of ones, which a product sums rows with.
func (b *builder) ones(n int) string {
	const name = "output/ones"
	if slices.ContainsFunc(b.graph.initializers, func(t tensorProto) bool { return t.name == name }) {
		return name
	}
	return b.constant(name, slices.Repeat([]float32{1}, n), n, 1)
}
