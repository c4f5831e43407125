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
// seeds differ; of models that were trained apart it is useless. A model that is named twice counts twice. All but
// weights, provenance, calibration and operating point must be the same, or an error wraps ErrConfig; of these the
// result has the first one's provenance, and neither of the others, which were found for other probabilities.
func Average(models []*polynet.Model) (*polynet.Model, error) {
	if len(models) == 0 {
		return nil, fmt.Errorf("%w: no models", ErrConfig)
	}
	first := models[0]
	for i, m := range models {
		switch {
		case !reflect.DeepEqual(m.Net, first.Net):
			return nil, fmt.Errorf("%w: model %d has another network than the first one", ErrConfig, i+1)
		case !slices.Equal(m.Labels, first.Labels):
			return nil, fmt.Errorf("%w: model %d has the labels %v, not %v", ErrConfig, i+1, m.Labels, first.Labels)
		case m.Features != first.Features || m.Window != first.Window || !reflect.DeepEqual(m.Norm, first.Norm):
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
	mean.Weights = polynet.Weights{}
	for name, t := range first.Weights {
		sums := make([]float64, t.Size())
		for _, m := range models {
			for i, v := range m.Weights[name].Data().([]float32) {
				sums[i] += float64(v)
			}
		}
		values := make([]float32, len(sums))
		for i, v := range sums {
			values[i] = float32(v / float64(len(models)))
		}
		mean.Weights[name] = tensor.New(tensor.WithShape(t.Shape()...), tensor.WithBacking(values))
	}
	return &mean, nil
}
