package device

import "fmt"

// Buffer is a run of float32 values in one device's memory.
type Buffer struct {
	host []float32
	addr uint64
	n    int
}

// hostBuffer returns a Buffer over s, for devices that work in the host's memory.
func hostBuffer(s []float32) Buffer { return Buffer{host: s, n: len(s)} }

// AddrBuffer returns a Buffer of n values at an address of a device's own memory.
func AddrBuffer(addr uint64, n int) Buffer { return Buffer{addr: addr, n: n} }

// Len returns the number of values.
func (b Buffer) Len() int { return b.n }

// Empty reports whether b holds no values.
func (b Buffer) Empty() bool { return b.n == 0 }

// Host returns the values, or nil where they are not in the host's memory.
func (b Buffer) Host() []float32 { return b.host }

// Addr returns the address in the device's own memory, 0 for host memory.
func (b Buffer) Addr() uint64 { return b.addr }

// Slice returns values i up to j, sharing b's memory.
func (b Buffer) Slice(i, j int) Buffer {
	if i < 0 || j < i || j > b.n {
		panic(fmt.Sprintf("device: slice [%d:%d] of a buffer of %d", i, j, b.n))
	}
	if b.host != nil {
		return hostBuffer(b.host[i:j:j])
	}
	return AddrBuffer(b.addr+4*uint64(i), j-i)
}

// View is Groups matrices of (Rows, Cols) in one Buffer, with element (g, r, c) at g·GroupStride + r·RowStride + c. A
// convolution's windows are a View whose rows overlap (RowStride < Cols); the padding around clips lies between groups.
type View struct {
	Data                   Buffer
	Groups, Rows, Cols     int
	GroupStride, RowStride int
}

// Matrix returns the View of one contiguous (rows, cols) matrix at the start of b.
func Matrix(b Buffer, rows, cols int) View {
	return View{Data: b, Groups: 1, Rows: rows, Cols: cols, GroupStride: rows * cols, RowStride: cols}
}

// Empty reports whether v is the zero View, which stands for an operand left out.
func (v View) Empty() bool { return v.Data.Empty() }

// Count returns the number of rows in all groups.
func (v View) Count() int { return v.Groups * v.Rows }

// Extent returns how many values of Data the View reaches over.
func (v View) Extent() int { return v.extent() }

// extent is Extent without a copy of v, which costs as much as it.
func (v *View) extent() int {
	if v.Groups == 0 || v.Rows == 0 {
		return 0
	}
	return (v.Groups-1)*v.GroupStride + (v.Rows-1)*v.RowStride + v.Cols
}

func (v View) String() string { return fmt.Sprintf("(%d,%d,%d)", v.Groups, v.Rows, v.Cols) }

// Packed is a (K, N) matrix as one device's MatMul, or MatMulNarrow, reads it. Step is the distance between
// PackWindows' windows, else 0.
type Packed struct {
	K, N, Step int
	Data       Buffer
	winograd   *winograd // the CPU's algorithm for products with windows; nil: plain multiplication
	bytes      bool      // of PackNarrow
	ternary    bool      // the same, with weights of -1, 0 and 1
}

// CeilDiv returns a/b, rounded up, for a ≥ 0 and b > 0.
func CeilDiv(a, b int) int { return (a + b - 1) / b }

// AlignUp rounds a number of float32 values up to whole cache lines of 64 bytes.
func AlignUp(n int) int { return CeilDiv(n, 16) * 16 }
