// Normalised log-mel energies of samples: framing, FFT, mel bank and logarithm in one kernel, a block a frame.
#include "kernel.h"

struct LogMel {
	View dst, source; // source: one row of samples a group
	Shape shape;      // dst's
	i64 samples;      // in a group of source
	i64 fft, hop, before, window;
	const float *weights; // of the window
	const float *roots;   // exp(−2πi·k/fft) for k < fft/2
	const float *spans;   // for each mel: its first bin, its number of bins, and the index of their weights in bank
	const float *bank;
	const float *mean, *std;
	double floor, limit;
};

struct Complex {
	float re, im;
};

// frame writes the windowed samples of the block's frame, as pairs, and zeros after them.
DEVICE void frame(const LogMel &a, unsigned g, unsigned r, Complex *points) {
	const float *source = a.source.data + g * a.source.group;
	float *x = &points->re;
	for (int i = threadIdx.x; i < a.fft; i += blockDim.x) {
		i64 at = r * a.hop - a.before + i;
		x[i] = i < a.window && at >= 0 && at < a.samples ? source[at] * a.weights[i] : 0;
	}
	__syncthreads();
}

// transform is Stockham's FFT of n points, which needs no reordering: each pass reads one buffer and writes the other.
// It returns the one with the result.
DEVICE Complex *transform(const LogMel &a, Complex *from, Complex *to, int n) {
	for (int stride = 1, half = n / 2; half > 0; stride *= 2, half /= 2) {
		for (int i = threadIdx.x; i < n / 2; i += blockDim.x) {
			int q = i % stride, p = i / stride;
			Complex x = from[q + stride * p], y = from[q + stride * (p + half)];
			const float *w = a.roots + 2 * (2 * p * stride); // exp(−2πi·p·stride/n), and fft = 2n
			float re = x.re - y.re, im = x.im - y.im;
			to[q + stride * 2 * p] = {x.re + y.re, x.im + y.im};
			to[q + stride * (2 * p + 1)] = {re * w[0] - im * w[1], re * w[1] + im * w[0]};
		}
		__syncthreads();
		Complex *read = from;
		from = to;
		to = read;
	}
	return from;
}

// power writes the power of bins 0 to n of 2n real samples; z is the transform of their pairs.
DEVICE void power(const LogMel &a, const Complex *z, float *bins, int n) {
	for (int k = threadIdx.x; k <= n; k += blockDim.x) {
		Complex x = z[k % n], y = z[(n - k) % n];
		Complex even = {(x.re + y.re) / 2, (x.im - y.im) / 2}, odd = {(x.im + y.im) / 2, (y.re - x.re) / 2};
		float wr = k < n ? a.roots[2 * k] : -1, wi = k < n ? a.roots[2 * k + 1] : 0;
		float re = even.re + odd.re * wr - odd.im * wi, im = even.im + odd.re * wi + odd.im * wr;
		bins[k] = re * re + im * im;
	}
	__syncthreads();
}

// mels sums each mel's bins with a warp.
DEVICE void mels(const LogMel &a, unsigned g, unsigned r, const float *bins) {
	for (unsigned m = threadIdx.x / warp; m < a.shape.cols; m += blockDim.x / warp) {
		const float *span = a.spans + 3 * m;
		int first = (int)span[0], count = (int)span[1];
		const float *weights = a.bank + (int)span[2];
		float sum = 0;
		for (int i = threadIdx.x % warp; i < count; i += warp)
			sum += weights[i] * bins[first + i];
		sum = warpSum(sum);
		if (threadIdx.x % warp != 0)
			continue;
		float v = (logf(sum + (float)a.floor) - a.mean[m]) / a.std[m];
		a.dst.at(g, r, m) = fmaxf((float)-a.limit, fminf(v, (float)a.limit));
	}
}

template <int maxPoints> DEVICE void logMel(const LogMel &a) {
	SHARED(Complex, points, [2][maxPoints / 2]);
	SHARED(float, bins, [maxPoints / 2 + 1]);
	unsigned g = blockIdx.x / (unsigned)a.shape.rows, r = blockIdx.x % (unsigned)a.shape.rows;
	frame(a, g, r, points[0]);
	power(a, transform(a, points[0], points[1], a.fft / 2), bins, a.fft / 2);
	mels(a, g, r, bins);
}

KERNEL(logmel_512, LogMel) { logMel<512>(a); }
KERNEL(logmel_4096, LogMel) { logMel<4096>(a); }
