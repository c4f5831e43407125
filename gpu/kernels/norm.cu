// Batch norm: statistics and gradients' sums over all rows of each column, and the norms computed from them.
//
// A block of (32, 8) threads sums 32 columns of a run of rows and leaves the sums in partial. The block that ends last
// adds the runs of its columns, in double precision and always in the same order, so that the result does not depend on
// which one it is.
#include "kernel.h"

enum { runColumns = 32, runThreads = 8 };

struct ColumnSums {
	View x, y, dy; // y is optional
	Shape shape;
	i64 runRows;           // rows a run
	i64 runs;              // at least one
	float *first, *second; // the results: mean and variance, or sum and dot
	unsigned *finished;    // number of finished runs of each 32 columns; 0 before and after
	double *partial;       // (runs, 2, cols)
};

DEVICE Element rowOf(const Shape &s, unsigned row, unsigned c) {
	unsigned g = row / (unsigned)s.rows;
	return Element{g, row - g * (unsigned)s.rows, c};
}

DEVICE float productOf(const View &x, const View &y, const Element &e) {
	return y.data ? e.of(x) * e.of(y) : e.of(x);
}

// columnSum returns the sum of v over the threads of a column, in all of them.
DEVICE double columnSum(double v, double (&sums)[runThreads][runColumns]) {
	__syncthreads(); // whatever sums held has been read
	sums[threadIdx.y][threadIdx.x] = v;
	__syncthreads();
	double sum = 0;
	for (int i = 0; i < runThreads; i++)
		sum += sums[i][threadIdx.x];
	return sum;
}

// lastRun reports, in all threads of a block, whether the block's run is the last of its columns to leave its sums in
// partial, and if so makes those of the others visible.
DEVICE bool lastRun(const ColumnSums &a) {
	SHARED(unsigned, before, [1]);
	__threadfence();
	__syncthreads();
	if (threadIdx.x == 0 && threadIdx.y == 0)
		before[0] = atomicInc(&a.finished[blockIdx.x], gridDim.y - 1);
	__syncthreads();
	__threadfence();
	return before[0] == gridDim.y - 1;
}

// moments sums each run and its squared deviations from the run's own mean: no cancellation, whatever the mean. Then it
// merges the runs (Chan, Golub and LeVeque, 1983).
KERNEL(moments, ColumnSums) {
	SHARED(double, sums, [runThreads][runColumns]);
	unsigned c = blockIdx.x * runColumns + threadIdx.x, cols = a.shape.cols, count = a.shape.groups * a.shape.rows;
	unsigned begin = blockIdx.y * (unsigned)a.runRows, end = min((i64)count, begin + a.runRows);
	bool inside = c < cols;
	float sum = 0;
	for (unsigned row = begin + threadIdx.y; inside && row < end; row += runThreads)
		sum += productOf(a.x, a.y, rowOf(a.shape, row, c));
	float mean = (float)(columnSum(sum, sums) / max(1u, end - begin)), squares = 0, rest = 0;
	for (unsigned row = begin + threadIdx.y; inside && row < end; row += runThreads) {
		float d = productOf(a.x, a.y, rowOf(a.shape, row, c)) - mean;
		squares += d * d;
		rest += d; // what rounding left of the mean
	}
	double correction = columnSum(rest, sums), deviation = columnSum(squares, sums);
	if (threadIdx.y == 0 && inside) {
		double *partial = a.partial + 2 * blockIdx.y * a.shape.cols, n = max(1u, end - begin);
		partial[c] = (double)mean * (end - begin) + correction;
		partial[cols + c] = deviation - correction * correction / n;
	}
	if (!lastRun(a))
		return;

	double total = 0, variance = 0;
	for (unsigned i = threadIdx.y; inside && i < a.runs; i += runThreads)
		total += a.partial[2 * i * cols + c];
	double middle = columnSum(total, sums) / max(1u, count);
	for (unsigned i = threadIdx.y; inside && i < a.runs; i += runThreads) {
		double n = max((i64)1, min((i64)count - i * a.runRows, a.runRows)), apart = a.partial[2 * i * cols + c] / n - middle;
		variance += a.partial[(2 * i + 1) * cols + c] + n * apart * apart;
	}
	variance = columnSum(variance, sums) / max(1u, count);
	if (threadIdx.y == 0 && inside) {
		a.first[c] = (float)middle;
		a.second[c] = (float)variance;
	}
}

// grad_sums sums dy and, where x is given, dy∘x or dy∘x∘y.
KERNEL(grad_sums, ColumnSums) {
	SHARED(double, sums, [runThreads][runColumns]);
	unsigned c = blockIdx.x * runColumns + threadIdx.x, cols = a.shape.cols, count = a.shape.groups * a.shape.rows;
	unsigned begin = blockIdx.y * (unsigned)a.runRows, end = min((i64)count, begin + a.runRows);
	bool inside = c < cols;
	float sum = 0, dot = 0;
	for (unsigned row = begin + threadIdx.y; inside && row < end; row += runThreads) {
		Element e = rowOf(a.shape, row, c);
		float dy = e.of(a.dy);
		sum += dy;
		if (a.x.data)
			dot += dy * productOf(a.x, a.y, e);
	}
	double runSum = columnSum(sum, sums), runDot = columnSum(dot, sums);
	if (threadIdx.y == 0 && inside) {
		a.partial[2 * blockIdx.y * cols + c] = runSum;
		a.partial[(2 * blockIdx.y + 1) * cols + c] = runDot;
	}
	if (!lastRun(a))
		return;

	double allSum = 0, allDot = 0;
	for (unsigned i = threadIdx.y; inside && i < a.runs; i += runThreads) {
		allSum += a.partial[2 * i * cols + c];
		allDot += a.partial[(2 * i + 1) * cols + c];
	}
	allSum = columnSum(allSum, sums);
	allDot = columnSum(allDot, sums);
	if (threadIdx.y == 0 && inside) {
		a.first[c] = (float)allSum;
		if (a.second)
			a.second[c] = (float)allDot;
	}
}

// Norm is device.Norm with the other arguments of both directions; see device.Trainer.
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
