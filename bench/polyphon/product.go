package main

import (
	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/device/devicetest"
)

// preparePeak measures what the processor's multiply-add units can do on one thread.
func preparePeak(struct{}) *serve.Case {
	run, flops, err := devicetest.Peak(kernels())
	if err != nil {
		serve.Fail("%w", err)
	}
	return &serve.Case{Run: run, Facts: map[string]int{"flops": flops}}
}

// prepareCopy measures how fast one thread moves so many bytes, half of them read, half of them written.
func prepareCopy(a struct {
	Bytes int `json:"bytes"`
}) *serve.Case {
	from, to := make([]byte, a.Bytes/2), make([]byte, a.Bytes/2)
	return &serve.Case{Run: func() { copy(to, from) }}
}

// productArgs describes a product of (groups·rows, depth) by (depth, cols). Rows lie step values apart: where that is
// less than depth they are a convolution's overlapping windows.
type productArgs struct {
	A           string `json:"a"` // files
	W           string `json:"w"`
	Groups      int    `json:"groups"`
	GroupStride int    `json:"group_stride"`
	Rows        int    `json:"rows"`
	Step        int    `json:"step"`
	Depth       int    `json:"depth"`
	Cols        int    `json:"cols"`
}

// prepareProduct multiplies on one thread, by weights that have been packed.
func prepareProduct(p productArgs) *serve.Case {
	d := serve.Must(device.CPU(1))
	a, w := upload(d, read(p.A)), upload(d, read(p.W))
	x := device.View{Data: a, Groups: p.Groups, Rows: p.Rows, Cols: p.Depth, GroupStride: p.GroupStride, RowStride: p.Step}
	if x.Extent() > a.Len() || w.Len() != p.Depth*p.Cols {
		serve.Fail("%d and %d values for %+v", a.Len(), w.Len(), p)
	}
	packed := new(device.Packed)
	if p.Step < p.Depth {
		d.PackWindows(packed, w, p.Cols, x)
	} else {
		d.Pack(packed, w, p.Depth, p.Cols)
	}
	product := d.Alloc(p.Groups * p.Rows * p.Cols)
	y := device.View{
		Data: product, Groups: p.Groups, Rows: p.Rows, Cols: p.Cols, GroupStride: p.Rows * p.Cols, RowStride: p.Cols,
	}
	return &serve.Case{
		Run:    func() { d.MatMul(y, x, packed, device.Epilogue{}) },
		Result: product.Host,
	}
}
