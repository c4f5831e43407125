// Softmax and cross entropy.
#include "kernel.h"

struct CrossEntropy {
	View dlogits; // optional
	View logits, targets;
	float *losses;
	Shape shape;
	double scale;
};

// cross_entropy gives each row a warp. There are few logits, so double precision costs nothing here.
KERNEL(cross_entropy, CrossEntropy) {
	unsigned row = (blockIdx.x * blockDim.x + threadIdx.x) / warp, lane = threadIdx.x % warp;
	if (row >= a.shape.groups * a.shape.rows)
		return;
	unsigned g = row / (unsigned)a.shape.rows, r = row - g * (unsigned)a.shape.rows, cols = a.shape.cols;
	float top = -INFINITY;
	for (unsigned c = lane; c < cols; c += warp)
		top = fmaxf(top, a.logits.at(g, r, c));
	for (int other = warp / 2; other > 0; other /= 2)
		top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, other));
	double sum = 0, loss = 0, mass = 0;
	if (top > -INFINITY)
		for (unsigned c = lane; c < cols; c += warp)
			sum += exp((double)a.logits.at(g, r, c) - top);
	sum = warpSum(sum);
	double logSum = top > -INFINITY ? top + log(sum) : top;
	for (unsigned c = lane; c < cols; c += warp) {
		double t = a.targets.at(g, r, c);
		if (t != 0) // a target of 0 adds nothing, even where the logit is −∞
			loss -= t * (a.logits.at(g, r, c) - logSum);
		mass += t;
	}
	loss = warpSum(loss);
	mass = warpSum(mass);
	if (lane == 0)
		a.losses[row] = (float)loss;
	if (!a.dlogits.data)
		return;
	for (unsigned c = lane; c < cols; c += warp)
		a.dlogits.at(g, r, c) =
			(float)(a.scale * (exp(a.logits.at(g, r, c) - logSum) * mass - a.targets.at(g, r, c)));
}
