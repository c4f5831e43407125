package progress

import "testing"

func TestDuration(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0 s", 1.0 / 16000: "0.0625 ms", 0.0123456: "12.3 ms", 0.1: "0.1 s", 0.5: "0.5 s", 1: "1 s", 1.000125: "1 s",
		12.345: "12.3 s", 100: "100 s", 119.96: "120 s", 120: "2 min", 754: "12.6 min", 7199: "120 min", 7200: "2 h",
		37.12 * 3600: "37.1 h", 4321 * 3600: "4321 h",
	} {
		if got := Duration(seconds); got != want {
			t.Errorf("%g s: %s, want %s", seconds, got, want)
		}
	}
}
