// Losses of the softmax; see device.Loss.
#include "kernel.h"

enum LossKind { crossEntropy, brier, focal, flsd, dualFocal };

struct Loss {
	View dlogits; // optional
	View logits, targets;
	float *losses;
	Shape shape;
	long kind;
	double gamma, scale;
};

// LossRow computes on a row of logits. There are few, so double precision costs nothing here.
struct LossRow {
	const Loss &a;
	unsigned g, r;
	double logSum;

	DEVICE double x(unsigned c) const { return a.logits.at(g, r, c); }
	DEVICE double target(unsigned c) const { return a.targets.at(g, r, c); }
	DEVICE double q(unsigned c) const { return exp(x(c) - logSum); }

	// nextBelow returns the largest probability below limit, or 0. Logits order as probabilities do, but several may
	// have one probability.
	DEVICE double nextBelow(double limit) const {
		double next = 0;
		for (unsigned c = 0; c < a.shape.cols; c++)
			if (double p = q(c); p < limit && p > next)
				next = p;
		return next;
	}

	// term computes the focal weight of class c, and the weight's derivative.
	DEVICE double term(unsigned c, double below, double &slope) const {
		double gamma = a.kind == crossEntropy ? 0 : a.kind != flsd ? a.gamma : q(c) < 0.2 ? 5 : 3;
		double base = below - expm1(x(c) - logSum);
		slope = 0;
		if (gamma == 0)
			return 1;
		if (!(base > 0))
			return base <= 0 ? 0 : base;
		double weight = pow(base, gamma);
		slope = gamma * weight / base;
		return weight;
	}

	// loss returns class c's part of the loss, and adds to coefficient what device.Loss's gradient has for it.
	DEVICE double loss(unsigned c, double &coefficient) const {
		double t = target(c), p = q(c), slope;
		if (a.kind == brier) {
			coefficient = -2 * (p - t) * p;
			return (p - t) * (p - t);
		}
		if (t == 0) // adds nothing, even where the logit is −∞
			return 0;
		double logQ = x(c) - logSum;
		double weight = term(c, a.kind == dualFocal ? nextBelow(p) : 0, slope);
		coefficient += t * weight;
		if (p > 0)
			coefficient -= t * slope * p * logQ;
		return -t * weight * logQ;
	}

	// fromAbove returns what classes add to class c's coefficient whose largest probability below theirs is that of c:
	// those of the smallest probability above it, if c is the first class of its own.
	DEVICE double fromAbove(unsigned c) const {
		double p = q(c), above = INFINITY, sum = 0, slope;
		for (unsigned other = 0; other < a.shape.cols; other++) {
			double v = q(other);
			if (other < c && v == p)
				return 0;
			if (v > p && v < above)
				above = v;
		}
		for (unsigned other = 0; other < a.shape.cols; other++)
			if (double t = target(other); t != 0 && q(other) == above) {
				term(other, p, slope);
				sum += t * slope * p * (x(other) - logSum);
			}
		return sum;
	}
};

// loss gives each row a warp.
KERNEL(loss, Loss) {
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
	LossRow of{a, g, r, top > -INFINITY ? top + log(sum) : top};
	for (unsigned c = lane; c < cols; c += warp) {
		double coefficient = 0;
		loss += of.loss(c, coefficient);
		mass += coefficient + (a.kind == dualFocal ? of.fromAbove(c) : 0);
	}
	loss = warpSum(loss);
	mass = warpSum(mass);
	if (lane == 0)
		a.losses[row] = (float)loss;
	if (!a.dlogits.data)
		return;
	for (unsigned c = lane; c < cols; c += warp) {
		double coefficient = 0;
		of.loss(c, coefficient);
		if (a.kind == dualFocal)
			coefficient += of.fromAbove(c);
		a.dlogits.at(g, r, c) = (float)(a.scale * (of.q(c) * mass - coefficient));
	}
}
