//go:build hostcuda && !cuda

// All kernels, compiled for the host, by name.
#include "host_kernels.h"
#include "kernels/all.cu"

namespace {

#define PRODUCT_KERNELS(name)                                                                                          \
	matmul_##name##_64x64Kernel, matmul_##name##_64x32Kernel, matmul_##name##_32x32Kernel,                              \
		matmul_trans_a_##name##_64x64Kernel, matmul_trans_a_##name##_64x32Kernel, matmul_trans_a_##name##_32x32Kernel

const host::Kernel kernels[] = {
	fillKernel, copy_floatsKernel, affineKernel, relu_gradKernel, tanh_forwardKernel, tanh_gradKernel, transposeKernel,
	depthwiseKernel, depthwise_gradKernel, hadamardKernel, hadamard_sumKernel, hadamard_sum_gradKernel,
	momentsKernel, grad_sumsKernel, norm_forwardKernel, norm_backwardKernel, avg_poolKernel, avg_pool_gradKernel,
	lossKernel, sgdKernel, adamwKernel, ema_updateKernel, square_runsKernel, clip_normKernel,
	logmel_512Kernel, logmel_4096Kernel, matmul_runsKernel, matmul_trans_a_runsKernel,
	PRODUCT_KERNELS(float32), PRODUCT_KERNELS(tf32), PRODUCT_KERNELS(bf16),
};

const host::Kernel *find(const char *name) {
	for (const host::Kernel &k : kernels)
		if (strcmp(k.name, name) == 0)
			return &k;
	return nullptr;
}

} // namespace

size_t argsSizeOnHost(const char *kernel) {
	const host::Kernel *k = find(kernel);
	return k ? k->argsSize : 0;
}

const char *launchOnHost(const char *kernel, struct extent grid, struct extent block, const void *args, size_t argsSize,
	int order) {
	const host::Kernel *k = find(kernel);
	if (!k)
		return "there is no such kernel";
	return host::launch(*k, dim3{grid.x, grid.y, grid.z}, dim3{block.x, block.y, block.z}, args, argsSize,
		host::Order(order));
}
