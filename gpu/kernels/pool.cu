// The mean over time, and its gradient.
#include "kernel.h"

struct AvgPool {
	View dst, x;
	Shape shape; // x's
};

// avg_pool sums 32 columns of a group in a block of (32, 8) threads. The blocks enumerate column tiles, then groups.
KERNEL(avg_pool, AvgPool) {
	SHARED(float, sums, [8][32]);
	unsigned across = (a.shape.cols + 31) / 32, g = blockIdx.x / across, rows = a.shape.rows;
	unsigned c = blockIdx.x % across * 32 + threadIdx.x;
	float sum = 0;
	if (c < a.shape.cols)
		for (unsigned r = threadIdx.y; r < rows; r += 8)
			sum += a.x.at(g, r, c);
	sums[threadIdx.y][threadIdx.x] = sum;
	__syncthreads();
	if (threadIdx.y != 0 || c >= a.shape.cols)
		return;
	for (int i = 1; i < 8; i++)
		sum += sums[i][threadIdx.x];
	a.dst.at(g, 0, c) = rows ? sum / rows : 0;
}

struct AvgPoolGrad {
	View dst, x;
	Shape shape; // dst's
	double scale;
};

ELEMENTWISE(avg_pool_grad, AvgPoolGrad) { e.of(a.dst) = (float)a.scale * a.x.at(e.g, 0, e.c); }
