package training

import (
	"cmp"
	"context"
	"math"
	"runtime"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// Separation says how well a trained model tells a data set's labels apart, whatever its own are: the share of the
// training clips whose embedding, that is what the model's head is given, is more like the mean of their label's other
// clips than like that of another label (the cosine of the angle at the mean of all), as a mean over the labels. Labels
// with one clip, silence and negatives do not count. Errors wrap datasets.ErrNoData, or are those of the model.
func Separation(ctx context.Context, set *datasets.Set, m *polynet.Model, window float64, o Options) (float64, error) {
	dev := o.Device
	if dev == nil {
		cpu, err := device.CPU(o.Threads)
		if err != nil {
			return 0, err
		}
		dev = cpu
	}
	extractor, err := features.New(m.Features)
	if err != nil {
		return 0, err
	}
	var items []datasets.Item
	for _, it := range set.Split(datasets.Train) {
		if !it.Silence && !it.Negative && set.Labels[it.Label] != detect.SilenceLabel {
			items = append(items, it)
		}
	}
	loader, err := datasets.NewLoader(items, nil, datasets.LoaderConfig{
		Extractor: extractor, Window: window, Batch: 32, CacheBytes: -1,
		Threads: cmp.Or(o.Threads, runtime.GOMAXPROCS(0)),
	})
	if err != nil {
		return 0, err
	}
	n, err := trained(m, dev, false)
	if err != nil {
		return 0, err
	}
	defer n.close()
	e := newEvaluator(n, m.Norm)
	defer e.pass.Close()
	var embeddings [][]float64
	var labels []int
	embedding := n.program.Steps[len(n.program.Steps)-1].X
	for b, err := range loader.Ordered(ctx) {
		if err != nil {
			return 0, err
		}
		e.run(b.X, b, nil)
		rows := rowsOf(dev, e.pass.tensors[embedding].View)
		width := len(rows) / b.B
		for i, label := range b.Labels {
			row := make([]float64, width)
			for k := range row {
				row[k] = float64(rows[i*width+k])
			}
			embeddings, labels = append(embeddings, row), append(labels, label)
		}
	}
	return separation(embeddings, labels, len(set.Labels)), nil
}

// separation returns the mean over labels of the share of embeddings that are likest those of their label. It changes
// the embeddings.
func separation(embeddings [][]float64, labels []int, classes int) float64 {
	centre := make([]float64, len(embeddings[0]))
	for _, e := range embeddings {
		addScaled(centre, e, 1/float64(len(embeddings)))
	}
	sums, counts := make([][]float64, classes), make([]int, classes)
	for i, e := range embeddings {
		addScaled(e, centre, -1)
		if length := math.Sqrt(dot(e, e)); length > 0 {
			addScaled(e, e, 1/length-1)
		}
		if c := labels[i]; sums[c] == nil {
			sums[c] = make([]float64, len(e))
		}
		addScaled(sums[labels[i]], e, 1)
		counts[labels[i]]++
	}
	right := make([]float64, classes)
	others := make([]float64, len(centre))
	for i, e := range embeddings {
		best, winner := math.Inf(-1), -1
		for c, sum := range sums {
			if sum == nil {
				continue
			}
			copy(others, sum)
			if c == labels[i] {
				addScaled(others, e, -1)
			}
			likeness := 0.0
			if length := math.Sqrt(dot(others, others)); length > 0 {
				likeness = dot(e, others) / length
			}
			if likeness > best {
				best, winner = likeness, c
			}
		}
		if winner == labels[i] {
			right[winner]++
		}
	}
	total, n := 0.0, 0
	for c, count := range counts {
		if count > 1 {
			total, n = total+right[c]/float64(count), n+1
		}
	}
	return total / float64(max(n, 1))
}

func addScaled(dst, x []float64, factor float64) {
	for i, v := range x {
		dst[i] += factor * v
	}
}

func dot(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}
