// Matrix products: MatMul with its epilogue, and MatMulTransA, the gradient of its weight. See product.h for the tiles.
#include "product.h"
#include "tensorcore.h"

struct Product {
	View dst, a, skip; // skip is optional
	const float *w;    // (depth, cols)
	const float *shift, *scale, *offset;
	Shape shape; // dst's
	i64 depth;
	i64 accumulate, relu;
	i64 runDepth, runs;
	float *partial; // (runs, rows of all groups, cols) where the depth is cut into several runs
};

// Epilogue writes a tile of a product: see device.Epilogue. The values of a column and the address of a row are
// determined once.
struct Epilogue {
	const Product &a;
	unsigned firstRow, firstColumn; // of the tile

	struct Column {
		unsigned i;
		bool inside;
		float shift, scale, offset;
	};
	DEVICE Column column(int c) const {
		unsigned i = firstColumn + c;
		if (i >= a.shape.cols)
			return {i, false, 0, 0, 0};
		return {i, true, orElse(a.shift, i, 0), orElse(a.scale, i, 0), orElse(a.offset, i, 0)};
	}

	struct Row {
		float *dst;
		const float *skip;
	};
	DEVICE Row row(int r) const {
		unsigned i = firstRow + r, rows = a.shape.rows, g = i / rows;
		if (i >= a.shape.groups * a.shape.rows)
			return {nullptr, nullptr};
		return {&a.dst.at(g, i - g * rows, 0), a.skip.data ? &a.skip.at(g, i - g * rows, 0) : nullptr};
	}

	DEVICE void put(const Row &r, const Column &c, float y) const {
		if (!r.dst || !c.inside)
			return;
		y += (a.accumulate ? r.dst[c.i] : 0) + c.shift;
		if (r.skip) {
			float s = r.skip[c.i];
			y = y + s + (a.scale ? c.scale * (y * s) + c.offset : 0);
		}
		r.dst[c.i] = a.relu ? relu(y) : y;
	}
};

// SumsTo writes or adds a tile's sums: of a weight's gradient, or of a run.
struct SumsTo {
	float *dst;
	unsigned firstRow, firstColumn; // of the tile
	unsigned rows, cols;
	bool add;

	typedef unsigned Column;
	typedef float *Row;
	DEVICE Column column(int c) const { return firstColumn + c; }
	DEVICE Row row(int r) const { return firstRow + r < rows ? dst + (i64)(firstRow + r) * cols : nullptr; }
	DEVICE void put(Row r, Column c, float y) const {
		if (r && c < cols)
			r[c] = add ? r[c] + y : y;
	}
};

template <int Height, int Width, template <int, int> class Sums> DEVICE void matMul(const Product &a) {
	enum { threads = Height * Width / 32 };
	unsigned row = blockIdx.x * Height, column = blockIdx.y * Width;
	Rows x(a.a, a.shape, a.depth);
	Rows w(View{const_cast<float *>(a.w), 0, a.shape.cols}, Shape{1, a.depth, a.shape.cols}, a.shape.cols);
	Across<Height, threads> left(x, row);
	Down<Width, threads> right(w, column, a.depth);
	Sums<Height, Width> sums;
	unsigned run = blockIdx.z, begin = run * (unsigned)a.runDepth;
	multiply<Height, Width>(left, right, sums, begin, min(a.depth, begin + a.runDepth));
	float *partial = a.partial + (i64)run * x.count * a.shape.cols;
	if (a.runs == 1)
		sums.write(Epilogue{a, row, column});
	else
		sums.write(SumsTo{partial, row, column, x.count, (unsigned)a.shape.cols, false});
}

// matmul_runs adds the runs' sums in their order and applies the epilogue.
ELEMENTWISE(matmul_runs, Product) {
	unsigned row = e.g * (unsigned)a.shape.rows + e.r;
	i64 n = a.shape.groups * a.shape.rows * a.shape.cols, i = (i64)row * a.shape.cols + e.c;
	float sum = 0;
	for (unsigned run = 0; run < a.runs; run++)
		sum += a.partial[run * n + i];
	Epilogue all{a, 0, 0};
	all.put(all.row(row), all.column(e.c), sum);
}

template <int Height, int Width, template <int, int> class Sums> DEVICE void transA(const TransA &a) {
	enum { threads = Height * Width / 32 };
	unsigned row = blockIdx.x * Height, column = blockIdx.y * Width, run = blockIdx.z;
	unsigned begin = run * (unsigned)a.runRows, end = min(a.shape.groups * a.shape.rows, begin + a.runRows);
	Rows x(a.a, a.shape, a.depth), dy(a.dy, a.shape, a.shape.cols);
	Down<Height, threads> left(x, row, end);
	Down<Width, threads> right(dy, column, end);
	Sums<Height, Width> sums;
	multiply<Height, Width>(left, right, sums, begin, end);
	float *dst = a.runs > 1 ? a.partial + run * a.depth * a.shape.cols : a.dw;
	sums.write(SumsTo{dst, row, column, (unsigned)a.depth, (unsigned)a.shape.cols, a.runs == 1});
}

// matmul_trans_a_runs adds the runs' sums in their order.
KERNEL(matmul_trans_a_runs, TransA) {
	unsigned i = blockIdx.x * blockDim.x + threadIdx.x, n = a.depth * a.shape.cols;
	if (i >= n)
		return;
	float sum = 0;
	for (unsigned run = 0; run < a.runs; run++)
		sum += a.partial[(i64)run * n + i];
	a.dw[i] += sum;
}

#define PRODUCTS(name, Sums, height, width)                                                                        \
	KERNEL(matmul_##name##_##height##x##width, Product) { matMul<height, width, Sums>(a); }                        \
	KERNEL(matmul_trans_a_##name##_##height##x##width, TransA) { transA<height, width, Sums>(a); }
#define PRODUCTS_OF_ALL_SIZES(name, Sums)                                                                          \
	PRODUCTS(name, Sums, 64, 64) PRODUCTS(name, Sums, 64, 32) PRODUCTS(name, Sums, 32, 32)

PRODUCTS_OF_ALL_SIZES(float32, Float32)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
PRODUCTS_OF_ALL_SIZES(tf32, TF32)
PRODUCTS_OF_ALL_SIZES(bf16, BFloat16)
#endif
