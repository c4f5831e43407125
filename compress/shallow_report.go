package compress

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/mat"
)

// agreement is how well approximations agree with the logits of so many windows or clips.
type agreement struct {
	count, exact  int
	sum, greatest float64 // of the largest difference of each
}

func (a *agreement) add(want, got []float64) {
	difference, scale := 0.0, 1.0
	for c, v := range want {
		difference, scale = max(difference, math.Abs(v-got[c])), max(scale, math.Abs(v))
	}
	a.count++
	a.sum, a.greatest = a.sum+difference, max(a.greatest, difference)
	if difference <= maxShallowDifference*scale {
		a.exact++
	}
}

// share returns how many percent are exact.
func (a *agreement) share() float64 { return 100 * float64(a.exact) / float64(max(a.count, 1)) }

// steepnesses returns those that the report compares, w's own last.
func (w *shallowWork) steepnesses() []float64 {
	list := slices.DeleteFunc([]float64{10, 100, 1000, 10000}, func(s float64) bool { return s == w.Steepness })
	return append(list, w.Steepness)
}

// agree compares the approximation of each steepness, computed in float64, with the network at windows.
func (w *shallowWork) agree(ctx context.Context, windows []float64) ([]agreement, error) {
	steepness, bound := w.steepnesses(), w.bound()
	list := make([]agreement, len(steepness))
	const batch = 256
	for chunk := range slices.Chunk(windows, batch*w.net.Values()) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		channels, logits, patterns := w.net.Run(chunk)
		width, classes := len(channels)/len(patterns), w.net.Classes()
		for i := range patterns {
			z := append(slices.Clone(channels[i*width:(i+1)*width]), 1)
			for k, got := range w.approximate(mat.NewVecDense(width+1, z), steepness, bound) {
				list[k].add(logits[i*classes:(i+1)*classes], got)
			}
		}
	}
	return list, nil
}

// report compares the approximation, as a formula and as the network n, with the network that it is of.
func (w *shallowWork) report(ctx context.Context, m, n *polynet.Model, d Data) (Report, error) {
	rng := rand.New(rand.NewPCG(1, 3))
	box := make([]float64, w.Points*w.net.Values())
	for i := range box {
		box[i] = w.net.Limit * (2*rng.Float64() - 1)
	}
	random, err := w.agree(ctx, box)
	if err != nil {
		return Report{}, err
	}
	clips, err := w.agree(ctx, w.windows)
	if err != nil {
		return Report{}, err
	}
	first, second := w.widths()
	how := "all that are possible"
	var lines []string
	if w.Clips {
		how = "those of the calibration clips"
		lines = append(lines, fmt.Sprintf("%.1f %% of the calibration clips' windows have other patterns",
			100*float64(w.unseen)*float64(w.net.Values())/float64(len(w.windows))))
	}
	lines = append(lines, fmt.Sprintf("%d linear functions; %d gates of %d bounds; logits of up to ±%.4g",
		w.functions(), len(w.gates), w.bounds(), w.largest))
	for i, s := range w.steepnesses() {
		lines = append(lines, fmt.Sprintf("steepness %g: %.2f %% of %d random windows exact to %g, mean difference %.2g, "+
			"largest %.2g; %.2f %% of %d windows of clips, %.2g, %.2g", s,
			random[i].share(), random[i].count, maxShallowDifference, random[i].sum/float64(max(random[i].count, 1)),
			random[i].greatest, clips[i].share(), clips[i].count, clips[i].sum/float64(max(clips[i].count, 1)),
			clips[i].greatest))
	}
	whole, err := w.compare(ctx, m, n, d)
	if err != nil {
		return Report{}, err
	}
	lines = append(lines, fmt.Sprintf("as a network in float32: %.2f %% of %d clips exact, largest difference %.2g",
		whole.share(), whole.count, whole.greatest))
	return Report{
		Done: fmt.Sprintf("%d patterns of %d units a row, %s: two hidden layers of %d and %d units, steepness %g",
			len(w.regions), w.net.RowUnits(), how, first, second, w.Steepness),
		Lines: lines,
	}, nil
}

// bounds returns how many bounds all regions have together.
func (w *shallowWork) bounds() (count int) {
	for _, list := range w.of {
		count += len(list)
	}
	return count
}

// compare compares the networks, as they run, on the calibration clips.
func (w *shallowWork) compare(ctx context.Context, m, n *polynet.Model, d Data) (a agreement, err error) {
	const batch = 16
	runs := [2]*inference.Clips{}
	for i, m := range []*polynet.Model{m, n} {
		plan, err := inference.Compile(m, d.Device)
		if err != nil {
			return a, err
		}
		defer plan.Close()
		runs[i] = plan.Clips(batch, d.Frames)
		defer runs[i].Close()
	}
	classes := m.Net.Classes
	for rows := range slices.Chunk(d.Rows, batch*d.Frames*m.Net.Inputs) {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		count := len(rows) / (d.Frames * m.Net.Inputs)
		want := toFloat64(runs[0].Run(rows, count))
		got := toFloat64(runs[1].Run(rows, count))
		for i := range count {
			a.add(want[i*classes:(i+1)*classes], got[i*classes:(i+1)*classes])
		}
	}
	return a, nil
}
