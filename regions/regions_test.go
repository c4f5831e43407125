package regions

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/mat"
)

// rowModel returns a random model of networks that look at several rows in the stem alone.
func rowModel(kind polynet.BlockKind, inputs, stem, kernel, stage int, seed uint64) *polynet.Model {
	m := nettest.RandomModel(polynet.Config{
		Inputs: inputs, Classes: 3, Block: kind,
		Stem:   polynet.Stem{Width: stem, Kernel: kernel, Ahead: kernel / 2, Stride: 2},
		Stages: []polynet.Stage{{Width: stage, Blocks: 1, Kernel: 1, Stride: 2}},
	}, nettest.Rand(seed))
	m.Norm.Limit = 2
	for _, name := range []string{"stem.norm", "stages.0.0.norm1", "stages.0.0.norm2"} { // units are inactive at times
		for i, v := range nettest.Normals(nettest.Rand(seed+9), m.Weights[name+".bias"].Shape()[0]) {
			m.Weights[name+".bias"].Data().([]float32)[i] = v / 2
			m.Weights[name+".running_mean"].Data().([]float32)[i] = v / 4
		}
	}
	return m
}

func compile(t *testing.T, m *polynet.Model) *Net {
	t.Helper()
	n, err := Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rows(t *testing.T, m *polynet.Model) *RowNet {
	t.Helper()
	r, err := compile(t, m).Rows(float64(m.Norm.Limit))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pattern(active []bool) string {
	text := make([]byte, len(active))
	for i, a := range active {
		text[i] = '0'
		if a {
			text[i] = '1'
		}
	}
	return string(text)
}

func random(seed uint64, n int, scale float64) (list []float64) {
	for _, v := range nettest.Normals(nettest.Rand(seed), n) {
		list = append(list, max(-2, min(2, float64(v)*scale)))
	}
	return list
}

// TestNetRuns computes clips as the plain form does, for all kinds.
func TestNetRuns(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		for i, c := range nettest.Configs(kind) {
			m := nettest.RandomModel(c, nettest.Rand(4))
			const frames = 23
			clip, other := random(1, frames*c.Inputs, 0.5), random(2, frames*c.Inputs, 0.5)
			var got []float32
			for _, v := range compile(t, m).run(compile(t, m).newBatch(frames, other, clip))[c.Classes:] {
				got = append(got, float32(v))
			}
			x := make(nettest.Rows, frames)
			for k, v := range clip {
				x[k/c.Inputs] = append(x[k/c.Inputs], v)
			}
			var want []float32
			for _, v := range (nettest.Plain{Program: c.Program(), Weights: m.Weights}).Run(x)[0] {
				want = append(want, float32(v))
			}
			nettest.Near(t, fmt.Sprint(kind, i), got, want, 1e-4)
		}
	}
}

// TestEnumerate finds each region of networks of two inputs that a fine grid of points hits, and no region twice. A
// window of each has its pattern, and is as far from its bounds as they say.
func TestEnumerate(t *testing.T) {
	for seed := range uint64(4) {
		m := rowModel(polynet.ReLU, 2, 3+int(seed), 1, 4, seed)
		r := rows(t, m)
		found := map[string]*Region{}
		if err := r.Enumerate(t.Context(), func(g *Region) error {
			found[pattern(g.Active)] = g
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		const side = 250
		var grid []float64
		for i := range side * side {
			grid = append(grid, 4*float64(i%side)/(side-1)-2, 4*float64(i/side)/(side-1)-2)
		}
		_, _, patterns := r.Run(grid)
		hit := map[string]bool{}
		for i, p := range patterns {
			hit[p] = true
			if found[p] == nil {
				t.Fatalf("seed %d: the region of %v is missing", seed, grid[2*i:2*i+2])
			}
		}
		if len(found) < 12 || len(hit) < len(found)/2 {
			t.Errorf("seed %d: %d regions, %d hit by the grid", seed, len(found), len(hit))
		}
		for p, g := range found {
			checkRegion(t, r, g, p)
		}
	}
}

// checkRegion checks a region at its window, and that facets alone bound it as well as all bounds.
func checkRegion(t *testing.T, r *RowNet, g *Region, want string) {
	t.Helper()
	channels, logits, patterns := r.Run(g.Inside)
	if patterns[0] != want {
		t.Errorf("a window of %s has the pattern %s", want, patterns[0])
	}
	z := mat.NewVecDense(len(channels)+1, append(channels, 1))
	var y mat.VecDense
	y.MulVec(g.Logits, z)
	for c, v := range logits {
		if math.Abs(y.AtVec(c)-v) > 1e-9 {
			t.Errorf("logit %d is %g, in its region %g", c, v, y.AtVec(c))
		}
	}
	for _, b := range g.Bounds {
		if d := b.at(g.Inside); d < Thinnest || math.Abs(d-dot(b.Channels, z.RawVector().Data)) > 1e-9 {
			t.Errorf("a window of %s is %g from a bound, by the channels %g", want, d, dot(b.Channels, z.RawVector().Data))
		}
	}
	all := r.At(g.Inside)
	before := len(all.Bounds)
	if err := r.Facets(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if err := r.Facets(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	if len(all.Bounds) != len(g.Bounds) || len(all.Bounds) > before || pattern(all.Active) != want {
		t.Errorf("%s: %d facets of %d bounds, or %d", want, len(all.Bounds), before, len(g.Bounds))
	}
	a, b := r.Largest(all, g.Logits.RawRowView(0)), r.Largest(g, g.Logits.RawRowView(0))
	if math.Abs(a-b) > 1e-5 || a < logits[0]-1e-9 {
		t.Errorf("%s: the largest logit is %g or %g", want, a, b)
	}
}

// TestLines counts the regions of n lines in general position: 1 + n + the places in the box where two meet.
func TestLines(t *testing.T) {
	m := rowModel(polynet.Linear, 2, 5, 1, 5, 3)
	n := compile(t, m)
	n.steps[0].ReLU = true
	r, err := n.Rows(2)
	if err != nil {
		t.Fatal(err)
	}
	want := 1
	for i := range 5 {
		a, b := r.stem.RawRowView(i), n.steps[0].bias[i]
		if math.Abs(b) < 2*(math.Abs(a[0])+math.Abs(a[1])) {
			want++
		}
		for j := range i {
			c, d := r.stem.RawRowView(j), n.steps[0].bias[j]
			det := a[0]*c[1] - a[1]*c[0]
			x, y := (-b*c[1]+a[1]*d)/det, (-a[0]*d+b*c[0])/det
			if math.Abs(x) < 2 && math.Abs(y) < 2 {
				want++
			}
		}
	}
	got := 0
	r.Enumerate(t.Context(), func(*Region) error { got++; return nil })
	if got != want || want < 8 {
		t.Errorf("%d regions, want %d", got, want)
	}
}

// TestWindows: the mean of the rows' logits is the clip's, windows at its ends included.
func TestWindows(t *testing.T) {
	m := rowModel(polynet.ReLU, 6, 5, 7, 4, 1)
	r := rows(t, m)
	clip := random(5, 6*21, 1)
	windows := r.Windows(clip)
	_, logits, _ := r.Run(windows)
	want := r.run(r.newBatch(21, clip))
	count := len(windows) / r.Values()
	for c, v := range want {
		sum := 0.0
		for k := range count {
			sum += logits[k*r.Classes()+c] / float64(count)
		}
		if math.Abs(sum-v) > 1e-9 {
			t.Errorf("logit %d: %g in the mean of %d rows, want %g", c, sum, count, v)
		}
	}
	if r.Stride() != 4 || count != 6 || r.RowUnits() != 5+4+4 {
		t.Errorf("stride %d, %d rows, %d units", r.Stride(), count, r.RowUnits())
	}
}

// TestPieces counts the pieces of lines as many points on them do.
func TestPieces(t *testing.T) {
	for i, c := range append(nettest.Configs(polynet.ReLU), nettest.Configs(polynet.Linear)[0]) {
		m := nettest.RandomModel(c, nettest.Rand(7))
		n := compile(t, m)
		const frames, points = 4, 1 << 13
		from, to := random(3, frames*c.Inputs, 1), random(4, frames*c.Inputs, 1)
		got, err := n.Pieces(t.Context(), from, to, frames)
		if err != nil {
			t.Fatal(err)
		}
		changes, before := 1, ""
		for k := 0; k <= points; k += 256 {
			var clips [][]float64
			for j := k; j < min(k+256, points+1); j++ {
				clip := make([]float64, len(from))
				for u, v := range from {
					clip[u] = v + (to[u]-v)*float64(j)/points
				}
				clips = append(clips, clip)
			}
			b := n.newBatch(frames, clips...)
			signs := make([][]bool, len(clips))
			for s := range n.steps {
				values := n.before(s, b)
				if n.steps[s].ReLU {
					for u, v := range values {
						signs[u/(len(values)/len(clips))] = append(signs[u/(len(values)/len(clips))], v > 0)
					}
					rectify(values)
				}
				n.keep(s, b, values)
			}
			for _, s := range signs {
				if text := pattern(s); before != "" && text != before {
					changes++
					before = text
				} else {
					before = text
				}
			}
		}
		if got < changes || got > changes+changes/20+1 || c.Block == polynet.ReLU && got < 20 {
			t.Errorf("network %d: %d pieces, %d by points", i, got, changes)
		}
	}
}

// TestDegree measures the degree of polynomials: at the strictest tolerance it is what the equations say, also for a
// network whose product counts for little.
func TestDegree(t *testing.T) {
	c := nettest.Tiny(polynet.Pi)
	c.Stages = c.Stages[:1]
	for blocks, want := range map[int]int{1: 2, 2: 4, 3: 8} {
		c.Stages[0].Blocks = blocks
		m := nettest.RandomModel(c, nettest.Rand(2))
		got, err := compile(t, m).Degree(t.Context(), random(1, 6*9, 1), random(2, 6*9, 1), 9, []float64{1e-11, 10})
		if err != nil || got[0] != want || got[1] != 0 || c.Program().Degree().Int64() != int64(want) {
			t.Errorf("%d blocks: degree %v, %v, want %d", blocks, got, err, want)
		}
	}
}

// TestForms refuses networks that the functions are not about, and clips of another size.
func TestForms(t *testing.T) {
	clip := make([]float64, 6*5)
	pi, relu := compile(t, nettest.RandomModel(nettest.Tiny(polynet.Pi), nettest.Rand(1))),
		compile(t, nettest.RandomModel(nettest.Tiny(polynet.ReLU), nettest.Rand(1)))
	_, piece := pi.Pieces(t.Context(), clip, clip, 5)
	_, degree := relu.Degree(t.Context(), clip, clip, 5, []float64{1})
	_, wide := relu.Rows(2)
	_, product := pi.Rows(2)
	_, free := compile(t, rowModel(polynet.ReLU, 2, 2, 1, 2, 1)).Rows(0)
	for name, err := range map[string]error{
		"pieces": piece, "degree": degree, "rows": wide, "product": product, "no limit": free,
	} {
		if !errors.Is(err, ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := relu.Pieces(t.Context(), clip, clip[1:], 5); !errors.Is(err, polynet.ErrConfig) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := rows(t, rowModel(polynet.ReLU, 2, 4, 1, 4, 1))
	if err := r.Enumerate(ctx, func(*Region) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestMaximise compares with the best of many points, and with a bound that multipliers of the constraints prove.
func TestMaximise(t *testing.T) {
	for seed := range uint64(30) {
		n, m := 2+int(seed%4), 1+int(seed%7)
		h := &halfspaces{}
		for i := range m {
			c := random(100*seed+uint64(i), n+1, 1)
			c[n] = math.Abs(c[n]) // 0 is in the set
			h.constraints = append(h.constraints, c)
		}
		for range n {
			h.low, h.high = append(h.low, -1), append(h.high, 1)
		}
		objective, z := random(7000+seed, n, 1), make([]float64, n)
		got := h.maximise(z, objective, math.Inf(1))
		for i, v := range z {
			if v < -1 || v > 1 {
				t.Errorf("seed %d: z[%d] = %g", seed, i, v)
			}
		}
		best, rng := 0.0, nettest.Rand(seed)
	points:
		for range 4000 {
			p := make([]float64, n)
			for i := range p {
				p[i] = z[i] + rng.NormFloat64()*math.Pow(10, -3*rng.Float64())
				if p[i] < -1 || p[i] > 1 {
					continue points
				}
			}
			for _, c := range h.constraints {
				if dot(p, c)+c[n] < 0 {
					continue points
				}
			}
			best = max(best, dot(objective, p))
		}
		for _, c := range h.constraints {
			if dot(z, c)+c[n] < -1e-9 {
				t.Errorf("seed %d: %v violates %v", seed, z, c)
			}
		}
		if got < best-1e-9 || math.Abs(got-dot(objective, z)) > 1e-12 {
			t.Errorf("seed %d: %g at %v, but %g is possible", seed, got, z, best)
		}
	}
}
