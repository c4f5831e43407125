// Depthwise convolutions and the gradient of their weights.
#include "product.h"

struct Depthwise {
	View dst, x; // x: windows of taps rows, one after the other
	const float *w, *shift; // (taps, cols); shift is optional
	Shape shape; // dst's
	i64 taps, add;
};

ELEMENTWISE(depthwise, Depthwise) {
	unsigned cols = a.shape.cols;
	float sum = a.add ? e.of(a.dst) : orElse(a.shift, e.c, 0);
	const float *x = &a.x.at(e.g, e.r, e.c), *w = a.w + e.c;
	for (unsigned k = 0; k < a.taps; k++)
		sum += w[(i64)k * cols] * x[(i64)k * cols];
	e.of(a.dst) = sum;
}

enum { gradColumns = 32, gradThreads = 8 };

// depthwise_grad sums 32 columns of a tap, of which there are a.depth, over a run of rows, in a block of (32, 8) threads,
// to partial. The grid enumerates column tiles, then taps, then runs, whose sums matmul_trans_a_runs adds.
KERNEL(depthwise_grad, TransA) {
	SHARED(float, sums, [gradThreads][gradColumns]);
	unsigned cols = a.shape.cols, rows = a.shape.rows, across = (cols + gradColumns - 1) / gradColumns;
	unsigned c = blockIdx.x % across * gradColumns + threadIdx.x, k = blockIdx.x / across, run = blockIdx.y;
	unsigned begin = run * (unsigned)a.runRows, end = min(a.shape.groups * a.shape.rows, begin + a.runRows);
	float sum = 0;
	for (unsigned i = begin + threadIdx.y; c < cols && i < end; i += gradThreads) {
		unsigned g = i / rows, r = i - g * rows;
		sum += (&a.a.at(g, r, c))[(i64)k * cols] * a.dy.at(g, r, c);
	}
	sums[threadIdx.y][threadIdx.x] = sum;
	__syncthreads();
	if (threadIdx.y != 0 || c >= cols)
		return;
	for (int i = 1; i < gradThreads; i++)
		sum += sums[i][threadIdx.x];
	a.partial[((i64)run * a.depth + k) * cols + c] = sum;
}
