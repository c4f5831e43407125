package regions

import (
	"context"
	"fmt"
	"math"
	"slices"
)

const (
	// closest is the distance, as a share of the line, from which on two changes of the pattern count as two.
	closest = 1e-12
	// together is how many pieces of a line are computed together.
	together = 32
)

// Pieces returns how many linear pieces the network has on the line from one clip to another, (frames, inputs) of
// normalised features each: one more than there are places where a unit becomes active or inactive. All of these
// are found: between two neighbouring ones of all layers up to one, what the units of the next layer read is linear, so
// that its signs at both ends tell of each change. A network that is not linear but for ReLU gives an error that wraps
// ErrForm; ctx's error ends it early.
func (n *Net) Pieces(ctx context.Context, from, to []float64, frames int) (int, error) {
	if !n.linear {
		return 0, fmt.Errorf("%w: its blocks have products or tanh, and so no linear regions", ErrForm)
	}
	if err := n.check(frames, from, to); err != nil {
		return 0, err
	}
	l := &line{Net: n}
	err := l.refine(ctx, 0, []float64{0, 1}, n.newBatch(frames, from, to))
	return l.pieces, err
}

type line struct {
	*Net
	pieces int
}

// refine counts the pieces between the places at, of which b holds the tensors that steps before i computed.
func (l *line) refine(ctx context.Context, i int, at []float64, b *batch) error {
	for ; i < len(l.steps); i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(at) > 2*together {
			for k := 0; k+1 < len(at); k += together {
				end := min(k+together+1, len(at))
				if err := l.refine(ctx, i, at[k:end], b.part(k, end)); err != nil {
					return err
				}
			}
			return nil
		}
		values := l.before(i, b)
		if l.steps[i].ReLU {
			at, b, values = split(at, b, values)
			rectify(values)
		}
		l.keep(i, b, values)
	}
	l.pieces += len(at) - 1
	return nil
}

// part returns the tensors of clips first up to end.
func (b *batch) part(first, end int) *batch {
	p := &batch{clips: end - first, rows: b.rows, tensors: make([][]float64, len(b.tensors))}
	for t, values := range b.tensors {
		if size := len(values) / b.clips; size > 0 {
			p.tensors[t] = values[first*size : end*size]
		}
	}
	return p
}

// split adds the places between those of at where one of the values changes its sign, and interpolates the tensors and
// the values there.
func split(at []float64, b *batch, values []float64) ([]float64, *batch, []float64) {
	size := len(values) / len(at)
	var places []float64 // with the number of the piece before, in which each lies
	var pieces []int
	for k := range len(at) - 1 {
		begin, end := at[k], at[k+1]
		var found []float64
		for u, v := range values[k*size : (k+1)*size] {
			if w := values[(k+1)*size+u]; (v > 0) != (w > 0) {
				found = append(found, begin+(end-begin)*v/(v-w))
			}
		}
		slices.Sort(found)
		places, pieces = append(places, begin), append(pieces, k)
		for _, t := range found {
			if t-places[len(places)-1] > closest && end-t > closest {
				places, pieces = append(places, t), append(pieces, k)
			}
		}
	}
	places, pieces = append(places, at[len(at)-1]), append(pieces, len(at)-2)
	interpolate := func(values []float64) []float64 {
		size := len(values) / len(at)
		list := make([]float64, 0, len(places)*size)
		for i, k := range pieces {
			share := (places[i] - at[k]) / (at[k+1] - at[k])
			for u, v := range values[k*size : (k+1)*size] {
				list = append(list, v*(1-share)+values[(k+1)*size+u]*share)
			}
		}
		return list
	}
	finer := &batch{clips: len(places), rows: b.rows, tensors: make([][]float64, len(b.tensors))}
	for t, values := range b.tensors {
		if values != nil {
			finer.tensors[t] = interpolate(values)
		}
	}
	return places, finer, interpolate(values)
}

// maxNodes is at how many places Degree looks at a line at most.
const maxNodes = 1 << 12

// Degree returns for each tolerance the lowest degree of polynomials in the position along the line from one clip to
// another that give all logits there, up to this share of the range of the logit that varies the most: a number of at
// most Program.Degree. −1 says that 4096 places on the line do not suffice to tell. It is the degree at which the sizes
// of the coefficients of higher Chebyshev polynomials sum up to less than that. A network that is no polynomial gives
// an error that wraps ErrForm.
func (n *Net) Degree(ctx context.Context, from, to []float64, frames int, tolerances []float64) ([]int, error) {
	if !n.smooth {
		return nil, fmt.Errorf("%w: it is no polynomial", ErrForm)
	}
	if err := n.check(frames, from, to); err != nil {
		return nil, err
	}
	for nodes := 32; ; nodes *= 2 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		logits, err := n.atChebyshev(ctx, from, to, frames, nodes)
		if err != nil {
			return nil, err
		}
		degrees, resolved := degreesOf(logits, tolerances)
		if resolved || nodes >= maxNodes {
			return degrees, nil
		}
	}
}

// atChebyshev returns each logit at the zeros of the Chebyshev polynomial of a degree, from one end of the line to the
// other.
func (n *Net) atChebyshev(ctx context.Context, from, to []float64, frames, nodes int) ([][]float64, error) {
	logits := make([][]float64, n.steps[len(n.steps)-1].Width)
	for k := range nodes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		share := (1 + math.Cos(math.Pi*(float64(k)+0.5)/float64(nodes))) / 2
		clip := make([]float64, len(from))
		for i, v := range from {
			clip[i] = v + share*(to[i]-v)
		}
		for c, v := range n.run(n.newBatch(frames, clip)) {
			logits[c] = append(logits[c], v)
		}
	}
	return logits, nil
}

// degreesOf is Degree of values at the zeros of a Chebyshev polynomial. resolved is whether the values are enough.
func degreesOf(logits [][]float64, tolerances []float64) (degrees []int, resolved bool) {
	nodes, scale := len(logits[0]), 0.0
	tails := make([]float64, nodes+1) // of the coefficients from each one on, the largest of all logits
	for _, values := range logits {
		scale = max(scale, slices.Max(values)-slices.Min(values))
		tail := 0.0
		for j := nodes - 1; j >= 0; j-- {
			c := 0.0
			for k, v := range values {
				c += v * math.Cos(math.Pi*float64(j)*(float64(k)+0.5)/float64(nodes)) * 2 / float64(nodes)
			}
			tail += math.Abs(c)
			tails[j] = max(tails[j], tail)
		}
	}
	resolved = true
	for _, tolerance := range tolerances {
		degree := 0
		for degree < nodes && tails[degree+1] > tolerance*scale {
			degree++
		}
		if degree >= nodes/2 { // coefficients beyond those may be of higher polynomials
			degree, resolved = -1, false
		}
		degrees = append(degrees, degree)
	}
	return degrees, resolved
}
