//go:build cuda || hostcuda

package gpu

import (
	"fmt"
	"math"

	"github.com/polyphon/polyphon/device"
)

// args is a kernel's argument, a struct of fields of eight bytes (kernels/kernel.h), which are appended in their order.
type args []uint64

func newArgs() args { return make(args, 0, 24) }

// views appends views without their shape.
func (a args) views(views ...device.View) args {
	for _, v := range views {
		a = append(a, v.Data.Addr(), uint64(v.GroupStride), uint64(v.RowStride))
	}
	return a
}

// shape appends v's shape. Kernels count elements in 32 bits.
func (a args) shape(v device.View) args {
	if v.Groups*v.Rows*v.Cols >= 1<<31 {
		panic(fmt.Sprintf("gpu: a view %v of more than 2³¹ values", v))
	}
	return a.ints(v.Groups, v.Rows, v.Cols)
}

// buffers appends addresses, 0 for buffers that are left out.
func (a args) buffers(buffers ...device.Buffer) args {
	for _, b := range buffers {
		a = append(a, b.Addr())
	}
	return a
}

func (a args) ints(values ...int) args {
	for _, v := range values {
		a = append(a, uint64(v))
	}
	return a
}

func (a args) flag(b bool) args {
	if b {
		return append(a, 1)
	}
	return append(a, 0)
}

func (a args) floats(values ...float64) args {
	for _, v := range values {
		a = append(a, math.Float64bits(v))
	}
	return a
}
