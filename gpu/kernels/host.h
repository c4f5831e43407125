// The keywords of CUDA that our kernels use, for a C++ compiler, so that each kernel's arithmetic, barriers and bounds
// can be tested without a GPU. Blocks run one after the other. A block's threads are fibers: each runs until it waits
// for the others, so barriers and shuffles work; the order in which they run between two waits can be chosen, which
// reveals races. Shared memory lies between guards and begins as NaN.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

struct dim3 {
	unsigned x = 1, y = 1, z = 1;
};

namespace host {

// Order is the order in which the threads of a block run; backward reverses that of the blocks too.
enum Order { forward, backward, shuffled };

// Kernel is a kernel's name, its arguments' size and a function that runs one thread of it.
struct Kernel {
	const char *name;
	size_t argsSize;
	void (*thread)(const void *args);
};

enum { maxWarpWords = 8 };

// Warp is the memory through which the threads of a warp exchange values.
struct Warp {
	uint64_t words[32][maxWarpWords];
};

extern dim3 thread, blockAt, blockSize, gridSize;

// launch runs a kernel over a grid and returns nullptr, or a description of the mistake.
const char *launch(const Kernel &k, dim3 grid, dim3 block, const void *args, size_t argsSize, Order order);

// shared returns the address of the thread's next shared variable.
void *shared(size_t bytes);

void waitForBlock();
void waitForWarp();
unsigned lane();
Warp &ownWarp();

// exchange passes value to the warp and returns that of another lane.
template <class T> T exchange(T value, unsigned from) {
	static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle moves at most eight bytes");
	Warp &w = ownWarp();
	memcpy(w.words[lane()], &value, sizeof value);
	waitForWarp();
	memcpy(&value, w.words[from % 32], sizeof value);
	waitForWarp();
	return value;
}

template <class Args, void (*kernel)(Args)> void run(const void *args) { kernel(*static_cast<const Args *>(args)); }

} // namespace host

#define KERNEL(name, Args)                                                                                             \
	static void name(const Args a);                                                                                    \
	static const host::Kernel name##Kernel = {#name, sizeof(Args), host::run<Args, name>};                             \
	static void name(const Args a)
#define DEVICE inline
#define SHARED(Type, name, extent)                                                                                     \
	typedef Type name##Shared extent;                                                                                  \
	name##Shared &name = *static_cast<name##Shared *>(host::shared(sizeof(name##Shared)))
#define UNROLL

#define threadIdx host::thread
#define blockIdx host::blockAt
#define blockDim host::blockSize
#define gridDim host::gridSize

using std::max;
using std::min;

inline void __syncthreads() { host::waitForBlock(); }
inline void __syncwarp() { host::waitForWarp(); }
template <class T> T __shfl_xor_sync(unsigned, T v, int mask) { return host::exchange(v, host::lane() ^ mask); }
template <class T> T __shfl_sync(unsigned, T v, int from) { return host::exchange(v, from); }
inline void __threadfence() {}
inline unsigned atomicInc(unsigned *at, unsigned maximum) {
	unsigned was = *at;
	*at = was >= maximum ? 0 : was + 1;
	return was;
}
inline float __uint_as_float(unsigned bits) {
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}
inline unsigned __float_as_uint(float f) {
	unsigned bits;
	memcpy(&bits, &f, sizeof bits);
	return bits;
}
