// A libcuda to link against that loads the driver's when the program starts. gorgonia.org/cu links libcuda and ends the
// process where cuInit fails, both before main; with this in between, a program built for CUDA runs everywhere, and can
// report what is missing when a GPU is requested. toolkit.sh writes symbols.h, one FUNCTION(name) for each of the
// driver's functions.
#include <dlfcn.h>
#include <stddef.h>

enum { noDevice = 100 }; // CUDA_ERROR_NO_DEVICE

// polyphonInitResult is what cuInit, which always succeeds here, would have returned.
int polyphonInitResult = noDevice;

static int missing(void) { return noDevice; }

#define FUNCTION(name) __attribute__((visibility("hidden"))) void *real_##name = (void *)missing;
#include "symbols.h"
#undef FUNCTION

// Each function jumps to the driver's with the arguments as they are.
#if defined(__x86_64__)
#define FUNCTION(name)                                                                                           \
	asm(".globl " #name "\n.hidden " #name "\n.type " #name ", @function\n" #name ": jmp *real_" #name "(%rip)\n");
#elif defined(__aarch64__)
#define FUNCTION(name)                                                                                           \
	asm(".globl " #name "\n.hidden " #name "\n.type " #name ", %function\n" #name                                \
		": adrp x16, real_" #name "\nldr x16, [x16, :lo12:real_" #name "]\nbr x16\n");
#else
#error "jumps need a line of assembly for this processor"
#endif
#include "symbols.h"
#undef FUNCTION

static int (*start)(unsigned flags);

__attribute__((constructor)) static void open(void) {
	void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	if (driver == NULL)
		return;
	start = (int (*)(unsigned))dlsym(driver, "cuInit");
	void *f;
#define FUNCTION(name)                                                                                           \
	if ((f = dlsym(driver, #name)) != NULL)                                                                      \
		real_##name = f;
#include "symbols.h"
#undef FUNCTION
}

int cuInit(unsigned flags) {
	if (start != NULL)
		polyphonInitResult = start(flags);
	return 0;
}
