package regions

import "math"

// halfspaces is a set of z with low ≤ z ≤ high and a·z + c ≥ 0 for each of its constraints.
type halfspaces struct {
	low, high   []float64
	constraints [][]float64 // a, then c
}

const (
	// smallestGain is the reduced cost, relative to the largest of the objective, up to which nothing more is gained, and
	// smallestPivot the coefficient, relative to rows of length 1, that counts as 0.
	smallestGain, smallestPivot = 1e-9, 1e-9
)

// maximise moves z, which must be in the set, to where objective·z is the largest, and returns that: the simplex
// method with bounded variables. Bounds stay out of the tableau, which so has a row for each constraint alone (gonum's
// lp has one for each bound, too), and variables that are not in the basis may begin between their bounds, so that any
// z of the set is a start. It stops early where enough is reached.
func (h *halfspaces) maximise(z, objective []float64, enough float64) float64 {
	t := newTableau(h, z, objective)
	for range 100 * (len(z) + len(h.constraints) + 1) {
		column, up := t.entering()
		if column < 0 || dot(objective, z) >= enough {
			break
		}
		t.move(column, up)
		copy(z, t.value)
	}
	return dot(objective, z)
}

// tableau is the simplex method's: each variable of the basis is a linear function of the others. Variables are z's,
// then the constraints' slacks.
type tableau struct {
	rows             [][]float64 // of the basis' variables, then of the objective; one column for each other variable
	basis, others    []int
	value, low, high []float64 // of all variables
	least            float64   // gain that counts
}

func newTableau(h *halfspaces, z, objective []float64) *tableau {
	n := len(z)
	t := &tableau{value: append([]float64(nil), z...), low: append([]float64(nil), h.low...)}
	t.high = append([]float64(nil), h.high...)
	for i, c := range h.constraints {
		t.rows = append(t.rows, append([]float64(nil), c[:n]...))
		t.basis = append(t.basis, n+i)
		t.value = append(t.value, dot(c[:n], z)+c[n])
		t.low, t.high = append(t.low, 0), append(t.high, math.Inf(1))
	}
	t.rows = append(t.rows, append([]float64(nil), objective...))
	for j, v := range objective {
		t.others = append(t.others, j)
		t.least = max(t.least, smallestGain*math.Abs(v))
	}
	return t
}

// entering returns the column of the variable by which the objective grows the fastest, or −1, and its direction.
func (t *tableau) entering() (column int, up bool) {
	column, best := -1, t.least
	for j, gain := range t.rows[len(t.basis)] {
		v := t.others[j]
		if gain > best && t.value[v] < t.high[v] || -gain > best && t.value[v] > t.low[v] {
			column, best, up = j, math.Abs(gain), gain > 0
		}
	}
	return column, up
}

// move changes the variable of a column until it, or one of the basis, is at a bound.
func (t *tableau) move(column int, up bool) {
	v, sign := t.others[column], 1.0
	length := t.high[v] - t.value[v]
	if !up {
		sign, length = -1, t.value[v]-t.low[v]
	}
	leaving := -1
	for i, b := range t.basis {
		rate := sign * t.rows[i][column]
		room := math.Inf(1)
		switch {
		case rate > smallestPivot:
			room = max(0, t.high[b]-t.value[b]) / rate
		case rate < -smallestPivot:
			room = max(0, t.value[b]-t.low[b]) / -rate
		}
		if room < length || room == length && leaving >= 0 && math.Abs(rate) > math.Abs(t.rows[leaving][column]) {
			leaving, length = i, room
		}
	}
	for i, b := range t.basis {
		t.value[b] += sign * length * t.rows[i][column]
	}
	t.value[v] = min(max(t.value[v]+sign*length, t.low[v]), t.high[v])
	if leaving < 0 {
		return
	}
	b := t.basis[leaving]
	if sign*t.rows[leaving][column] > 0 {
		t.value[b] = t.high[b]
	} else {
		t.value[b] = t.low[b]
	}
	t.pivot(leaving, column)
}

// pivot exchanges the variable of a row with that of a column.
func (t *tableau) pivot(row, column int) {
	r := t.rows[row]
	p := r[column]
	for j := range r {
		r[j] /= -p
	}
	r[column] = 1 / p
	for i, other := range t.rows {
		f := other[column]
		if i == row || f == 0 {
			continue
		}
		other[column] = 0
		for j, v := range r {
			other[j] += f * v
		}
	}
	t.basis[row], t.others[column] = t.others[column], t.basis[row]
}

func dot(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}
