// Matrix products: MatMul with its epilogue, and AddOuter, the gradient of its weight. See product.h for the tiles.
#include "product.h"
#include "tensorcore.h"

struct Product {
	View dst, a, skip; // skip is optional
	const float *w;    // (depth, cols)
	const float *shift, *scale, *offset;
	Shape shape; // dst's
	i64 depth;
	i64 accumulate, relu;
};

struct Epilogue {
	const Product &a;
	unsigned row, column; // of the tile
	DEVICE void operator()(int r, int c, float y) const {
		Element e = {0, row + r, column + c};
		if (e.r >= a.shape.groups * a.shape.rows || e.c >= a.shape.cols)
			return;
		e.g = e.r / (unsigned)a.shape.rows;
		e.r -= e.g * (unsigned)a.shape.rows;
		float &dst = e.of(a.dst);
		if (a.accumulate)
			y += dst;
		y += orElse(a.shift, e.c, 0);
		if (a.skip.data) {
			float s = e.of(a.skip), sum = y + s;
			y = a.scale ? sum + a.scale[e.c] * (y * s) + a.offset[e.c] : sum;
		}
		dst = a.relu ? relu(y) : y;
	}
};

template <int Height, int Width, template <int, int> class Sums> DEVICE void matMul(const Product &a) {
	enum { threads = Height * Width / 32 };
	unsigned row = blockIdx.x * Height, column = blockIdx.y * Width;
	Rows x(a.a, a.shape, a.depth), w(View{const_cast<float *>(a.w), 0, a.shape.cols}, Shape{1, a.depth, a.shape.cols}, a.shape.cols);
	Across<Height, threads> left(x, row);
	Down<Width, threads> right(w, column, a.depth);
	Sums<Height, Width> sums;
	multiply<Height, Width>(left, right, sums, 0, a.depth);
	sums.each(Epilogue{a, row, column});
}

struct Outer {
	View a, dy;
	float *dw, *partial; // partial: (runs, depth, cols) where there are several runs
	Shape shape;         // dy's
	i64 depth, runRows, runs;
};

struct AddTo {
	float *dst;
	unsigned row, column;
	unsigned rows, cols;
	bool add;
	DEVICE void operator()(int r, int c, float y) const {
		if (row + r >= rows || column + c >= cols)
			return;
		float &to = dst[(i64)(row + r) * cols + column + c];
		to = add ? to + y : y;
	}
};

template <int Height, int Width, template <int, int> class Sums> DEVICE void outer(const Outer &a) {
	enum { threads = Height * Width / 32 };
	unsigned row = blockIdx.x * Height, column = blockIdx.y * Width, run = blockIdx.z;
	unsigned begin = run * (unsigned)a.runRows, end = min(a.shape.groups * a.shape.rows, begin + a.runRows);
	Rows x(a.a, a.shape, a.depth), dy(a.dy, a.shape, a.shape.cols);
	Down<Height, threads> left(x, row, end);
	Down<Width, threads> right(dy, column, end);
	Sums<Height, Width> sums;
	multiply<Height, Width>(left, right, sums, begin, end);
	float *dst = a.runs > 1 ? a.partial + run * a.depth * a.shape.cols : a.dw;
	sums.each(AddTo{dst, row, column, (unsigned)a.depth, (unsigned)a.shape.cols, a.runs == 1});
}

// add_runs adds the runs' sums in their order.
KERNEL(add_runs, Outer) {
	unsigned i = blockIdx.x * blockDim.x + threadIdx.x, n = a.depth * a.shape.cols;
	if (i >= n)
		return;
	float sum = 0;
	for (unsigned run = 0; run < a.runs; run++)
		sum += a.partial[(i64)run * n + i];
	a.dw[i] += sum;
}

#define PRODUCTS(name, Sums, height, width)                                                                                     \
	KERNEL(matmul_##name##_##height##x##width, Product) { matMul<height, width, Sums>(a); }                                     \
	KERNEL(outer_##name##_##height##x##width, Outer) { outer<height, width, Sums>(a); }
#define PRODUCTS_OF_ALL_SIZES(name, Sums) PRODUCTS(name, Sums, 64, 64) PRODUCTS(name, Sums, 64, 32) PRODUCTS(name, Sums, 32, 32)

PRODUCTS_OF_ALL_SIZES(float32, Float32)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
PRODUCTS_OF_ALL_SIZES(tf32, TF32)
PRODUCTS_OF_ALL_SIZES(bf16, BFloat16)
#endif
