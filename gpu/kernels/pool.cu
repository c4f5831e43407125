// The mean over time, and its gradient.
#include "kernel.h"

struct MeanRows {
	View dst, x;
	Shape shape; // x's
};

// mean_rows sums 32 columns of a group in a block of (32, 8) threads. The blocks go through column tiles, then groups.
KERNEL(mean_rows, MeanRows) {
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

struct SpreadRows {
	View dst, x;
	Shape shape; // dst's
	double scale;
};

KERNEL(spread_rows, SpreadRows) {
	Element e;
	if (elementOf(a.shape, e))
		e.of(a.dst) = (float)a.scale * a.x.at(e.g, 0, e.c);
}

struct MaxRows {
	View dst, x; // which do not overlap
	View dy;     // of the gradient; dst is dx then
	Shape shape;
	i64 reach;
};

// largestRow returns which of the rows around e has the largest value in its column: the first of equals, but rather one that is
// not a number.
DEVICE unsigned largestRow(const MaxRows &a, Element e) {
	i64 r = e.r, last = min(r + a.reach, a.shape.rows - 1), best = r > a.reach ? r - a.reach : 0;
	float largest = a.x.at(e.g, best, e.c);
	for (i64 t = best + 1; t <= last; t++) {
		float v = a.x.at(e.g, t, e.c);
		if (v > largest || v != v) {
			best = t;
			largest = v;
		}
	}
	return best;
}

KERNEL(max_rows, MaxRows) {
	Element e;
	if (elementOf(a.shape, e))
		e.of(a.dst) = a.x.at(e.g, largestRow(a, e), e.c);
}

KERNEL(max_rows_grad, MaxRows) {
	Element e;
	if (!elementOf(a.shape, e))
		return;
	i64 r = e.r, last = min(r + a.reach, a.shape.rows - 1);
	float sum = 0;
	for (i64 t = r > a.reach ? r - a.reach : 0; t <= last; t++)
		if (largestRow(a, Element{e.g, (unsigned)t, e.c}) == e.r)
			sum += a.dy.at(e.g, t, e.c);
	e.of(a.dst) = sum;
}
