// The kernels on the host, for Go.
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct extent {
	unsigned x, y, z;
};

// launchOnHost runs a kernel and returns NULL, or a description of the mistake.
const char *launchOnHost(const char *kernel, struct extent grid, struct extent block, const void *args, size_t argsSize,
	int order);

// argsSizeOnHost returns the size of a kernel's arguments, or 0 where there is no such kernel.
size_t argsSizeOnHost(const char *kernel);

#ifdef __cplusplus
}
#endif
