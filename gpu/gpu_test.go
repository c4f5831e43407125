//go:build cuda || hostcuda

package gpu

import (
	"math"

	"github.com/polyphon/polyphon/device"
)

var precisions = []Precision{Float32, TF32, BFloat16}

// reference returns the reference device that rounds the operands of products as a precision does.
func reference(p Precision) device.Trainer {
	switch p {
	case TF32:
		return rounding{device.Ref(), roundTF32}
	case BFloat16:
		return rounding{device.Ref(), roundBFloat16}
	}
	return device.Ref()
}

// roundTF32 rounds to 10 bits of mantissa, halves away from zero.
func roundTF32(x float32) float32 {
	return math.Float32frombits((math.Float32bits(x) + 1<<12) &^ (1<<13 - 1))
}

// roundBFloat16 rounds to 7 bits of mantissa, halves to even.
func roundBFloat16(x float32) float32 {
	bits := math.Float32bits(x)
	return math.Float32frombits((bits + 1<<15 - 1 + bits>>16&1) &^ (1<<16 - 1))
}

type rounding struct {
	device.Trainer
	round func(float32) float32
}

func (d rounding) rounded(b device.Buffer) device.Buffer {
	r := d.Alloc(b.Len())
	for i, v := range b.Host() {
		r.Host()[i] = d.round(v)
	}
	return r
}

func (d rounding) MatMul(dst, a device.View, w *device.Packed, e device.Epilogue) {
	a.Data = d.rounded(a.Data)
	packed := *w
	packed.Data = d.rounded(w.Data)
	d.Trainer.MatMul(dst, a, &packed, e)
}

func (d rounding) MatMulTransA(dw device.Buffer, a, dy device.View) {
	a.Data, dy.Data = d.rounded(a.Data), d.rounded(dy.Data)
	d.Trainer.MatMulTransA(dw, a, dy)
}
