// Batch norm: statistics and gradients' sums over all rows of each column, and what follows from them.
//
// Sums go in two steps, so that the order of additions does not depend on the order of blocks: a block sums 32 columns of a
// run of rows into partial, then one thread a column sums the runs in double precision.
#include "kernel.h"

enum { runColumns = 32, runThreads = 8 }; // a block is (32, 8) threads

struct ColumnSums {
	View x, y, dy; // y is optional
	Shape shape;
	double *partial; // (runs, 2, cols)
	i64 runRows;     // rows a run
	i64 runs;
	float *first, *second; // the results: mean and variance, or sum and dot
};

DEVICE Element rowOf(const Shape &s, unsigned row, unsigned c) {
	unsigned g = row / (unsigned)s.rows;
	return Element{g, row - g * (unsigned)s.rows, c};
}

DEVICE float productOf(const View &x, const View &y, const Element &e) {
	return y.data ? e.of(x) * e.of(y) : e.of(x);
}

// moment_runs writes each run's sum and its squared deviations from the run's own mean: no cancellation, whatever the mean.
KERNEL(moment_runs, ColumnSums) {
	SHARED(double, sums, [runThreads][runColumns]);
	unsigned c = blockIdx.x * runColumns + threadIdx.x, count = a.shape.groups * a.shape.rows;
	unsigned begin = blockIdx.y * (unsigned)a.runRows, end = min((i64)count, begin + a.runRows);
	float sum = 0;
	if (c < a.shape.cols)
		for (unsigned row = begin + threadIdx.y; row < end; row += runThreads)
			sum += productOf(a.x, a.y, rowOf(a.shape, row, c));
	sums[threadIdx.y][threadIdx.x] = sum;
	__syncthreads();
	double total = 0;
	for (int i = 0; i < runThreads; i++)
		total += sums[i][threadIdx.x];
	float mean = (float)(total / (end - begin)), squares = 0, rest = 0;
	if (c < a.shape.cols)
		for (unsigned row = begin + threadIdx.y; row < end; row += runThreads) {
			float d = productOf(a.x, a.y, rowOf(a.shape, row, c)) - mean;
			squares += d * d;
			rest += d; // what rounding left of the mean
		}
	__syncthreads();
	sums[threadIdx.y][threadIdx.x] = rest;
	__syncthreads();
	double correction = 0;
	for (int i = 0; i < runThreads; i++)
		correction += sums[i][threadIdx.x];
	__syncthreads();
	sums[threadIdx.y][threadIdx.x] = squares;
	__syncthreads();
	if (threadIdx.y != 0 || c >= a.shape.cols)
		return;
	double deviation = -correction * correction / (end - begin);
	for (int i = 0; i < runThreads; i++)
		deviation += sums[i][threadIdx.x];
	double *partial = a.partial + 2 * blockIdx.y * a.shape.cols;
	partial[c] = (double)mean * (end - begin) + correction;
	partial[a.shape.cols + c] = deviation;
}

// moments merges the runs (Chan, Golub and LeVeque, 1983): one thread a column.
KERNEL(moments, ColumnSums) {
	unsigned c = blockIdx.x * blockDim.x + threadIdx.x, cols = a.shape.cols;
	if (c >= cols)
		return;
	unsigned count = a.shape.groups * a.shape.rows;
	double sum = 0, squares = 0;
	for (unsigned i = 0; i < a.runs; i++)
		sum += a.partial[2 * i * cols + c];
	double mean = count ? sum / count : 0;
	for (unsigned i = 0; i < a.runs; i++) {
		double n = min((i64)count - i * a.runRows, a.runRows), apart = a.partial[2 * i * cols + c] / n - mean;
		squares += a.partial[(2 * i + 1) * cols + c] + n * apart * apart;
	}
	a.first[c] = (float)mean;
	a.second[c] = count ? (float)(squares / count) : 0;
}

// grad_runs writes each run's Σ dy and, where x is given, Σ dy∘x or Σ dy∘x∘y.
KERNEL(grad_runs, ColumnSums) {
	SHARED(double, sums, [runThreads][2][runColumns]);
	unsigned c = blockIdx.x * runColumns + threadIdx.x, count = a.shape.groups * a.shape.rows;
	unsigned begin = blockIdx.y * (unsigned)a.runRows, end = min((i64)count, begin + a.runRows);
	float sum = 0, dot = 0;
	if (c < a.shape.cols)
		for (unsigned row = begin + threadIdx.y; row < end; row += runThreads) {
			Element e = rowOf(a.shape, row, c);
			float dy = e.of(a.dy);
			sum += dy;
			if (a.x.data)
				dot += dy * productOf(a.x, a.y, e);
		}
	sums[threadIdx.y][0][threadIdx.x] = sum;
	sums[threadIdx.y][1][threadIdx.x] = dot;
	__syncthreads();
	if (threadIdx.y >= 2 || c >= a.shape.cols)
		return;
	double total = 0;
	for (int i = 0; i < runThreads; i++)
		total += sums[i][threadIdx.y][threadIdx.x];
	a.partial[(2 * blockIdx.y + threadIdx.y) * a.shape.cols + c] = total;
}

// grad_sums adds the runs: one thread a column.
KERNEL(grad_sums, ColumnSums) {
	unsigned c = blockIdx.x * blockDim.x + threadIdx.x, cols = a.shape.cols;
	if (c >= cols)
		return;
	double sum = 0, dot = 0;
	for (unsigned i = 0; i < a.runs; i++) {
		sum += a.partial[2 * i * cols + c];
		dot += a.partial[(2 * i + 1) * cols + c];
	}
	a.first[c] = (float)sum;
	if (a.second)
		a.second[c] = (float)dot;
}

// Norm is device.Norm with what both directions need; see device.Device.
struct Norm {
	const float *gamma, *beta, *alpha, *mean, *var;
	float *runMean, *runVar, *scale, *shift, *dgamma, *dbeta, *dalpha;
	const float *sum, *dot; // of NormBackward, and its results
	float *a, *b, *c;
	double eps, momentum;
	i64 count, cols;
};

KERNEL(norm_forward, Norm) {
	unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
	if (c >= a.cols)
		return;
	float alpha = orElse(a.alpha, 0, 1);
	double var = a.var[c];
	float scale = (float)(a.gamma[c] / sqrt(var + a.eps));
	a.scale[c] = alpha * scale;
	a.shift[c] = alpha * (a.beta[c] - a.mean[c] * scale);
	if (a.runMean)
		a.runMean[c] += (float)a.momentum * (a.mean[c] - a.runMean[c]);
	if (a.runVar) {
		double unbiased = a.count > 1 ? var * a.count / (a.count - 1) : var;
		a.runVar[c] += (float)(a.momentum * (unbiased - a.runVar[c]));
	}
}

// norm_backward is one block, since dalpha is a sum over all columns.
KERNEL(norm_backward, Norm) {
	SHARED(double, partial, [32]);
	double alpha = orElse(a.alpha, 0, 1), dalpha = 0;
	for (unsigned i = threadIdx.x; i < a.cols; i += blockDim.x) {
		double mean = a.mean[i], gamma = a.gamma[i], inv = 1 / sqrt(a.var[i] + a.eps), dySum = a.sum[i];
		double dyDotHat = inv * (a.dot[i] - mean * dySum);
		double scale = alpha * gamma * inv, slope = -scale * inv * dyDotHat / a.count;
		dalpha += gamma * dyDotHat + a.beta[i] * dySum;
		a.a[i] = (float)scale;
		a.b[i] = (float)slope;
		a.c[i] = (float)(-scale * dySum / a.count - slope * mean);
		if (a.dgamma)
			a.dgamma[i] += (float)(alpha * dyDotHat);
		if (a.dbeta)
			a.dbeta[i] += (float)(alpha * dySum);
	}
	dalpha = blockSum(dalpha, partial);
	if (a.dalpha && threadIdx.x == 0)
		a.dalpha[0] += (float)dalpha;
}
