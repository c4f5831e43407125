package main

import "strings"

// spec is what all instruction sets' versions of a kernel have in common: the field of package simd's type Kernels that
// holds it, such as Winograd23.Input, its type, and what its comment says after its name.
type spec struct {
	field, signature string
	doc              []string
}

// function is the name of an instruction set's version.
func (s spec) function(set string) string { return set + strings.ReplaceAll(s.field, ".", "") }

var (
	matMulTileSpec = spec{
		"MatMulTile",
		"func(c []float32, cStride int, a []float32, starts *[12]int, b []float32, depth, rows, vectors int)",
		[]string{
			"computes c = a·b for a tile of rows × vectors·width. Row r of a is the depth values from",
			"starts[r] on; b is a packed panel.",
		},
	}
	outerTileSpec = spec{
		"OuterTile", "func(dw []float32, dwStride int, " +
			"a []float32, aRowStride, aGroupStride int, dy []float32, dyRowStride, dyGroupStride int, " +
			"groups, rows, tileRows, cols int)",
		[]string{
			"adds Σ aᵀ·dy over the rows of all groups to a tile of dw: tileRows × cols, with tileRows",
			"columns of a and cols columns of dy, at most two vectors.",
		},
	}
	peakSpec      = spec{"Peak", "func(steps int)", []string{"does steps × 12 independent vector multiply-adds."}}
	depthwiseSpec = spec{
		"Depthwise",
		"func(dst, x, w, init []float32, rows, cols, taps, dstStride, xStride, xTap, wStride, initStride int)",
		[]string{"computes dst = init + Σ w∘x over the taps."},
	}
	byteTileSpec = spec{
		"ByteTile", matMulTileSpec.signature, []string{"computes the integers c = a·b of bytes; see Kernels."},
	}
	ternaryTileSpec = spec{
		"TernaryTile", matMulTileSpec.signature, []string{"is ByteTile for bytes of b that are -1, 0 or 1."},
	}
	flipSpec     = spec{"Flip", "func(dst, x []float32)", []string{"adds 128 to bytes."}}
	quantiseSpec = spec{
		"Quantise", "func(dst, x []float32, rows, cols, dstStride, xStride int, inverse float32)",
		[]string{"computes the bytes dst = x·inverse, rounded."},
	}

	widenSpec = spec{
		"Words.Widen", "func(dst, x []float32)", []string{"makes words of 16 bits of bytes."},
	}
	wordTileSpec = spec{
		"Words.Tile", matMulTileSpec.signature, []string{"computes c = a·b of words of 16 bits; see MatMulTile."},
	}

	windowSpec = spec{
		"Window", "func(dst, samples, window []float32, hop int)", []string{"weights a frame a lane."},
	}
	first2Spec      = spec{"First2", firstSignature, []string{"is the first stage of radix 2."}}
	first4Spec      = spec{"First4", firstSignature, []string{"is the first stage of radix 4."}}
	butterfliesSpec = spec{
		"Butterflies", "func(work, twiddles []float32, length int)", []string{"is a later stage, of radix 4."},
	}
	powerSpec = spec{
		"Power", "func(power, z, half []float32)", []string{"separates the spectra of even and odd samples."},
	}
	melsSpec = spec{
		"Mels", "func(rows, power, weights []float32, spans []int32, stride int)", []string{"gathers a row a lane."},
	}
	dotSpec = spec{"Dot", "func(a, b []float32) float32", []string{"returns the inner product of a and b."}}
	logSpec = spec{"Log", "func(values []float32, floor float64)", []string{"takes logarithms in place."}}
)

const firstSignature = "func(dst, src []float32, order []uint16)"

// intoPointsSpec and fromPointsSpec are those of Winograd's transforms.
func (w *winograd) intoPointsSpec(name string) spec {
	return spec{
		w.name + "." + name, "func(v, x []float32, tiles, cols, xStride, vPoint int)",
		[]string{"is a Winograd's kernel."},
	}
}

func (w *winograd) fromPointsSpec(name string) spec {
	return spec{
		w.name + "." + name, "func(y, x []float32, tiles, cols, yStride, xStride, xPoint int)",
		[]string{"is a Winograd's kernel."},
	}
}
