// What all kernels have in common: CUDA's words, for nvcc or (host.h) for a C++ compiler, and the shapes that Go hands over.
//
// A kernel takes one argument, a struct whose fields are all eight bytes wide and lie as in the Go struct of the same name;
// its threads come in whole warps. What overlaps in memory is said at the kernel; a destination may be an operand.
#pragma once

#ifdef __CUDACC__
#define KERNEL(name, Args) extern "C" __global__ void name(const Args a)
#define DEVICE __device__ __forceinline__
// SHARED declares a variable, or with an extent such as [4] an array, that a block's threads share, undefined at first.
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

// Element is a place in a view.
struct Element {
	unsigned g, r, c;
	DEVICE float &of(const View &v) const { return v.at(g, r, c); }
};

// elementOf gives the thread its place in a shape; there are no more than 2³¹ of them. Threads behind the last one get none.
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

// orElse reads a vector that may be left out.
DEVICE float orElse(const float *vector, unsigned i, float missing) { return vector ? vector[i] : missing; }

DEVICE float relu(float x) { return x > 0 ? x : 0; }

enum { warp = 32 };

// warpSum returns the sum of v over the warp, in every lane.
template <class T> DEVICE T warpSum(T v) {
	for (int lane = warp / 2; lane > 0; lane /= 2)
		v += __shfl_xor_sync(0xffffffffu, v, lane);
	return v;
}

// blockSum returns the sum of v over the block, in every thread. All threads call it; partial has one place a warp.
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
