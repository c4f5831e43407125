//go:build !purego

package simd

import "github.com/polyphon/polyphon/internal/isa"

// Of returns the kernels of an instruction set, which this machine has to run.
func Of(s isa.Set) *Kernels {
	switch s {
	case isa.AVX2:
		return avx2()
	case isa.AVX512:
		return avx512()
	}
	return generic()
}

func avx2() *Kernels {
	return &Kernels{
		Name: "avx2", Width: 8, TileRows: 6,
		MatMulTile: matMulTileAVX2, OuterTile: outerTileAVX2,
		Filter23: filter23().with(FilterKernels{
			Input: filter23InputAVX2, Weight: filter23WeightAVX2, OutputGrad: filter23OutputGradAVX2,
			Output: filter23OutputAVX2, WeightGrad: filter23WeightGradAVX2,
		}),
		Filter33: filter33().with(FilterKernels{
			Input: filter33InputAVX2, Weight: filter33WeightAVX2, OutputGrad: filter33OutputGradAVX2,
			Output: filter33OutputAVX2, WeightGrad: filter33WeightGradAVX2,
		}),
		Filter45: filter45().with(FilterKernels{
			Input: filter45InputAVX2, Weight: filter45WeightAVX2, OutputGrad: filter45OutputGradAVX2,
			Output: filter45OutputAVX2, WeightGrad: filter45WeightGradAVX2,
		}),
		Affine: affineAVX2, Affine2: affine2AVX2,
		Hadamard: hadamardAVX2, HadamardAdd: hadamardAddAVX2,
		HadamardSum: hadamardSumAVX2, HadamardSumGrad: hadamardSumGradAVX2, ReLUGrad: reluGradAVX2,
		Sums: sumsAVX2, Dots: dotsAVX2, Dots3: dots3AVX2,
		Deviations: deviationsAVX2, Deviations2: deviations2AVX2,
		SGD: sgdAVX2, AdamW: adamWAVX2, Peak: peakAVX2,
	}
}

func avx512() *Kernels {
	return &Kernels{
		Name: "avx512", Width: 16, TileRows: 12,
		MatMulTile: matMulTileAVX512, OuterTile: outerTileAVX512,
		Filter23: filter23().with(FilterKernels{
			Input: filter23InputAVX512, Weight: filter23WeightAVX512, OutputGrad: filter23OutputGradAVX512,
			Output: filter23OutputAVX512, WeightGrad: filter23WeightGradAVX512,
		}),
		Filter33: filter33().with(FilterKernels{
			Input: filter33InputAVX512, Weight: filter33WeightAVX512, OutputGrad: filter33OutputGradAVX512,
			Output: filter33OutputAVX512, WeightGrad: filter33WeightGradAVX512,
		}),
		Filter45: filter45().with(FilterKernels{
			Input: filter45InputAVX512, Weight: filter45WeightAVX512, OutputGrad: filter45OutputGradAVX512,
			Output: filter45OutputAVX512, WeightGrad: filter45WeightGradAVX512,
		}),
		Affine: affineAVX512, Affine2: affine2AVX512,
		Hadamard: hadamardAVX512, HadamardAdd: hadamardAddAVX512,
		HadamardSum: hadamardSumAVX512, HadamardSumGrad: hadamardSumGradAVX512, ReLUGrad: reluGradAVX512,
		Sums: sumsAVX512, Dots: dotsAVX512, Dots3: dots3AVX512,
		Deviations: deviationsAVX512, Deviations2: deviations2AVX512,
		SGD: sgdAVX512, AdamW: adamWAVX512, Peak: peakAVX512,
	}
}
