package inference

// slidingSum is the sum of the rows in a window that only moves forward. Rows are counted; each is added in the order in
// which they come, and each sum is computed of nothing but the rows in the window, so that it is the same, up to
// the rounding of as many float64 additions, after a second and after a year.
//
// The window's front part holds, at each row, the sum from it to the part's end; of the rest there is one sum. When the
// front part is used up, the rest becomes the front. So a row takes two additions, whatever the window's length.
type slidingSum struct {
	cols             int
	rows             []float64 // a ring of rows: sums in the front part, else the rows themselves
	rest             []float64
	first, mid, next int // the window is rows [first,next), of which [first,mid) is the front part
}

// newSlidingSum returns an empty window for up to so many rows.
func newSlidingSum(rows, cols int) *slidingSum {
	return &slidingSum{cols: cols, rows: make([]float64, rows*cols), rest: make([]float64, cols)}
}

// row returns the memory of row i.
func (s *slidingSum) row(i int) []float64 {
	at := i * s.cols % len(s.rows)
	return s.rows[at : at+s.cols]
}

// reset begins with an empty window at row 0.
func (s *slidingSum) reset() {
	s.first, s.mid, s.next = 0, 0, 0
	clear(s.rest)
}

// push adds row next to the window.
func (s *slidingSum) push(values []float32) {
	row := s.row(s.next)
	for i, v := range values {
		row[i] = float64(v)
		s.rest[i] += float64(v)
	}
	s.next++
}

// drop takes the rows before first out of the window. If it was empty, row first comes next.
func (s *slidingSum) drop(first int) {
	switch {
	case first <= s.first:
		return
	case first >= s.next:
		s.mid, s.next = first, first
		clear(s.rest)
	case first >= s.mid:
		for i := s.next - 2; i >= first; i-- {
			row := s.row(i)
			for c, v := range s.row(i + 1) {
				row[c] += v
			}
		}
		s.mid = s.next
		clear(s.rest)
	}
	s.first = first
}

// mean writes the mean of the rows in the window.
func (s *slidingSum) mean(dst []float64) {
	copy(dst, s.rest)
	if s.first < s.mid {
		for c, v := range s.row(s.first) {
			dst[c] += v
		}
	}
	for c := range dst {
		dst[c] /= float64(s.next - s.first)
	}
}
