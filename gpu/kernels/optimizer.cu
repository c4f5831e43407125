// The optimisers' steps, gradient clipping and the moving average of weights: all on plain vectors.
#include "kernel.h"

struct Step {
	float *w;
	const float *g;
	float *m, *v; // moments
	i64 n;
	double rate, decay;
	double beta1, beta2, bias1, bias2, eps; // SGD: beta1 is the momentum
};

KERNEL(sgd, Step) {
	unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i >= a.n)
		return;
	float momentum = (float)a.beta1, w = a.w[i];
	float g = a.g[i] + (float)a.decay * w, m = momentum * a.m[i] + g;
	a.m[i] = m;
	a.w[i] = w - (float)a.rate * (g + momentum * m);
}

KERNEL(adamw, Step) {
	unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i >= a.n)
		return;
	float g = a.g[i];
	float m = (float)a.beta1 * a.m[i] + (float)(1 - a.beta1) * g;
	float v = (float)a.beta2 * a.v[i] + (float)(1 - a.beta2) * g * g;
	a.m[i] = m;
	a.v[i] = v;
	float step = (float)a.rate * (m / (float)a.bias1) / (sqrtf(v / (float)a.bias2) + (float)a.eps);
	a.w[i] = a.w[i] * (float)(1 - a.rate * a.decay) - step;
}

struct EMAUpdate {
	float *dst;
	const float *src;
	i64 n;
	double t;
};

KERNEL(ema_update, EMAUpdate) {
	unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < a.n)
		a.dst[i] += (float)a.t * (a.src[i] - a.dst[i]);
}

struct ClipNorm {
	float *g, *norm;
	i64 n;
	double limit;
	i64 runs;
	double *partial; // one sum of squares a run
};

// square_runs sums one run of squares a block, as doubles: squares of large and of small gradients are no floats.
KERNEL(square_runs, ClipNorm) {
	SHARED(double, partial, [32]);
	double sum = 0;
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < a.n; i += gridDim.x * blockDim.x)
		sum += (double)a.g[i] * a.g[i];
	double total = blockSum(sum, partial);
	if (threadIdx.x == 0)
		a.partial[blockIdx.x] = total;
}

// clip_norm scales; every block adds up the runs itself. A norm that is not finite scales nothing.
KERNEL(clip_norm, ClipNorm) {
	SHARED(double, partial, [32]);
	double squares = 0;
	for (unsigned i = threadIdx.x; i < a.runs; i += blockDim.x)
		squares += a.partial[i];
	double length = sqrt(blockSum(squares, partial));
	const double largest = 3.40282346638528859812e38; // float
	unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i == 0)
		a.norm[0] = (float)(length > largest && length < INFINITY ? largest : length);
	if (length > a.limit && length < INFINITY && i < a.n)
		a.g[i] = (float)(a.g[i] * (a.limit / length));
}
