package memtest

import "testing"

var sink []byte

func TestPeakIsWhatIsHeld(t *testing.T) {
	const n = 32 << 20
	for name, c := range map[string]struct {
		times     int
		min, max  uint64
		allocated uint64
	}{"nothing": {0, 0, 4 << 20, 0}, "once": {1, n, n + 16<<20, n}, "one after the other": {10, n, 4 * n, 10 * n}} {
		f := func() {
			for range c.times {
				sink = nil
				sink = make([]byte, n)
			}
		}
		if got := Peak(f); got < c.min || got > c.max {
			t.Errorf("%s: a peak of %d bytes, want %d to %d", name, got, c.min, c.max)
		}
		if got := Allocated(f); got < c.allocated || got > c.allocated+4<<20 {
			t.Errorf("%s: %d bytes allocated, want %d", name, got, c.allocated)
		}
		sink = nil
	}
}
