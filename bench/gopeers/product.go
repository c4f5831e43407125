package main

import (
	"github.com/polyphon/polyphon/bench/serve"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gorgonia.org/tensor"
)

// productArgs describes a product of (rows, depth) by (depth, cols), both contiguous.
type productArgs struct {
	A     string `json:"a"` // files
	W     string `json:"w"`
	Rows  int    `json:"rows"`
	Depth int    `json:"depth"`
	Cols  int    `json:"cols"`
}

func (p productArgs) read() (a, w []float32) {
	return serve.Must(serve.ReadFloats(p.A)), serve.Must(serve.ReadFloats(p.W))
}

func prepareGonumProduct(p productArgs) *serve.Case {
	a, w := p.read()
	matrix := func(rows, cols int, data []float32) blas32.General {
		return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: data}
	}
	x, y := matrix(p.Rows, p.Depth, a), matrix(p.Depth, p.Cols, w)
	product := matrix(p.Rows, p.Cols, make([]float32, p.Rows*p.Cols))
	return &serve.Case{
		Run:    func() { blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, x, y, 0, product) },
		Result: func() []float32 { return product.Data },
	}
}

func prepareTensorProduct(p productArgs) *serve.Case {
	a, w := p.read()
	x := tensor.New(tensor.WithShape(p.Rows, p.Depth), tensor.WithBacking(a))
	y := tensor.New(tensor.WithShape(p.Depth, p.Cols), tensor.WithBacking(w))
	product := tensor.New(tensor.WithShape(p.Rows, p.Cols), tensor.Of(tensor.Float32))
	return &serve.Case{
		Run: func() {
			if _, err := x.MatMul(y, tensor.WithReuse(product)); err != nil {
				panic(err)
			}
		},
		Result: func() []float32 { return product.Data().([]float32) },
	}
}
