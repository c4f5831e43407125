// The polynomial residual block's product, forward and backward, each in one pass over memory.
#include "kernel.h"

struct Hadamard {
	View dst, x, y;
	Shape shape;
	i64 add;
};

ELEMENTWISE(hadamard, Hadamard) {
	float z = e.of(a.x) * e.of(a.y);
	e.of(a.dst) = a.add ? e.of(a.dst) + z : z;
}

struct HadamardSum {
	View dst, f, s;
	const float *p, *q;
	Shape shape;
};

ELEMENTWISE(hadamard_sum, HadamardSum) {
	float f = e.of(a.f), s = e.of(a.s);
	e.of(a.dst) = f + s + a.p[e.c] * (f * s) + a.q[e.c];
}

struct HadamardSumGrad {
	View df, ds, dy, f, s;
	const float *a, *b, *c;
	Shape shape;
};

ELEMENTWISE(hadamard_sum_grad, HadamardSumGrad) {
	float dy = e.of(a.dy), f = e.of(a.f), s = e.of(a.s);
	float dz = a.a[e.c] * dy + a.b[e.c] * (f * s) + a.c[e.c];
	e.of(a.df) = dy + dz * s;
	e.of(a.ds) = dy + dz * f;
}
