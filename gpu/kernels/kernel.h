// What all kernels share: CUDA's keywords, for nvcc or (host.h) for a C++ compiler, and the shapes that Go passes.
//
// A kernel takes one argument, a struct whose fields have eight bytes each, which Go appends in their order (args.go).
// Blocks consist of whole warps. A destination may be an operand unless a comment says otherwise.
#pragma once

#ifdef __CUDACC__
#define KERNEL(name, Args) extern "C" __global__ void name(const Args a)
#define DEVICE __device__ __forceinline__
// SHARED declares a variable, or with an extent such as [4] an array, that a block's threads share. It is undefined at
// first.
#define SHARED(Type, name, extent) __shared__ Type name extent
#define UNROLL _Pragma("unroll")
#else
#include "host.h"
#endif

typedef long long i64;

// View is a device.View without its shape: element (g, r, c) is at g·group + r·row + c.
struct View {
	float *data;
	i64 group, row;
	DEVICE float &at(unsigned g, unsigned r, unsigned c) const { return data[g * group + r * row + c]; }
};

// Shape is the shape that an operation's views share.
struct Shape {
	i64 groups, rows, cols;
};

// Element is a position in a view.
struct Element {
	unsigned g, r, c;
	DEVICE float &of(const View &v) const { return v.at(g, r, c); }
};

// elementOf finds the thread's element of a shape of at most 2³¹ elements, and returns false for threads after the
// last.
DEVICE bool elementOf(const Shape &s, Element &e) {
	unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
	unsigned rows = s.rows, cols = s.cols;
	if (i >= (unsigned)s.groups * rows * cols)
		return false;
	unsigned row = i / cols;
	e.c = i - row * cols;
	e.g = row / rows;
	e.r = row - e.g * rows;
	return true;
}

// ELEMENTWISE defines a kernel with one thread for each element e of a.shape.
#define ELEMENTWISE(name, Args)                                                                                    \
	DEVICE void name##Of(const Args &a, const Element &e);                                                         \
	KERNEL(name, Args) {                                                                                           \
		Element e;                                                                                                 \
		if (elementOf(a.shape, e))                                                                                 \
			name##Of(a, e);                                                                                        \
	}                                                                                                              \
	DEVICE void name##Of(const Args &a, const Element &e)

// orElse reads a vector that may be left out.
DEVICE float orElse(const float *vector, unsigned i, float missing) { return vector ? vector[i] : missing; }

DEVICE float relu(float x) { return x <= 0 ? 0 : x; } // NaN stays NaN

enum { warp = 32 };

// warpSum returns the sum of v over the warp, in every lane.
template <class T> DEVICE T warpSum(T v) {
	for (int lane = warp / 2; lane > 0; lane /= 2)
		v += __shfl_xor_sync(0xffffffffu, v, lane);
	return v;
}

// blockSum returns the sum of v over the block, in every thread. All threads call it; partial has one value a warp.
template <class T> DEVICE T blockSum(T v, T *partial) {
	v = warpSum(v);
	__syncthreads(); // whatever partial held has been read
	if (threadIdx.x % warp == 0)
		partial[threadIdx.x / warp] = v;
	__syncthreads();
	T sum = 0;
	for (unsigned w = 0; w < blockDim.x / warp; w++)
		sum += partial[w];
	return sum;
}
