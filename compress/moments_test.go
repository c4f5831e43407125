package compress

import "testing"

// TestRowsOfAllPlaces takes rows of clips whose values say where in its clip a row is: beginning, middle and end have
// to be looked at alike, however many clips there are and however many rows that makes of each.
func TestRowsOfAllPlaces(t *testing.T) {
	const width, parts = 3, 5
	for _, of := range []struct{ clips, rows int }{
		{12, 40}, {256, 100}, {1024, 25}, {4096, 100}, {20000, 100}, {4096, 5},
	} {
		run := min(momentsBatch, of.clips)
		values := make([]float32, run*of.rows*width)
		for i := range values {
			values[i] = float32(i / width % of.rows)
		}
		var c channels
		counts, taken := [parts]int{}, 0
		for range of.clips / run {
			x := c.some(values, width, Data{Clips: of.clips}, run, taken)
			n, _ := x.Dims()
			taken += n
			for r := range n {
				counts[int(x.At(r, 0))*parts/of.rows]++
			}
		}
		if most := of.clips * of.rows; taken < min(minRows, most)*9/10 || taken > min(2*max(minRows, of.clips), most) {
			t.Errorf("%+v: %d rows were taken", of, taken)
		}
		for _, n := range counts {
			if share := float64(n) / float64(taken) * parts; share < 0.9 || share > 1.1 {
				t.Errorf("%+v: of %d rows, the parts of a clip have %v", of, taken, counts)
			}
		}
	}
}
