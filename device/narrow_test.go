package device_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/device/devicetest"
)

func TestNarrowAgreesWithRef(t *testing.T) {
	var devices []device.Trainer
	for _, kernels := range device.Kernels() {
		devices = append(devices, cpuWith(t, kernels, 1), cpuWith(t, kernels, 3))
	}
	devicetest.Narrow(t, device.Ref(), devices...)
}

// word returns four bytes as a value of a byte matrix.
func word(b ...int8) float32 {
	var list [4]byte
	for i, v := range b {
		list[i] = byte(v)
	}
	return math.Float32frombits(binary.NativeEndian.Uint32(list[:]))
}

// windows returns one row of so many words.
func windows(cols int) device.View {
	return device.View{Groups: 1, Rows: 1, Cols: cols, GroupStride: cols, RowStride: cols}
}

func narrows(t testing.TB) map[string]device.Narrow {
	all := map[string]device.Narrow{"ref": device.Ref().(device.Narrow)}
	for _, kernels := range device.Kernels() {
		all[kernels] = cpuWith(t, kernels, 2).(device.Narrow)
	}
	return all
}

func TestQuantise(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	cases := []struct {
		scale    float32
		in       []float32
		want     []int8
		describe string
	}{
		{1, []float32{0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5}, []int8{0, 0, 2, 2, 0, -2, -2}, "ties to even"},
		{1, []float32{126.5, 127.4, 127.5, 1e9, -126.6, -1e9}, []int8{126, 127, 127, 127, -127, -127}, "clamped"},
		{1, []float32{inf, -inf, nan, math.MaxFloat32, -math.MaxFloat32}, []int8{127, -127, 127, 127, -127}, "not finite"},
		{0.5, []float32{0.25, 0.75, 10}, []int8{0, 2, 20}, "a scale"},
		{math.MaxFloat32 / 4, []float32{math.MaxFloat32}, []int8{4}, "a huge scale"},
		{1e-38, []float32{1e-45, 1e-38, -3e-38, 1}, []int8{0, 1, -3, 127}, "a tiny scale"},
	}
	for name, d := range narrows(t) {
		for _, c := range cases {
			words := device.CeilDiv(len(c.in), 4)
			x, dst := d.Alloc(len(c.in)), d.Alloc(words)
			d.Upload(x, c.in)
			d.Quantise(device.Matrix(dst, 1, words), device.Matrix(x, 1, len(c.in)), c.scale)
			got := make([]float32, words)
			d.Download(got, dst)
			var want []float32
			for part := range slices.Chunk(c.want, 4) {
				want = append(want, word(part...))
			}
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Errorf("%s: %s: word %d is %08x, want %08x", name, c.describe, i,
						math.Float32bits(got[i]), math.Float32bits(want[i]))
				}
			}
		}
	}
}

// The greatest sums do not overflow, and no step on the way saturates.
func TestGreatestNarrowSums(t *testing.T) {
	const k = device.MaxNarrowDepth / 4 * 4
	for name, d := range narrows(t) {
		for _, c := range []struct {
			a, w    int8
			ternary bool
		}{{127, 127, false}, {-128, 127, false}, {-128, -127, false}, {127, -127, false}, {-128, 1, true}, {127, -1, true}} {
			var w device.Packed
			d.PackNarrow(&w, slices.Repeat([]int8{c.w}, k), 1, c.ternary, windows(k/4))
			a, dst, one := d.Alloc(k/4), d.Alloc(1), d.Alloc(1)
			d.Upload(a, slices.Repeat([]float32{word(c.a, c.a, c.a, c.a)}, k/4))
			d.Upload(one, []float32{1})
			d.MatMulNarrow(device.Matrix(dst, 1, 1), device.Matrix(a, 1, k/4), &w, device.NarrowEpilogue{Multiply: one})
			got := make([]float32, 1)
			d.Download(got, dst)
			if want := float32(k * int(c.a) * int(c.w)); got[0] != want {
				t.Errorf("%s: %d products of %d and %d are %v, want %v", name, k, c.a, c.w, got[0], want)
			}
		}
	}
}

// The greatest sums of windows, whose products are computed by Winograd's algorithm, and of one row more than those.
func TestGreatestNarrowSumsOfWindows(t *testing.T) {
	const rows, cols = 20, 16
	for name, d := range narrows(t) {
		// Words: sums of 910·9 of them fit 29 bits and of 819·5 fit 28, sums of a word more a row do not.
		for _, of := range [][2]int{{9, 3}, {9, 910}, {9, 911}, {9, 1500}, {5, 3}, {5, 819}, {5, 820}} {
			taps, step := of[0], of[1]
			for _, c := range [][2]int8{{127, 127}, {-128, 127}, {-128, -127}, {127, -127}} {
				a := device.View{Groups: 1, Rows: rows, Cols: taps * step, RowStride: step}
				a.Data = d.Alloc(a.Extent())
				d.Upload(a.Data, slices.Repeat([]float32{word(c[0], c[0], c[0], c[0])}, a.Data.Len()))
				var w device.Packed
				d.PackNarrow(&w, slices.Repeat([]int8{c[1]}, 4*a.Cols*cols), cols, false, a)
				dst, ones := d.Alloc(rows*cols), d.Alloc(cols)
				d.Upload(ones, slices.Repeat([]float32{1}, cols))
				d.MatMulNarrow(device.Matrix(dst, rows, cols), a, &w, device.NarrowEpilogue{Multiply: ones})
				got := make([]float32, rows*cols)
				d.Download(got, dst)
				for i, v := range got {
					if want := float32(4 * a.Cols * int(c[0]) * int(c[1])); v != want {
						t.Fatalf("%s: %d products of %d and %d are %v at %d, want %v", name, 4*a.Cols, c[0], c[1], v, i, want)
					}
				}
			}
		}
	}
}

func TestNarrowRejects(t *testing.T) {
	d := cpuWith(t, "generic", 1).(device.Narrow)
	var w, floats device.Packed
	d.PackNarrow(&w, make([]int8, 8*3), 3, false, windows(2))
	d.Pack(&floats, d.Alloc(2*3), 2, 3)
	a, dst := device.Matrix(d.Alloc(2), 1, 2), device.Matrix(d.Alloc(3), 1, 3)
	ones, bytes := d.Alloc(3), device.Matrix(d.Alloc(1), 1, 1)
	e := device.NarrowEpilogue{Multiply: ones}
	cases := map[string]func(){
		"packed for bytes: false":                  func() { d.MatMulNarrow(dst, a, &floats, e) },
		"packed for MatMulNarrow":                  func() { d.MatMul(dst, a, &w, device.Epilogue{}) },
		"Multiply has 0 values":                    func() { d.MatMulNarrow(dst, a, &w, device.NarrowEpilogue{}) },
		"a (1,1,1), 1 values apart, times w (8,3)": func() { d.MatMulNarrow(dst, device.Matrix(a.Data, 1, 1), &w, e) },
		"Scale of 3 values": func() {
			d.MatMulNarrow(dst, a, &w, device.NarrowEpilogue{Multiply: ones, Scale: ones, Offset: ones})
		},
		"a scale of 0": func() { d.Quantise(bytes, dst, 0) },
		"a scale of NaN": func() {
			d.MatMulNarrow(dst, a, &w, device.NarrowEpilogue{Multiply: ones, Bytes: bytes, BytesScale: float32(math.NaN())})
		},
		"a scale of 1e-45": func() { d.Quantise(bytes, dst, 1e-45) },
		"dst (1,1,3) does": func() { d.Quantise(dst, dst, 1) },
		"weight 2 is -128": func() { d.PackNarrow(&w, []int8{0, 1, -128, 0}, 1, false, windows(1)) },
		"weight 1 is 2":    func() { d.PackNarrow(&w, []int8{0, 2, 0, 0}, 1, true, windows(1)) },
		"3 values for":     func() { d.PackNarrow(&w, make([]int8, 3), 1, false, windows(1)) },
		"times (131072,1)": func() { d.PackNarrow(&w, make([]int8, 131072), 1, false, windows(1<<15)) },
		"0 values apart":   func() { d.PackNarrow(&w, make([]int8, 4), 1, false, device.View{Groups: 1, Rows: 1, Cols: 1}) },
		"1 values apart, times": func() {
			a := device.View{Data: d.Alloc(4), Groups: 1, Rows: 2, Cols: 2, RowStride: 1}
			d.MatMulNarrow(device.Matrix(d.Alloc(6), 2, 3), a, &w, e)
		},
	}
	for want, call := range cases {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panics with %q, want %q", got, want)
				}
			}()
			call()
		}()
	}
}

// FuzzMatMulNarrow compares products of any shape, to bytes, with the reference's.
func FuzzMatMulNarrow(f *testing.F) {
	f.Add(uint64(1), byte(1), byte(13), byte(48), byte(24), byte(8), false)
	f.Add(uint64(2), byte(3), byte(1), byte(19), byte(7), byte(1), true)
	f.Add(uint64(3), byte(2), byte(25), byte(33), byte(64), byte(64), true)
	f.Add(uint64(4), byte(0), byte(28), byte(47), byte(90), byte(9), false) // windows of nine rows
	f.Add(uint64(5), byte(1), byte(20), byte(30), byte(93), byte(9), true)  // which end within a row
	f.Add(uint64(6), byte(2), byte(11), byte(9), byte(21), byte(6), false)
	all := narrows(f)
	f.Fuzz(func(t *testing.T, seed uint64, groups, rows, cols, depth, step byte, ternary bool) {
		a := device.View{Groups: 1 + int(groups%4), Rows: 1 + int(rows%30), Cols: int(depth), RowStride: 1 + int(step%70)}
		a.GroupStride = a.Rows*a.RowStride + int(seed%9)
		n := 1 + int(cols)
		product := func(d device.Narrow) []float32 {
			rng := rand.New(rand.NewPCG(seed, 1))
			limit := map[bool]int{false: 127, true: 1}[ternary]
			w, in := make([]int8, 4*a.Cols*n), make([]float32, a.Extent())
			for i := range w {
				w[i] = int8(rng.IntN(2*limit+1) - limit)
			}
			for i := range in {
				in[i] = math.Float32frombits(rng.Uint32())
			}
			var packed device.Packed
			d.PackNarrow(&packed, w, n, ternary, a)
			x, multiply, bytes := a, d.Alloc(n), a
			x.Data, bytes.Cols = d.Alloc(len(in)), device.CeilDiv(n, 4)
			bytes.RowStride, bytes.GroupStride = bytes.Cols, a.Rows*bytes.Cols
			bytes.Data = d.Alloc(bytes.Extent())
			d.Upload(x.Data, in)
			d.Upload(multiply, slices.Repeat([]float32{1e-4}, n))
			d.MatMulNarrow(device.View{}, x, &packed, device.NarrowEpilogue{Multiply: multiply, Bytes: bytes, BytesScale: 0.01})
			out := make([]float32, bytes.Data.Len())
			d.Download(out, bytes.Data)
			return out
		}
		want := product(all["ref"])
		for name, d := range all {
			for i, got := range product(d) {
				if math.Float32bits(got) != math.Float32bits(want[i]) {
					t.Fatalf("%s: %v, %d columns, ternary %v: word %d is %x, want %x", name, a, n, ternary, i,
						math.Float32bits(got), math.Float32bits(want[i]))
				}
			}
		}
	})
}

// FuzzQuantise compares the bytes of any values with the reference's.
func FuzzQuantise(f *testing.F) {
	f.Add([]byte{0, 0, 192, 127, 0, 0, 128, 255, 1, 0, 0, 0}, float32(0.1))
	f.Add([]byte("some values of a row, whatever they are"), float32(3))
	all := narrows(f)
	f.Fuzz(func(t *testing.T, content []byte, scale float32) {
		if inverse := 1 / scale; !(scale > 0 && inverse > 0 && inverse <= math.MaxFloat32) || len(content) < 4 {
			return
		}
		var in []float32
		for part := range slices.Chunk(content[:len(content)/4*4], 4) {
			in = append(in, math.Float32frombits(binary.NativeEndian.Uint32(part)))
		}
		words := device.CeilDiv(len(in), 4)
		bytes := func(d device.Narrow) (bits []uint32) {
			x, dst := d.Alloc(len(in)), d.Alloc(words)
			d.Upload(x, in)
			d.Quantise(device.Matrix(dst, 1, words), device.Matrix(x, 1, len(in)), scale)
			out := make([]float32, words)
			d.Download(out, dst)
			for _, v := range out {
				bits = append(bits, math.Float32bits(v))
			}
			return bits
		}
		want := bytes(all["ref"])
		for name, d := range all {
			if got := bytes(d); !slices.Equal(got, want) {
				t.Errorf("%s: %v by %v gives %x, want %x", name, in, scale, got, want)
			}
		}
	})
}
