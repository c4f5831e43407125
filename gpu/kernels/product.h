// The tiles of matrix products. A block computes a tile of Height rows by Width columns; it proceeds along the depth in
// slabs of 16, which are copied from memory through registers into shared memory while the slab before is multiplied.
// Each warp computes 32 × 32 of the tile.
#pragma once
#include "kernel.h"

// TransA is the gradient of a product's weight, or of a depthwise convolution's.
struct TransA {
	View a, dy;
	float *dw;
	Shape shape; // dy's
	i64 depth, runRows, runs;
	float *partial; // (runs, depth, cols) where there are several runs
};

enum { slab = 16 };

struct alignas(16) Quad {
	float v[4];
};

// Slab is 16 values along the depth for each of Width rows or columns. Columns are permuted in groups of eight,
// differently for each four of the depth, so that loads along the depth and along the width have no bank conflicts.
template <int Width> struct alignas(16) Slab {
	float v[slab][Width + 8];
	DEVICE float &at(int k, int i) { return v[k][i ^ (8 * (k / 4 % 4))]; }
	DEVICE Quad &four(int k, int i) { return reinterpret_cast<Quad &>(at(k, i)); } // i is a multiple of four
};

// load reads the first count of four values; the rest is 0. If aligned is set, all four may be read at once.
DEVICE Quad load(const float *p, i64 count, bool aligned) {
	if (aligned && count >= 4)
		return *reinterpret_cast<const Quad *>(p);
	Quad q;
	UNROLL for (int i = 0; i < 4; i++)
		q.v[i] = i < count ? p[i] : 0;
	return q;
}

// Rows is a view with its rows numbered through all groups.
struct Rows {
	View view;
	unsigned rows, count, cols; // rows a group, rows in all
	bool aligned;
	DEVICE Rows(const View &v, const Shape &s, unsigned cols)
		: view(v), rows(s.rows), count(s.groups * s.rows), cols(cols),
		  aligned(((unsigned long long)v.data % 16 | (v.group | v.row) % 4) == 0) {}
	DEVICE const float *row(unsigned i) const {
		unsigned g = count == rows ? 0 : i / rows;
		return view.data + g * view.group + (i - g * rows) * view.row;
	}
};

// Across reads slabs whose depth is along a view's columns: a product's left side.
template <int Width, int Threads> struct Across {
	enum { step = Threads / 4, loads = Width / step };
	const Rows &x;
	const float *rows[loads];
	Quad next[loads];
	DEVICE Across(const Rows &x, unsigned first) : x(x) {
		UNROLL for (int i = 0; i < loads; i++) {
			unsigned r = first + i * step + threadIdx.x / 4;
			rows[i] = r < x.count ? x.row(r) : nullptr;
		}
	}
	DEVICE void fetch(unsigned depth) {
		unsigned k = depth + threadIdx.x % 4 * 4;
		UNROLL for (int i = 0; i < loads; i++)
			next[i] = load(rows[i] + k, rows[i] ? (i64)x.cols - k : 0, x.aligned);
	}
	DEVICE void store(Slab<Width> &s) {
		UNROLL for (int i = 0; i < loads; i++)
			UNROLL for (int j = 0; j < 4; j++)
				s.at(threadIdx.x % 4 * 4 + j, i * step + threadIdx.x / 4) = next[i].v[j];
	}
};

// Down reads slabs whose depth is along a view's rows, up to row end: a product's right side, and both sides of a
// weight's gradient.
template <int Width, int Threads> struct Down {
	enum { wide = Width / 4, step = Threads / wide, loads = slab / step };
	const Rows &x;
	unsigned column, end;
	Quad next[loads];
	DEVICE Down(const Rows &x, unsigned first, unsigned end) : x(x), column(first + threadIdx.x % wide * 4), end(end) {}
	DEVICE void fetch(unsigned depth) {
		UNROLL for (int i = 0; i < loads; i++) {
			unsigned r = depth + i * step + threadIdx.x / wide;
			bool inside = r < end && column < x.cols;
			next[i] = load(inside ? x.row(r) + column : nullptr, inside ? x.cols - column : 0, x.aligned);
		}
	}
	DEVICE void store(Slab<Width> &s) {
		UNROLL for (int i = 0; i < loads; i++)
			s.four(i * step + threadIdx.x / wide, threadIdx.x % wide * 4) = next[i];
	}
};

// multiply adds the products of depths begin to end to sums.
template <int Height, int Width, class Left, class Right, class Sums>
DEVICE void multiply(Left &left, Right &right, Sums &sums, unsigned begin, unsigned end) {
	SHARED(Slab<Height>, a, [2]);
	SHARED(Slab<Width>, b, [2]);
	if (begin >= end)
		return;
	left.fetch(begin);
	right.fetch(begin);
	int now = 0;
	for (unsigned k = begin; k < end; k += slab, now ^= 1) {
		left.store(a[now]);
		right.store(b[now]);
		__syncthreads(); // the other slab, which the next iteration writes, has been read before this barrier
		if (k + slab < end) {
			left.fetch(k + slab);
			right.fetch(k + slab);
		}
		sums.add(a[now], b[now]);
	}
}

// Float32 multiplies in single precision: each thread has eight rows of four columns.
template <int Height, int Width> struct Float32 {
	float sum[8][4] = {};
	DEVICE int row() const { return threadIdx.x / (Width / 4) * 8; }
	DEVICE int column() const { return threadIdx.x % (Width / 4) * 4; }
	DEVICE void add(Slab<Height> &a, Slab<Width> &b) {
		UNROLL for (int k = 0; k < slab; k++) {
			Quad x[2] = {a.four(k, row()), a.four(k, row() + 4)}, y = b.four(k, column());
			UNROLL for (int i = 0; i < 8; i++)
				UNROLL for (int j = 0; j < 4; j++)
					sum[i][j] += x[i / 4].v[i % 4] * y.v[j];
		}
	}
	// write passes the sums to f.
	template <class Finish> DEVICE void write(const Finish &f) const {
		typename Finish::Column columns[4];
		UNROLL for (int j = 0; j < 4; j++)
			columns[j] = f.column(column() + j);
		UNROLL for (int i = 0; i < 8; i++) {
			auto r = f.row(row() + i);
			UNROLL for (int j = 0; j < 4; j++)
				f.put(r, columns[j], sum[i][j]);
		}
	}
};
