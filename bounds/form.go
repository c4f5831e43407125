package bounds

import "math"

// rounding is how much bounds are widened, relative to the magnitudes that meet in a value, for the rounding of sums.
const rounding = 1e-9

// Form encloses the values of a tensor, one entry each, over a region: a value v at the position g of the direction is
// within Center + Slope·g ± Radius and within Low … High.
type Form struct {
	Center, Slope, Radius []float64
	Low, High             []float64
}

func newForm(n int) *Form {
	all := make([]float64, 5*n)
	part := func(i int) []float64 { return all[i*n : (i+1)*n : (i+1)*n] }
	return &Form{part(0), part(1), part(2), part(3), part(4)}
}

// line is a linear enclosure of one value: c + s·g + [lo, hi].
type line struct{ c, s, lo, hi float64 }

// add adds a times a value within [lo, hi].
func (l *line) add(a, lo, hi float64) {
	if a >= 0 {
		l.lo += a * lo
		l.hi += a * hi
	} else {
		l.lo += a * hi
		l.hi += a * lo
	}
}

// finite reports whether the line says anything: coefficients in float32 may overflow.
func (l line) finite() bool { return l.c-l.c+l.s-l.s+l.lo-l.lo+l.hi-l.hi == 0 }

// span returns the interval of the value.
func (l line) span() (low, high float64) {
	s := math.Abs(l.s)
	return l.c + l.lo - s, l.c + l.hi + s
}

// set makes entry i what l and the interval say together.
func (f *Form) set(i int, l line, low, high float64) {
	slack := rounding * (math.Abs(l.c) + math.Abs(l.s) + math.Abs(l.lo) + math.Abs(l.hi))
	f.Center[i], f.Slope[i], f.Radius[i] = l.c+(l.lo+l.hi)/2, l.s, (l.hi-l.lo)/2+slack
	a, b := l.span()
	f.Low[i], f.High[i] = max(a-slack, low), min(b+slack, high)
	f.prefer(i)
}

// tighten intersects entry i with l, unless that is not finite.
func (f *Form) tighten(i int, l line) {
	if !l.finite() {
		return
	}
	slack := rounding * (math.Abs(l.c) + math.Abs(l.s) + math.Abs(l.lo) + math.Abs(l.hi))
	if r := (l.hi-l.lo)/2 + slack; r < f.Radius[i] {
		f.Center[i], f.Slope[i], f.Radius[i] = l.c+(l.lo+l.hi)/2, l.s, r
	}
	a, b := l.span()
	f.Low[i], f.High[i] = max(f.Low[i], a-slack), min(f.High[i], b+slack)
	f.prefer(i)
}

// prefer replaces the line of entry i by its interval where that is as narrow without a slope.
func (f *Form) prefer(i int) {
	if f.Low[i] > f.High[i] { // by rounding: the two enclosures touch
		m := (f.Low[i] + f.High[i]) / 2
		slack := rounding*math.Abs(m) + (f.Low[i]-f.High[i])/2
		f.Low[i], f.High[i] = m-slack, m+slack
	}
	if r := (f.High[i] - f.Low[i]) / 2; r <= f.Radius[i] {
		f.Center[i], f.Slope[i], f.Radius[i] = (f.Low[i]+f.High[i])/2, 0, r
	}
}

// middle and half return the middle and the half width of entry i's interval.
func (f *Form) middle(i int) float64 { return (f.Low[i] + f.High[i]) / 2 }
func (f *Form) half(i int) float64   { return (f.High[i] - f.Low[i]) / 2 }

// relaxation encloses the values of a nonlinear node by linear functions of its operands' values.
//
//	product    x·SlopeX + y·SlopeY + [low, high], scale and offset included
//	tanh       x·SlopeX + [low, high]
//	ReLU       x·SlopeX + [low, high], and above it either 0 or x: slope·x with slope lower
type relaxation struct {
	slopeX, slopeY, low, high []float64
	lower                     []float64
}

func newRelaxation(v *node) relaxation {
	n := v.rows * v.cols
	r := relaxation{slopeX: make([]float64, n), low: make([]float64, n), high: make([]float64, n)}
	switch v.kind {
	case product:
		r.slopeY = make([]float64, n)
	case rectifier:
		r.lower = make([]float64, n)
	}
	return r
}

// relaxReLU sets entry i for x within [l, u].
func (r *relaxation) relaxReLU(i int, l, u float64) {
	switch {
	case u <= 0:
	case l >= 0:
		r.slopeX[i], r.lower[i] = 1, 1
	default:
		slope := u / (u - l)
		r.slopeX[i], r.high[i] = slope, -slope*l*(1+rounding)
		if u > -l {
			r.lower[i] = 1
		}
	}
}

// relaxTanh sets entry i for x within [l, u]: tanh x − slope·x rises with the smaller slope of the ends.
func (r *relaxation) relaxTanh(i int, l, u float64) {
	a, b := math.Tanh(l), math.Tanh(u)
	slope := min(1-a*a, 1-b*b) * (1 - rounding)
	r.slopeX[i], r.low[i], r.high[i] = slope, a-slope*l-rounding, b-slope*u+rounding
}

// relaxProduct sets entry i for scale·x·y + offset, with x and y around mx and my, and their deviations' product within
// [low, high].
func (r *relaxation) relaxProduct(i int, mx, my, low, high, scale, offset float64) {
	r.slopeX[i], r.slopeY[i] = scale*my, scale*mx
	c := offset - scale*mx*my
	l := line{}
	l.add(scale, low, high)
	slack := rounding * (math.Abs(c) + l.hi - l.lo)
	r.low[i], r.high[i] = c+l.lo-slack, c+l.hi+slack
}
