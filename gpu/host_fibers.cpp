//go:build hostcuda && !cuda

// A block's threads as fibers: see kernels/host.h.
#include "kernels/host.h"

#include <cstdio>
#include <mutex>
#include <vector>

#if defined(__x86_64__)
// switchStack saves the callee-saved registers on the current stack, stores its top in *from, and continues where the
// stack with the top to was left.
extern "C" void switchStack(void **from, void *to);
asm(R"(
.text
.globl switchStack
.hidden switchStack
.type switchStack, @function
switchStack:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
.size switchStack, .-switchStack
)");
#elif defined(__aarch64__)
extern "C" void switchStack(void **from, void *to);
asm(R"(
.text
.globl switchStack
.hidden switchStack
.type switchStack, %function
switchStack:
	sub sp, sp, #160
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #160
	ret
.size switchStack, .-switchStack
)");
#else
#error "fibers need a few lines of assembly for this processor"
#endif

namespace host {

dim3 thread, blockAt, blockSize, gridSize;

namespace {

enum {
	stackBytes = 64 << 10,
	maxThreads = 1024,
	sharedBytes = 48 << 10, // the default limit of a block
	guardBytes = 64,        // after each shared variable
	maxShared = 16,         // variables
};

enum State { ready, atBlockBarrier, atWarpBarrier, done };

struct Fiber {
	void *top;
	State state;
	dim3 thread;
	unsigned sharedPassed; // number of shared variables that it has declared
};

std::mutex launching; // the state below is one launch's
std::vector<Fiber> fibers;
std::vector<char> stacks;
std::vector<Warp> warps;
std::vector<unsigned> order;
alignas(64) unsigned char sharedMemory[sharedBytes + maxShared * guardBytes];
std::vector<size_t> sharedEnds; // of the declared variables, without their guards
unsigned running; // the fiber's number
void *scheduler;  // its stack
const Kernel *kernel;
const void *arguments;
char problem[200];

const unsigned char guardByte = 0xff; // a float of such bytes is a NaN

// wait switches to the scheduler until that makes the fiber ready again.
void wait(State s) {
	Fiber &f = fibers[running];
	f.state = s;
	switchStack(&f.top, scheduler);
}

void fiberMain() {
	kernel->thread(arguments);
	wait(done);
}

// prepare sets up a new stack so that switchStack enters fiberMain.
void prepare(unsigned i) {
	Fiber &f = fibers[i];
	uintptr_t end = (uintptr_t)&stacks[(size_t)(i + 1) * stackBytes] & ~(uintptr_t)15;
#if defined(__x86_64__)
	void **top = (void **)end - 8; // six registers, the entry, and a place for fiberMain's return address
	memset(top, 0, 8 * sizeof *top);
	top[6] = (void *)fiberMain;
#else
	void **top = (void **)end - 20;
	memset(top, 0, 20 * sizeof *top);
	top[11] = (void *)fiberMain;
#endif
	f.top = top;
	f.state = ready;
	f.sharedPassed = 0;
	f.thread.x = i % blockSize.x;
	f.thread.y = i / blockSize.x % blockSize.y;
	f.thread.z = i / blockSize.x / blockSize.y;
}

// arrange determines the order in which the threads run next.
void arrange(Order o, uint64_t &random) {
	unsigned n = order.size();
	for (unsigned i = 0; i < n; i++)
		order[i] = o == backward ? n - 1 - i : i;
	if (o != shuffled)
		return;
	for (unsigned i = n - 1; i > 0; i--) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		std::swap(order[i], order[(random >> 33) % (i + 1)]);
	}
}

// release makes fibers ready whose barrier all have reached: a warp's threads, or the block's. It reports whether there
// were any.
bool release() {
	bool any = false;
	unsigned n = fibers.size(), atBlock = 0;
	for (unsigned begin = 0; begin < n; begin += 32) {
		unsigned atWarp = 0;
		for (unsigned i = begin; i < begin + 32; i++) {
			atWarp += fibers[i].state == atWarpBarrier;
			atBlock += fibers[i].state == atBlockBarrier;
		}
		for (unsigned i = begin; atWarp == 32 && i < begin + 32; i++) {
			fibers[i].state = ready;
			any = true;
		}
	}
	for (unsigned i = 0; atBlock == n && i < n; i++) {
		fibers[i].state = ready;
		any = true;
	}
	return any;
}

bool sharedIntact() {
	for (size_t end : sharedEnds)
		for (size_t i = end; i < end + guardBytes; i++)
			if (sharedMemory[i] != guardByte)
				return false;
	return true;
}

const char *runBlock(Order o, uint64_t &random) {
	memset(sharedMemory, guardByte, sizeof sharedMemory);
	sharedEnds.clear();
	for (unsigned i = 0; i < fibers.size(); i++)
		prepare(i);
	for (;;) {
		arrange(o, random);
		for (unsigned i : order) {
			if (fibers[i].state != ready)
				continue;
			running = i;
			thread = fibers[i].thread;
			switchStack(&scheduler, fibers[i].top);
			if (problem[0])
				return problem;
		}
		if (release())
			continue;
		for (const Fiber &f : fibers)
			if (f.state != done)
				return "some threads wait at a barrier that others do not reach";
		return sharedIntact() ? nullptr : "it writes after the end of its shared memory";
	}
}

} // namespace

void waitForBlock() { wait(atBlockBarrier); }
void waitForWarp() { wait(atWarpBarrier); }
unsigned lane() { return running % 32; }
Warp &ownWarp() { return warps[running / 32]; }

void *shared(size_t bytes) {
	unsigned i = fibers[running].sharedPassed++;
	if (i == sharedEnds.size()) {
		size_t begin = i == 0 ? 0 : (sharedEnds.back() + guardBytes + 15) / 16 * 16;
		if (i == maxShared || begin + bytes > sharedBytes + i * guardBytes) {
			snprintf(problem, sizeof problem, "it needs more than %d bytes of shared memory in %d variables", sharedBytes,
				maxShared);
			wait(done);
		}
		sharedEnds.push_back(begin + bytes);
	}
	return sharedMemory + sharedEnds[i] - bytes;
}

const char *launch(const Kernel &k, dim3 grid, dim3 block, const void *args, size_t argsSize, Order o) {
	std::lock_guard<std::mutex> lock(launching);
	unsigned n = block.x * block.y * block.z;
	if (argsSize != k.argsSize)
		return "its arguments have another size";
	if (n == 0 || n % 32 != 0 || n > maxThreads)
		return "a block has whole warps and at most 1024 threads";
	if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535)
		return "the grid is empty or too large";
	if (stacks.size() < (size_t)n * stackBytes)
		stacks.resize((size_t)n * stackBytes);
	fibers.resize(n);
	warps.resize(n / 32);
	order.resize(n);
	kernel = &k;
	arguments = args;
	blockSize = block;
	gridSize = grid;
	problem[0] = 0;
	uint64_t random = 1;
	uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
	for (uint64_t i = 0; i < blocks; i++) {
		uint64_t at = o == backward ? blocks - 1 - i : i;
		blockAt = {(unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y), (unsigned)(at / grid.x / grid.y)};
		if (const char *wrong = runBlock(o, random))
			return wrong;
	}
	return nullptr;
}

} // namespace host
