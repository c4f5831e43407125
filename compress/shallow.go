package compress

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/regions"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Shallow replaces a ReLU network that looks at several rows in its stem alone by one of two hidden layers that
// approximates it (Kumar, Serra and Ramalingam, "Equivalent and approximate transformations of deep neural networks",
// 2019; the construction is reconstructed, the paper's is not public). The network is linear on each region of windows
// with one pattern of active units. Of each region k, with the bounds a·x + c ≥ 0, |a| = 1, the logits f there, F the
// largest |f| of all regions, B = F/2 and M = Steepness·F:
//
//	first layer   h = max(B/M − a·x − c, 0) for each bound: regions share those that are the same
//	              max(z − least z, 0) for each channel z of the stem before its ReLU: all f are linear in them
//	second layer  max(±f/2 + B − M·Σh, 0), whose difference is f well inside of the region and 0 well outside
//
// Within 1/(2·Steepness) deviations of one bound, the differences of both sides sum up to the mean of both f, which are
// the same at the bound. They are wrong as near to several bounds together, and where no region is known.
type Shallow struct {
	Steepness float64
	// Clips takes the patterns of the calibration clips' windows, those of most windows first. Of other windows, the
	// logits are 0. Otherwise all patterns are found.
	Clips bool
	Most  int // patterns
	// Points is the number of random windows at which the approximation is compared with the network.
	Points int
}

// maxShallowDifference is up to which difference, relative to the largest logit and at least to 1, a window's logits
// count as exact.
const maxShallowDifference = 1e-4

// Name returns "shallow".
func (*Shallow) Name() string { return "shallow" }

// Apply returns the network of two hidden layers. A network of another form, or with more patterns than Most, gives an
// error that wraps ErrImpossible.
func (s *Shallow) Apply(ctx context.Context, m *polynet.Model, d Data) (*polynet.Model, Report, error) {
	if err := checkFloat(m); err != nil {
		return nil, Report{}, err
	}
	net, err := regions.Compile(m)
	if err != nil {
		return nil, Report{}, err
	}
	r, err := net.Rows(float64(m.Norm.Limit))
	if err != nil {
		return nil, Report{}, fmt.Errorf("%w: %w", ErrImpossible, err)
	}
	w := &shallowWork{Shallow: s, net: r, windows: windowsOf(r, m, d)}
	if s.Clips {
		err = w.reached(ctx)
	} else {
		err = w.all(ctx)
	}
	if err != nil {
		return nil, Report{}, err
	}
	if err := w.gate(ctx); err != nil {
		return nil, Report{}, err
	}
	n, err := w.build(m)
	if err != nil {
		return nil, Report{}, err
	}
	report, err := w.report(ctx, m, n, d)
	return n, report, err
}

// windowsOf returns the windows of the calibration clips.
func windowsOf(r *regions.RowNet, m *polynet.Model, d Data) (windows []float64) {
	for clip := range slices.Chunk(d.Rows, d.Frames*m.Net.Inputs) {
		clip = slices.Clone(clip)
		m.Norm.Apply(clip)
		windows = append(windows, r.Windows(toFloat64(clip))...)
	}
	return windows
}

type shallowWork struct {
	*Shallow
	net     *regions.RowNet
	windows []float64 // of the calibration clips
	unseen  int       // of these, how many are in no region
	regions []*regions.Region
	gates   []regions.Halfspace // the bounds of all regions, each once
	of      [][]int             // the gates of each region
	largest float64             // |f|
}

// all finds all regions.
func (w *shallowWork) all(ctx context.Context) error {
	return w.net.Enumerate(ctx, func(g *regions.Region) error {
		if len(w.regions) == w.Most {
			return fmt.Errorf("%w: its %d units a row have more than %d patterns", ErrImpossible, w.net.RowUnits(), w.Most)
		}
		w.regions = append(w.regions, g)
		return nil
	})
}

// reached finds the regions of most windows.
func (w *shallowWork) reached(ctx context.Context) error {
	const batch = 256
	size := w.net.Values()
	counts, first := map[string]int{}, map[string][]float64{}
	var order []string
	for windows := range slices.Chunk(w.windows, batch*size) {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, _, patterns := w.net.Run(windows)
		for i, p := range patterns {
			if counts[p]++; counts[p] == 1 {
				order, first[p] = append(order, p), windows[i*size:(i+1)*size]
			}
		}
	}
	slices.SortStableFunc(order, func(a, b string) int { return counts[b] - counts[a] })
	for i, p := range order {
		if i >= w.Most {
			w.unseen += counts[p]
			continue
		}
		w.regions = append(w.regions, w.net.At(first[p]))
	}
	return nil
}

// gate finds the bounds that the regions need, and the largest logit.
func (w *shallowWork) gate(ctx context.Context) error {
	numbers := map[string]int{}
	for _, g := range w.regions {
		if err := w.net.Facets(ctx, g); err != nil {
			return err
		}
		var list []int
		for _, h := range g.Bounds {
			key := h.Key()
			n, known := numbers[key]
			if !known {
				n, numbers[key] = len(w.gates), len(w.gates)
				w.gates = append(w.gates, h)
			}
			list = append(list, n)
		}
		w.of = append(w.of, list)
		for c := range w.net.Classes() {
			row := slices.Clone(g.Logits.RawRowView(c))
			for range 2 {
				w.largest = max(w.largest, w.net.Largest(g, row))
				floats.Scale(-1, row)
			}
		}
	}
	return nil
}

// functions returns how many different linear functions the logits of the regions are.
func (w *shallowWork) functions() int {
	keys := map[string]bool{}
	for _, g := range w.regions {
		keys[g.Function()] = true
	}
	return len(keys)
}

// least returns the least value of each of the stem's channels before its ReLU.
func (w *shallowWork) least() []float64 {
	stem, bias := w.net.Stem()
	list := slices.Clone(bias)
	for c := range list {
		list[c] -= w.net.Limit * floats.Norm(stem.RawRowView(c), 1)
	}
	return list
}

// widths returns those of the hidden layers. The second one has a unit more where it were as wide as the first: the
// block would then have a skip instead of a convolution.
func (w *shallowWork) widths() (first, second int) {
	stem, _ := w.net.Stem()
	channels, _ := stem.Dims()
	first, second = channels+len(w.gates), 2*len(w.regions)*w.net.Classes()
	if first == second {
		second++
	}
	return first, second
}

// build returns the network of two hidden layers, as one of blocks of the kind relu: the first layer is the stem, the
// second the convolution in the skip of the only block, whose branch has one unit with weights of 0.
func (w *shallowWork) build(m *polynet.Model) (*polynet.Model, error) {
	first, second := w.widths()
	n := *m
	n.Net = polynet.Config{
		Inputs: m.Net.Inputs, Classes: m.Net.Classes, Block: polynet.ReLU,
		Stem:   polynet.Stem{Width: first, Kernel: m.Net.Stem.Kernel, Ahead: m.Net.Stem.Ahead, Stride: w.net.Stride()},
		Stages: []polynet.Stage{{Width: second, Blocks: 1, Kernel: 1, Stride: 1}},
		Inner:  [][]int{{1}},
	}
	if err := n.Net.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %d patterns with %d bounds: %w", ErrImpossible, len(w.regions), len(w.gates), err)
	}
	n.Weights = polynet.Weights{}
	for _, v := range n.Net.Program().Weights {
		put(n.Weights, v.Name, slices.Repeat([]float32{v.Init}, int(v.Len())), v.Shape...)
		if v.Kind == polynet.Running && v.Init == 1 { // the norms' variances: 1 with what is added to them
			for i := range values(n.Weights, v.Name) {
				values(n.Weights, v.Name)[i] = 1 - polynet.NormEpsilon
			}
		}
	}
	w.firstLayer(values(n.Weights, "stem.conv.weight"), values(n.Weights, "stem.norm.bias"))
	w.secondLayer(&n, second)
	if err := n.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImpossible, err)
	}
	return &n, nil
}

// firstLayer sets the stem's channels and the gates, of weights (values of a window, units).
func (w *shallowWork) firstLayer(weight, bias []float32) {
	stem, biases := w.net.Stem()
	least, width := w.least(), len(bias)
	for c, low := range least {
		for k, v := range stem.RawRowView(c) {
			weight[k*width+c] = float32(v)
		}
		bias[c] = float32(biases[c] - low)
	}
	for i, h := range w.gates {
		unit, last := len(least)+i, len(h.Values)-1
		for k, v := range h.Values[:last] {
			weight[k*width+unit] = float32(-v)
		}
		bias[unit] = float32(1/(2*w.Steepness) - h.Values[last])
	}
}

// secondLayer sets the two units of each region and class, and the head.
func (w *shallowWork) secondLayer(n *polynet.Model, width int) {
	const part = "stages.0.0.skip."
	weight, bias := values(n.Weights, part+"conv.weight"), values(n.Weights, part+"norm.bias")
	head, classes, least := values(n.Weights, "head.weight"), w.net.Classes(), w.least()
	unit := 0
	for k, g := range w.regions {
		for class := range classes {
			f := g.Logits.RawRowView(class)
			constant := f[len(least)]
			for c, low := range least {
				constant += f[c] * low
			}
			for _, sign := range []float64{1, -1} {
				for c, v := range f[:len(least)] {
					weight[c*width+unit] = float32(sign * v / 2)
				}
				for _, gate := range w.of[k] {
					weight[(len(least)+gate)*width+unit] = float32(-w.Steepness * w.largest)
				}
				bias[unit] = float32(sign*constant/2 + w.largest/2)
				head[unit*classes+class] = float32(sign)
				unit++
			}
		}
	}
}

// approximate returns the logits of a window, given the stem's channels and 1, for several steepnesses, in float64.
func (w *shallowWork) approximate(z *mat.VecDense, steepness []float64, bound []float64) [][]float64 {
	distances := make([]float64, len(w.gates))
	for i, h := range w.gates {
		distances[i] = floats.Dot(h.Channels, z.RawVector().Data)
	}
	logits := make([][]float64, len(steepness))
	for i := range logits {
		logits[i] = make([]float64, w.net.Classes())
	}
	var f mat.VecDense
	for k, g := range w.regions {
		f.Reset()
		for i, s := range steepness {
			sum := 0.0 // M·Σh − B
			for _, gate := range w.of[k] {
				sum += w.largest * max(0.5-s*distances[gate], 0)
			}
			if sum -= w.largest / 2; sum >= bound[k]/2 {
				continue
			}
			if f.IsEmpty() {
				f.MulVec(g.Logits, z)
			}
			for c := range logits[i] {
				logits[i][c] += max(f.AtVec(c)/2-sum, 0) - max(-f.AtVec(c)/2-sum, 0)
			}
		}
	}
	return logits
}

// bound returns the largest |f| of each region in all of the box, or more.
func (w *shallowWork) bound() []float64 {
	least, list := w.least(), make([]float64, len(w.regions))
	_, bias := w.net.Stem()
	for k, g := range w.regions {
		for class := range w.net.Classes() {
			f := g.Logits.RawRowView(class)
			sum := math.Abs(f[len(least)])
			for c, low := range least {
				sum += math.Abs(f[c]) * max(math.Abs(low), math.Abs(2*bias[c]-low))
			}
			list[k] = max(list[k], sum)
		}
	}
	return list
}
