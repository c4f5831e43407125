// A CUDA driver on the host's processor, to test an unchanged program for CUDA where there is no GPU. It runs the
// kernels compiled for the host, but only those that the PTX contains.
//
// Asynchronous commands are delayed as long as possible, until something waits for them, which reveals memory that is
// freed or written too early. Copies are restricted to memory from cuMemHostAlloc.
#include "../host_kernels.h"

#include <cuda.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace {

enum { devices = 2, eightPointZero = 80 };

std::recursive_mutex lock;
std::map<char *, size_t> device, pinned; // allocations and their sizes
thread_local CUcontext current;

} // namespace

struct CUctx_st {
	int users = 0;
};
struct CUmod_st {
	std::string ptx;
};
struct CUfunc_st {
	std::string name;
};
struct CUgraphNode_st {
	CUfunction f;
	struct extent grid, block;
	std::string args;
};
struct CUgraph_st {
	std::deque<CUgraphNode_st> nodes;
};
struct CUgraphExec_st {
	std::map<CUgraphNode, CUgraphNode_st> kernels; // by the nodes of the graph that it was made of
	std::deque<CUgraphNode> order;
};

// CUevent_st counts how often it was recorded, and how often a stream has reached it.
struct CUevent_st {
	CUstream stream = nullptr;
	int recorded = 0, passed = 0;
};

struct CUstream_st {
	std::deque<std::function<CUresult()>> pending;
	CUresult run(const std::function<bool()> &enough) {
		CUresult failed = CUDA_SUCCESS;
		while (!enough() && !pending.empty()) {
			auto next = pending.front();
			pending.pop_front();
			if (CUresult r = next(); failed == CUDA_SUCCESS)
				failed = r;
		}
		return failed;
	}
};

namespace {

CUctx_st contexts[devices];
std::map<std::string, CUfunc_st> functions;
std::map<CUstream, bool> streams;

CUresult await(CUevent e, int recording) {
	return e->passed >= recording ? CUDA_SUCCESS : e->stream->run([=] { return e->passed >= recording; });
}

CUresult runAll() {
	CUresult failed = CUDA_SUCCESS;
	for (auto &s : streams)
		if (CUresult r = s.first->run([] { return false; }); failed == CUDA_SUCCESS)
			failed = r;
	return failed;
}

// inside reports whether all of [p, p+n) lies in one allocation.
bool inside(const std::map<char *, size_t> &allocations, const void *p, size_t n) {
	char *at = (char *)p;
	auto a = allocations.upper_bound(at);
	return a != allocations.begin() && (--a, at + n <= a->first + a->second);
}

CUresult put(CUstream s, std::function<CUresult()> f) {
	std::lock_guard<std::recursive_mutex> l(lock);
	if (!current)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!streams.count(s))
		return CUDA_ERROR_INVALID_HANDLE;
	s->pending.push_back(f);
	return CUDA_SUCCESS;
}

CUresult copy(CUstream s, void *dst, bool dstOK, const void *src, bool srcOK, size_t n) {
	if (!dstOK || !srcOK)
		return CUDA_ERROR_INVALID_VALUE;
	return put(s, [=] { return memcpy(dst, src, n), CUDA_SUCCESS; });
}

} // namespace

CUresult cuInit(unsigned) { return CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int *count) { return *count = devices, CUDA_SUCCESS; }

CUresult cuDeviceGet(CUdevice *d, int n) {
	if (n < 0 || n >= devices)
		return CUDA_ERROR_INVALID_DEVICE;
	return *d = n, CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int n, CUdevice) {
	strncpy(name, "host", n);
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute what, CUdevice) {
	*value = what == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? eightPointZero / 10 : eightPointZero % 10;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice d) {
	std::lock_guard<std::recursive_mutex> l(lock);
	contexts[d].users++;
	return *c = &contexts[d], CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice d) {
	std::lock_guard<std::recursive_mutex> l(lock);
	return contexts[d].users-- > 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuCtxSetCurrent(CUcontext c) { return current = c, CUDA_SUCCESS; }

CUresult cuCtxSynchronize() {
	std::lock_guard<std::recursive_mutex> l(lock);
	return runAll();
}

CUresult cuModuleLoadData(CUmodule *m, const void *ptx) {
	return *m = new CUmod_st{static_cast<const char *>(ptx)}, CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule m) { return delete m, CUDA_SUCCESS; }

CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name) {
	std::lock_guard<std::recursive_mutex> l(lock);
	if (m->ptx.find(".entry " + std::string(name) + "(") == std::string::npos || argsSizeOnHost(name) == 0)
		return CUDA_ERROR_NOT_FOUND;
	return *f = &(functions[name] = {name}), CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *p, size_t n) {
	std::lock_guard<std::recursive_mutex> l(lock);
	if (!current)
		return CUDA_ERROR_INVALID_CONTEXT;
	char *memory = static_cast<char *>(aligned_alloc(256, (n + 255) / 256 * 256));
	if (!memory)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memset(memory, 0xff, n);
	device[memory] = n;
	return *p = (CUdeviceptr)memory, CUDA_SUCCESS;
}

CUresult cuMemFree(CUdeviceptr p) {
	std::lock_guard<std::recursive_mutex> l(lock);
	CUresult failed = runAll();
	if (!device.erase((char *)p))
		return CUDA_ERROR_INVALID_VALUE;
	return free((void *)p), failed;
}

CUresult cuMemHostAlloc(void **p, size_t n, unsigned) {
	std::lock_guard<std::recursive_mutex> l(lock);
	pinned[(char *)(*p = malloc(n))] = n;
	return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *p) {
	std::lock_guard<std::recursive_mutex> l(lock);
	if (!pinned.erase((char *)p))
		return CUDA_ERROR_INVALID_VALUE;
	return free(p), CUDA_SUCCESS;
}

CUresult cuMemsetD8Async(CUdeviceptr p, unsigned char v, size_t n, CUstream s) {
	if (!inside(device, (void *)p, n))
		return CUDA_ERROR_INVALID_VALUE;
	return put(s, [=] { return memset((void *)p, v, n), CUDA_SUCCESS; });
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr dst, const void *src, size_t n, CUstream s) {
	return copy(s, (void *)dst, inside(device, (void *)dst, n), src, inside(pinned, src, n), n);
}

CUresult cuMemcpyDtoHAsync(void *dst, CUdeviceptr src, size_t n, CUstream s) {
	return copy(s, dst, inside(pinned, dst, n), (void *)src, inside(device, (void *)src, n), n);
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream s) {
	return copy(s, (void *)dst, inside(device, (void *)dst, n), (void *)src, inside(device, (void *)src, n), n);
}

CUresult cuStreamCreate(CUstream *s, unsigned) {
	std::lock_guard<std::recursive_mutex> l(lock);
	streams[*s = new CUstream_st] = true;
	return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream s) {
	std::lock_guard<std::recursive_mutex> l(lock);
	if (!streams.erase(s))
		return CUDA_ERROR_INVALID_HANDLE;
	return delete s, CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream s) {
	std::lock_guard<std::recursive_mutex> l(lock);
	return s->run([] { return false; });
}

CUresult cuStreamWaitEvent(CUstream s, CUevent e, unsigned) {
	int recording = e->recorded;
	return put(s, [=] { return await(e, recording); });
}

CUresult cuEventCreate(CUevent *e, unsigned) { return *e = new CUevent_st, CUDA_SUCCESS; }
CUresult cuEventDestroy(CUevent e) { return delete e, CUDA_SUCCESS; }

CUresult cuEventRecord(CUevent e, CUstream s) {
	std::lock_guard<std::recursive_mutex> l(lock);
	e->stream = s;
	int recording = ++e->recorded;
	return put(s, [=] { return e->passed = recording, CUDA_SUCCESS; });
}

CUresult cuEventSynchronize(CUevent e) {
	std::lock_guard<std::recursive_mutex> l(lock);
	return await(e, e->recorded);
}

namespace {

std::string argsOf(CUfunction f, void **params) {
	const char *args = static_cast<const char *>(params[0]);
	return std::string(args, args + argsSizeOnHost(f->name.c_str()));
}

// runKernel runs a kernel, or fails if POLYPHON_HOST_FAILS names it, to test failures.
CUresult runKernel(const CUgraphNode_st &k) {
	const char *failing = getenv("POLYPHON_HOST_FAILS"), *name = k.f->name.c_str();
	if (failing && k.f->name == failing)
		return CUDA_ERROR_ILLEGAL_ADDRESS;
	const char *wrong = launchOnHost(name, k.grid, k.block, k.args.data(), k.args.size(), 0);
	if (wrong)
		fprintf(stderr, "libcuda on the host: kernel %s: %s\n", name, wrong);
	return wrong ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

CUgraphNode_st nodeOf(const CUDA_KERNEL_NODE_PARAMS *p) {
	return {p->func, {p->gridDimX, p->gridDimY, p->gridDimZ}, {p->blockDimX, p->blockDimY, p->blockDimZ},
		argsOf(p->func, p->kernelParams)};
}

} // namespace

CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
	unsigned, CUstream s, void **params, void **) {
	CUgraphNode_st k = {f, {gx, gy, gz}, {bx, by, bz}, argsOf(f, params)};
	return put(s, [=] { return runKernel(k); });
}

CUresult cuGraphCreate(CUgraph *g, unsigned) { return *g = new CUgraph_st, CUDA_SUCCESS; }
CUresult cuGraphDestroy(CUgraph g) { return delete g, CUDA_SUCCESS; }
CUresult cuGraphExecDestroy(CUgraphExec e) { return delete e, CUDA_SUCCESS; }

CUresult cuGraphAddKernelNode(CUgraphNode *n, CUgraph g, const CUgraphNode *after, size_t count,
	const CUDA_KERNEL_NODE_PARAMS *p) {
	CUgraphNode last = g->nodes.empty() ? nullptr : &g->nodes.back();
	if (last ? count != 1 || after[0] != last : count != 0) // then their order would be undefined
		return CUDA_ERROR_NOT_SUPPORTED;
	g->nodes.push_back(nodeOf(p));
	return *n = &g->nodes.back(), CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *e, CUgraph g, unsigned long long) {
	*e = new CUgraphExec_st;
	for (CUgraphNode_st &n : g->nodes) {
		(*e)->kernels[&n] = n;
		(*e)->order.push_back(&n);
	}
	return CUDA_SUCCESS;
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec e, CUgraphNode n, const CUDA_KERNEL_NODE_PARAMS *p) {
	auto found = e->kernels.find(n);
	if (found == e->kernels.end() || found->second.f != p->func)
		return CUDA_ERROR_INVALID_VALUE;
	return found->second = nodeOf(p), CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec e, CUstream s) {
	CUresult failed = CUDA_SUCCESS;
	for (CUgraphNode n : e->order) {
		CUgraphNode_st k = e->kernels[n]; // as it is now, whatever is changed later
		if (CUresult r = put(s, [=] { return runKernel(k); }); failed == CUDA_SUCCESS)
			failed = r;
	}
	return failed;
}
