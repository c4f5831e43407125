package device

import "testing"

// The algorithm depends on the rows of a group, which should fill its tiles; where plain multiplication is as fast
// there is none.
func TestWinogradFitsTheRows(t *testing.T) {
	d, err := CPU(1)
	if err != nil {
		t.Fatal(err)
	}
	c := d.(checkedNarrow).Trainer.(*cpu)
	type size struct{ outputs, taps int }
	for _, test := range []struct {
		groups, rows, taps, channels, reading int
		want                                  size
	}{
		{groups: 1, rows: 3000, taps: 9, channels: 40, want: size{9, 9}},
		{groups: 1, rows: 3000, taps: 5, channels: 40, want: size{4, 5}},
		{groups: 1, rows: 3000, taps: 3, channels: 40, want: size{3, 3}},
		{groups: 32, rows: 8, taps: 9, channels: 32, want: size{9, 9}},
		{groups: 32, rows: 4, taps: 9, channels: 40, want: size{4, 5}},
		{groups: 32, rows: 3, taps: 9, channels: 40, want: size{3, 3}},
		{groups: 32, rows: 2, taps: 9, channels: 56, want: size{2, 3}},
		{groups: 32, rows: 1, taps: 9, channels: 72},
		{groups: 1, rows: 2, taps: 9, channels: 56},
		{groups: 32, rows: 100, taps: 9, channels: 7},
		{groups: 32, rows: 100, taps: 2, channels: 40},
		// A gradient needs one transform for all runs.
		{groups: 100, rows: 4, taps: 9, channels: 40, reading: gradReading, want: size{3, 3}},
	} {
		a := View{Groups: test.groups, Rows: test.rows, Cols: test.taps * test.channels, RowStride: test.channels}
		var got size
		if w := c.chooseWinograd(a, test.channels, max(test.reading, productReading)); w != nil {
			got = size{w.outputs, w.taps}
		}
		if got != test.want {
			t.Errorf("%+v: F%v", test, got)
		}
	}
}
