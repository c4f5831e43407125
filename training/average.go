package training

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// Average returns a model whose weights, with the norms' running statistics, are the means of the models' (Wortsman et
// al., "Model soups", 2022). It is better than each where one was begun with the weights of another, and recipes or
// seeds differ; of models that were trained apart it is useless. A model that is named twice counts twice. A `relu`
// network counts as the `pi-relu` network that begins with it, whose products have the factor 0. All but that, weights,
// the bound of features, provenance, calibration and operating point must be the same, or an error wraps ErrConfig; of
// these the result has the first one's bound and provenance, and neither of the others, which were found for other
// probabilities.
func Average(models []*polynet.Model) (*polynet.Model, error) {
	if len(models) == 0 {
		return nil, fmt.Errorf("%w: no models", ErrConfig)
	}
	first, net := models[0], models[0].Net
	for _, m := range models {
		if m.Net.Block == polynet.PiReLU && net.Block == polynet.ReLU {
			net.Block = polynet.PiReLU
		}
	}
	for i, m := range models {
		own := m.Net
		if own.Block == polynet.ReLU {
			own.Block = net.Block
		}
		switch {
		case !reflect.DeepEqual(own, net):
			return nil, fmt.Errorf("%w: model %d has another network than the first one", ErrConfig, i+1)
		case !slices.Equal(m.Labels, first.Labels):
			return nil, fmt.Errorf("%w: model %d has the labels %v, not %v", ErrConfig, i+1, m.Labels, first.Labels)
		case m.Features != first.Features || m.Window != first.Window || !slices.Equal(m.Norm.Mean, first.Norm.Mean) ||
			!slices.Equal(m.Norm.Std, first.Norm.Std):
			return nil, fmt.Errorf("%w: model %d has other features, their normalisation or window included", ErrConfig, i+1)
		case m.Net.Narrow != nil:
			return nil, fmt.Errorf("%w: model %d has weights of %s", ErrConfig, i+1, m.Net.Narrow.Weights)
		}
		if err := m.Validate(); err != nil {
			return nil, err
		}
	}
	mean := *first
	mean.Calibration, mean.Detection, mean.Temperature = nil, nil, 1
	mean.Net, mean.Weights = net, polynet.Weights{}
	factors := map[string]bool{}
	for _, step := range net.Program().Steps {
		factors[step.ProductNorm.Factor] = true
	}
	for _, w := range net.Program().Weights {
		sums, count := make([]float64, w.Len()), 0
		for _, m := range models {
			t := m.Weights[w.Name]
			if t == nil && !factors[w.Name] {
				continue // a norm of a product that is not there
			}
			count++
			if t == nil {
				continue
			}
			for i, v := range t.Data().([]float32) {
				sums[i] += float64(v)
			}
		}
		values := make([]float32, len(sums))
		for i, v := range sums {
			values[i] = float32(v / float64(count))
		}
		mean.Weights[w.Name] = tensor.New(tensor.WithShape(w.Shape...), tensor.WithBacking(values))
	}
	return &mean, nil
}
