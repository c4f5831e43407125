// Kernels that read and write each element once.
#include "kernel.h"

struct Fill {
	View dst;
	Shape shape;
	double value;
};

ELEMENTWISE(fill, Fill) { e.of(a.dst) = (float)a.value; }

struct CopyFloats {
	float *dst;
	const float *src;
	i64 n;
};

KERNEL(copy_floats, CopyFloats) {
	unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < a.n)
		a.dst[i] = a.src[i];
}

struct Affine {
	View dst, x, y; // y is optional
	const float *a, *b, *c;
	Shape shape;
	i64 relu;
};

ELEMENTWISE(affine, Affine) {
	float v = orElse(a.a, e.c, 1) * e.of(a.x) + orElse(a.c, e.c, 0);
	if (a.y.data)
		v += orElse(a.b, e.c, 1) * e.of(a.y);
	e.of(a.dst) = a.relu ? relu(v) : v;
}

struct ActivationGrad {
	View dx, dy, y; // y: the activation's result
	Shape shape;
};

ELEMENTWISE(relu_grad, ActivationGrad) { e.of(a.dx) = e.of(a.y) > 0 ? e.of(a.dy) : 0; }

struct Tanh {
	View dst, x;
	Shape shape;
};

ELEMENTWISE(tanh_forward, Tanh) { e.of(a.dst) = tanhf(e.of(a.x)); }

ELEMENTWISE(tanh_grad, ActivationGrad) {
	float y = e.of(a.y);
	e.of(a.dx) = e.of(a.dy) * (1 - y * y);
}

struct Transpose {
	View dst, src; // which do not overlap
	Shape shape;   // src's
	i64 reverse;
};

// transpose moves one tile of 32 columns and rows through shared memory, so that both sides are accessed along rows.
// The block is (32, 8) threads; the blocks enumerate column tiles, then row tiles, then groups.
KERNEL(transpose, Transpose) {
	SHARED(float, tile, [32][33]);
	unsigned across = (a.shape.cols + 31) / 32, down = (a.shape.rows + 31) / 32;
	unsigned c0 = blockIdx.x % across * 32, r0 = blockIdx.x / across % down * 32, g = blockIdx.x / across / down;
	for (unsigned i = threadIdx.y; i < 32; i += 8)
		if (c0 + threadIdx.x < a.shape.cols && r0 + i < a.shape.rows)
			tile[i][threadIdx.x] = a.src.at(g, r0 + i, c0 + threadIdx.x);
	__syncthreads();
	unsigned to = a.reverse ? a.shape.groups - 1 - g : g;
	for (unsigned i = threadIdx.y; i < 32; i += 8)
		if (r0 + threadIdx.x < a.shape.rows && c0 + i < a.shape.cols)
			a.dst.at(to, c0 + i, r0 + threadIdx.x) = tile[threadIdx.x][i];
}
