// The kernels on the host, for Go.
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct extent {
	unsigned x, y, z;
};

// launchOnHost runs a kernel and returns NULL, or what was wrong.
const char *launchOnHost(const char *kernel, struct extent grid, struct extent block, const void *args, size_t argsSize, int order);

#ifdef __cplusplus
}
#endif
