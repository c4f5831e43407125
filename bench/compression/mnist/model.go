package main

import (
	"context"
	"fmt"

	"github.com/polyphon/polyphon/bounds"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// model returns a network of dense layers, 784-w1-w2-10, as a model of polyphon: a clip is one row of 784 features,
// which are pixels, and a layer a convolution of kernel 1. The stem and conv1 are the hidden layers. conv2 makes the
// logits: the block's skip is 0, and so that its ReLU passes them, they are raised, which the head, otherwise the
// identity, undoes. The box of the pixels, 0 to 1, is that of normalised features, ±1: the first layer's weights are
// for these.
func (n *mlp) model(ctx context.Context) (*polynet.Model, error) {
	first, second, last := n.layers[0], n.layers[1], n.layers[2]
	m := &polynet.Model{
		Features: features.Config{
			Rate: 16000, FFT: 1 << 15, Window: 1 << 15, Hop: 128, Mels: pixels, MinHz: 4000, MaxHz: 8000, Floor: 1e-6,
			Scale: features.HTK,
		},
		Norm: features.Norm{Limit: 1}, Window: 1e-3, Temperature: 1, Weights: polynet.Weights{},
		Net: polynet.Config{
			Inputs: pixels, Classes: classes, Block: polynet.ReLU, Stem: polynet.Stem{Width: first.out, Kernel: 1, Stride: 1},
			Stages: []polynet.Stage{{Width: classes, Blocks: 1, Kernel: 1, Stride: 1}}, Inner: [][]int{{second.out}},
		},
	}
	for i := range pixels {
		m.Norm.Mean, m.Norm.Std = append(m.Norm.Mean, 0.5), append(m.Norm.Std, 0.5)
		if i < classes {
			m.Labels = append(m.Labels, fmt.Sprint(i))
		}
	}
	for _, w := range m.Net.Program().Weights {
		m.Weights[w.Name] = tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(w.Shape...))
	}
	put := func(conv, norm string, weight, bias []float32) {
		copy(m.Weights[conv+".weight"].Data().([]float32), weight)
		copy(m.Weights[norm+".bias"].Data().([]float32), bias)
		for i := range m.Weights[norm+".weight"].Data().([]float32) {
			m.Weights[norm+".weight"].Data().([]float32)[i] = 1
			m.Weights[norm+".running_var"].Data().([]float32)[i] = 1 - polynet.NormEpsilon
		}
	}
	halves, sums := make([]float32, pixels*first.out), make([]float32, first.out)
	for k := range sums {
		sum := float64(first.bias.Host()[k])
		for i := k; i < len(halves); i += first.out {
			halves[i] = first.weight.Host()[i] / 2
			sum += float64(halves[i])
		}
		sums[k] = float32(sum)
	}
	const block = "stages.0.0."
	put("stem.conv", "stem.norm", halves, sums)
	put(block+"conv1", block+"norm1", second.weight.Host(), second.bias.Host())
	put(block+"conv2", block+"norm2", last.weight.Host(), last.bias.Host())
	put(block+"skip.conv", block+"skip.norm", nil, nil)
	raise, err := lowest(ctx, m)
	if err != nil {
		return nil, err
	}
	for k := range classes {
		m.Weights[block+"norm2.bias"].Data().([]float32)[k] += raise
		m.Weights["head.weight"].Data().([]float32)[k*classes+k] = 1
		m.Weights["head.bias"].Data().([]float32)[k] = -raise
	}
	return m, m.Validate()
}

// lowest returns by how much the logits have to be raised to be positive everywhere.
func lowest(ctx context.Context, m *polynet.Model) (float32, error) {
	p, w, err := m.Inference()
	if err != nil {
		return 0, err
	}
	net, err := bounds.Compile(p, w, 1)
	if err != nil {
		return 0, err
	}
	b, err := net.Compute(ctx, bounds.Box(pixels, 1), bounds.Method{Depth: bounds.Full})
	if err != nil {
		return 0, err
	}
	least := 0.0
	for i := range p.Steps {
		if p.Steps[i].Part == "stages.0.0" && p.Steps[i].Width == classes && p.Steps[i].ReLU {
			for _, v := range b.BeforeReLU(i).Low {
				least = min(least, v)
			}
		}
	}
	return float32(1 - least), nil
}
