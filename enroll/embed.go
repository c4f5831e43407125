package enroll

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// Embedder computes embeddings: the mean over time of what a network's last stage has after its first block. The later
// blocks are left out, since what they compute is about the words that the network was trained on: on base, words that
// it does not know are told from others better without them (bench/enroll/RESULTS.md).
type Embedder struct {
	model   *polynet.Model // whose logits are the embeddings
	plan    *inference.Plan
	network string
}

// NewEmbedder returns an Embedder of m's network on d, or an error that wraps polynet.ErrModel. Close it when done.
func NewEmbedder(m *polynet.Model, d device.Device) (*Embedder, error) {
	e := &Embedder{model: frozen(m, nil)}
	width := e.width()
	identity := make([]float32, width*width)
	for i := range width {
		identity[i*width+i] = 1
		e.model.Labels = append(e.model.Labels, strconv.Itoa(i))
	}
	setHead(e.model, identity, make([]float32, width))
	var err error
	if e.plan, err = inference.Compile(e.model, d); err != nil {
		return nil, err
	}
	e.network = digest(e.model)
	return e, nil
}

// Close gives the memory back to the device.
func (e *Embedder) Close() { e.plan.Close() }

// width returns the number of values of an embedding.
func (e *Embedder) width() int { return lastWidth(e.model.Net) }

// lastWidth returns the channels before the head.
func lastWidth(c polynet.Config) int {
	p := c.Program()
	return p.Steps[len(p.Steps)-1].In
}

// frozen returns m without the later blocks of its last stage, its calibration and its head, with other labels. What it
// shares with m is read-only.
func frozen(m *polynet.Model, labels []string) *polynet.Model {
	f := *calibrate.Raw(m)
	f.Detection, f.Labels, f.Net.Classes = nil, labels, max(len(labels), 1)
	f.Net.Stages = slices.Clone(m.Net.Stages)
	last := len(f.Net.Stages) - 1
	if dropped := f.Net.Stages[last].Blocks - 1; dropped > 0 && f.Net.Inner != nil {
		f.Net.Inner = f.Net.Inner[:len(f.Net.Inner)-dropped]
	}
	f.Net.Stages[last].Blocks = 1
	if m.Net.Narrow != nil {
		narrow := *m.Net.Narrow
		narrow.Head = false
		f.Net.Narrow = &narrow
	}
	f.Weights = polynet.Weights{}
	for _, w := range f.Net.Program().Weights {
		f.Weights[w.Name] = m.Weights[w.Name]
	}
	return &f
}

// setHead gives a frozen model its last layer: weights (width, classes) and biases.
func setHead(m *polynet.Model, weight, bias []float32) {
	m.Net.Classes = len(bias)
	m.Weights["head.weight"] = tensor.New(tensor.WithShape(len(weight)/len(bias), len(bias)), tensor.WithBacking(weight))
	m.Weights["head.bias"] = tensor.New(tensor.WithShape(len(bias)), tensor.WithBacking(bias))
}

// digest returns what tells networks apart whose embeddings differ: a SHA-256 of the weights before the head, of the
// features and the window.
func digest(m *polynet.Model) string {
	h := sha256.New()
	fmt.Fprintf(h, "%+v %+v %g\n", m.Features, m.Norm, m.Window)
	for _, w := range m.Net.Program().Weights {
		if w.Name == "head.weight" || w.Name == "head.bias" {
			continue
		}
		fmt.Fprintln(h, w.Name, w.Shape)
		binary.Write(h, binary.LittleEndian, m.Weights[w.Name].Data())
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

const embedBatch = 32 // clips that are computed together

// augment is how clips are varied.
var augment = datasets.Augment{
	Speed: 0.1, Shift: 0.1, Noise: 0.5, SNR: [2]float64{10, 30}, Synthetic: 0.2, Gain: [2]float64{-10, 6},
}

// Clips returns embeddings of clips: of each as it is, and of so many variants of it. Truth is the clip's index. A clip
// that cannot be read is left out, and given to skip.
func (e *Embedder) Clips(
	ctx context.Context, items []datasets.Item, variants int, seed int64, skip func(error),
) (rows calibrate.Embeddings, err error) {
	extractor, err := features.New(e.model.Features)
	if err != nil {
		return rows, err
	}
	items = slices.Clone(items)
	for i := range items {
		items[i].Label = i
	}
	loader, err := datasets.NewLoader(items, nil, datasets.LoaderConfig{
		Extractor: extractor, Window: e.model.Window, Batch: e.plan.BatchSize(embedBatch), Augment: augment, Seed: seed,
	})
	if err != nil {
		return rows, err
	}
	var clips *inference.Clips
	defer func() {
		if clips != nil {
			clips.Close()
		}
	}()
	rows.Width = e.width()
	for epoch := range variants + 1 {
		batches := loader.Ordered(ctx)
		if epoch > 0 {
			batches = loader.Epoch(ctx, epoch)
		}
		for b, err := range batches {
			if err != nil {
				return rows, err
			}
			if clips == nil {
				clips = e.plan.Clips(e.plan.BatchSize(embedBatch), b.Frames)
			}
			add(&rows, clips.Run(b.X, b.B), b.Labels)
		}
	}
	for _, err := range loader.Skipped() {
		skip(err)
	}
	return rows, nil
}

// add adds embeddings, but not those that are not finite.
func add[T float32 | float64](rows *calibrate.Embeddings, values []T, truth []int) {
	for i, class := range truth {
		row := values[i*rows.Width : (i+1)*rows.Width]
		if slices.ContainsFunc(row, func(v T) bool { return v-v != 0 }) {
			continue
		}
		for _, v := range row {
			rows.Values = append(rows.Values, float64(v))
		}
		rows.Truth = append(rows.Truth, class)
	}
}

// stream adds the embeddings of a sound's windows, one for each row of the network, all of one class. Samples are at
// the model's rate. It returns the windows' ends in seconds.
func (e *Embedder) stream(rows *calibrate.Embeddings, samples []float32, class int) (ends []float64, err error) {
	rows.Width = e.width()
	g, err := e.plan.Group(1, inference.StreamOptions{Step: streamStep})
	if err != nil {
		return nil, err
	}
	defer g.Close()
	const piece = 1 << 15
	for at := 0; at <= len(samples); at += piece {
		g.Push(0, samples[at:min(at+piece, len(samples))])
		if at+piece > len(samples) {
			g.Flush(0)
		}
		for {
			_, d, ok, err := g.Next()
			if !ok {
				break
			}
			if err != nil || d.Logits == nil {
				continue
			}
			add(rows, d.Logits, []int{class})
			ends = append(ends, d.End)
		}
	}
	return ends, nil
}

const streamStep = 2 // seconds that are computed together
