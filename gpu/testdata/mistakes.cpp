// A kernel with mistakes that the host should find. Prints its findings, one line a mistake.
#include "../kernels/kernel.h"

#include <cstdio>

enum Mistake { none, blockBarrier, warpBarrier, pastShared, muchShared, race };

struct Mistaken {
	i64 mistake;
	float *sum;
};

KERNEL(mistaken, Mistaken) {
	SHARED(float, x, [64]);
	SHARED(float, y, [4]);
	x[threadIdx.x] = threadIdx.x;
	if (a.mistake == blockBarrier ? threadIdx.x < 40 : a.mistake != race)
		__syncthreads();
	if (a.mistake == warpBarrier && threadIdx.x < 3)
		__syncwarp();
	if (a.mistake == pastShared)
		y[4 + threadIdx.x % 4] = 1;
	if (a.mistake == muchShared) {
		SHARED(float, z, [13000]);
		z[0] = 1;
	}
	if (threadIdx.x == 0)
		*a.sum = x[1] + x[63];
}

int main() {
	const char *names[] = {"none", "block barrier", "warp barrier", "past shared", "much shared", "race"};
	for (int mistake = none; mistake <= race; mistake++) {
		float sums[2];
		const char *wrong = nullptr;
		for (auto order : {host::forward, host::backward}) {
			Mistaken a{mistake, &sums[order]};
			wrong = host::launch(mistakenKernel, {1, 1, 1}, {64, 1, 1}, &a, sizeof a, order);
		}
		if (!wrong && !(sums[0] == sums[1]))
			wrong = "it depends on the order of threads";
		printf("%s: %s\n", names[mistake], wrong ? wrong : "nothing");
	}
}
