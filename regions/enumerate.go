package regions

import (
	"context"
	"encoding/binary"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const (
	// Thinnest is the least distance, in deviations of normalised features, that some window of a region must have from
	// all of its bounds: what is thinner does not count as a region.
	Thinnest = 1e-6
	// central is the distance at which a window inside of a region is good enough to start from.
	central = 1e-2
)

// Halfspace is all windows with a·z + c ≥ 0, z being the stem's channels and a and c the entries of Channels. It is
// scaled so that a·z + c is a window's distance from the plane.
type Halfspace struct {
	Channels []float64
	Values   []float64 // the same over a window's values: of each, then the constant
}

// Key returns a text that is the same for halfspaces that are the same in float32.
func (h Halfspace) Key() string { return keyOf(h.Channels) }

// at returns how far a window is inside.
func (h Halfspace) at(window []float64) float64 {
	return dot(window, h.Values) + h.Values[len(window)]
}

// other returns the windows on the other side.
func (h Halfspace) other() Halfspace {
	o := Halfspace{slices.Clone(h.Channels), slices.Clone(h.Values)}
	floats.Scale(-1, o.Channels)
	floats.Scale(-1, o.Values)
	return o
}

// Region is a polytope of windows in which the same units are active.
type Region struct {
	Active []bool      // by unit, in the order of the steps
	Bounds []Halfspace // besides the box of all windows
	Logits *mat.Dense  // (classes, the stem's channels and 1): the logits there
	Inside []float64   // a window in it
	maps   []*mat.Dense
}

// Function returns a text that is the same for regions whose logits are the same linear function, in float32.
func (g *Region) Function() string { return keyOf(g.Logits.RawMatrix().Data) }

func keyOf(values []float64) string {
	var key []byte
	for _, v := range values {
		key = binary.LittleEndian.AppendUint32(key, math.Float32bits(float32(v)))
	}
	return string(key)
}

// then returns g with one more unit.
func (g Region) then(active bool) Region {
	g.Active = append(slices.Clip(g.Active), active)
	return g
}

// cut returns g with one more bound.
func (g Region) cut(h Halfspace, inside []float64) Region {
	g.Bounds, g.Inside = append(slices.Clip(g.Bounds), h), inside
	return g
}

// Enumerate calls visit with each region, once. The units are gone through one after the other; where both states of
// one are possible together with those of the ones before, each is gone on with. A linear program tells what is
// possible. The number of regions may grow exponentially with that of units: an error of visit ends it, as does ctx's.
func (r *RowNet) Enumerate(ctx context.Context, visit func(*Region) error) error {
	return r.walk(ctx, 0, Region{Inside: make([]float64, r.Values()), maps: make([]*mat.Dense, 2)}, visit)
}

func (r *RowNet) walk(ctx context.Context, i int, g Region, visit func(*Region) error) error {
	if i == len(r.steps) {
		g.Logits, g.maps = g.maps[len(g.maps)-1], nil
		return visit(&g)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	before := r.linearStep(i, g.maps)
	if !r.steps[i].ReLU {
		g.maps = append(slices.Clip(g.maps), before)
		return r.walk(ctx, i+1, g, visit)
	}
	return r.branch(ctx, i, 0, before, g, visit)
}

// branch goes through the states of a step's units from one on.
func (r *RowNet) branch(
	ctx context.Context, i, unit int, before *mat.Dense, g Region, visit func(*Region) error,
) error {
	for ; unit < r.steps[i].Width; unit++ {
		h, active, fixed := r.halfspace(before.RawRowView(unit))
		if fixed {
			g = g.then(active)
			continue
		}
		on, isOn := r.inside(&g, h)
		off, isOff := r.inside(&g, h.other())
		if isOn && isOff {
			if err := r.branch(ctx, i, unit+1, before, g.then(true).cut(h, on), visit); err != nil {
				return err
			}
			g = g.cut(h.other(), off)
		}
		g = g.then(isOn && !isOff)
	}
	g.maps = append(slices.Clip(g.maps), masked(before, g.Active[len(g.Active)-unit:]))
	return r.walk(ctx, i+1, g, visit)
}

// masked returns the ReLU of what is linear, given the units that are active.
func masked(before *mat.Dense, active []bool) *mat.Dense {
	y := mat.DenseCopyOf(before)
	for unit, a := range active {
		if !a {
			clear(y.RawRowView(unit))
		}
	}
	return y
}

// halfspace returns where a unit is active, given what its ReLU reads, or where that is the same in all of the box,
// which.
func (r *RowNet) halfspace(row []float64) (h Halfspace, active, fixed bool) {
	channels := len(row) - 1
	values, constant := make([]float64, r.Values()+1), row[channels]+dot(r.steps[0].bias, row[:channels])
	size, reach := math.Abs(row[channels]), 0.0 // what meets in a value, and how far the box goes
	for c, v := range row[:channels] {
		floats.AddScaled(values[:len(values)-1], v, r.stem.RawRowView(c))
		size += math.Abs(v * r.steps[0].bias[c])
	}
	values[len(values)-1] = constant
	for _, v := range values[:len(values)-1] {
		reach += math.Abs(v) * r.Limit
	}
	length := floats.Norm(values[:len(values)-1], 2)
	if length*r.Limit <= 1e-12*size || math.Abs(constant) >= reach {
		return h, constant > 0, true
	}
	h = Halfspace{slices.Clone(row), values}
	floats.Scale(1/length, h.Channels)
	floats.Scale(1/length, h.Values)
	return h, false, false
}

// inside returns a window in the region that is also in a halfspace, if there is one.
func (r *RowNet) inside(g *Region, h Halfspace) (window []float64, found bool) {
	if h.at(g.Inside) >= central {
		return g.Inside, true
	}
	n, least := r.Values(), h.at(g.Inside)
	p := r.box()
	for _, b := range append(slices.Clip(g.Bounds), h) {
		row := append(slices.Clone(b.Values[:n]), -1, b.Values[n])
		p.constraints, least = append(p.constraints, row), min(least, b.at(g.Inside))
	}
	// The last variable is how far the window is inside of all.
	p.low, p.high = append(p.low, math.Inf(-1)), append(p.high, r.Limit)
	z, objective := append(slices.Clone(g.Inside), least), make([]float64, n+1)
	objective[n] = 1
	p.maximise(z, objective, central)
	least = math.Inf(1)
	for _, b := range append(slices.Clip(g.Bounds), h) {
		least = min(least, b.at(z[:n]))
	}
	return z[:n:n], least > Thinnest
}

// box returns all windows.
func (r *RowNet) box() *halfspaces {
	return &halfspaces{
		low: slices.Repeat([]float64{-r.Limit}, r.Values()), high: slices.Repeat([]float64{r.Limit}, r.Values()),
	}
}

// At returns the region of a window.
func (r *RowNet) At(window []float64) *Region {
	g := Region{Inside: window, maps: make([]*mat.Dense, 2)}
	for i := range r.steps {
		y := r.linearStep(i, g.maps)
		if r.steps[i].ReLU {
			for unit := range r.steps[i].Width {
				h, active, fixed := r.halfspace(y.RawRowView(unit))
				if !fixed {
					if active = h.at(window) > 0; !active {
						h = h.other()
					}
					g = g.cut(h, window)
				}
				g = g.then(active)
			}
			y = masked(y, g.Active[len(g.Active)-r.steps[i].Width:])
		}
		g.maps = append(g.maps, y)
	}
	g.Logits, g.maps = g.maps[len(g.maps)-1], nil
	return &g
}

// Facets removes those of a region's bounds that follow from the others and the box.
func (r *RowNet) Facets(ctx context.Context, g *Region) error {
	for i := 0; i < len(g.Bounds); {
		if err := ctx.Err(); err != nil {
			return err
		}
		others := slices.Delete(slices.Clone(g.Bounds), i, i+1)
		if r.maximum(&Region{Bounds: others, Inside: g.Inside}, g.Bounds[i].other().Values, Thinnest) < Thinnest {
			g.Bounds = others
			continue
		}
		i++
	}
	return nil
}

// Largest returns the largest value that a matrix row over the stem's channels and 1, such as a logit's, has in the
// region.
func (r *RowNet) Largest(g *Region, row []float64) float64 {
	n := r.Values()
	values := make([]float64, n+1)
	values[n] = row[len(row)-1]
	for c, v := range row[:len(row)-1] {
		floats.AddScaled(values[:n], v, r.stem.RawRowView(c))
		values[n] += v * r.steps[0].bias[c]
	}
	return r.maximum(g, values, math.Inf(1))
}

// maximum returns the largest value, up to enough, of a linear function of the window's values in a region.
func (r *RowNet) maximum(g *Region, values []float64, enough float64) float64 {
	p, n := r.box(), r.Values()
	for _, b := range g.Bounds {
		p.constraints = append(p.constraints, b.Values)
	}
	return p.maximise(slices.Clone(g.Inside), values[:n], enough-values[n]) + values[n]
}
