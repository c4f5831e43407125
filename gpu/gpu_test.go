//go:build cuda || hostcuda

package gpu

var precisions = []Precision{Float32, TF32, BFloat16}

// productError is how many times float32's errors a precision's products may have.
var productError = map[Precision]float64{Float32: 1, TF32: 300, BFloat16: 2500}
