#!/usr/bin/env python3
"""Writes golden.json: exact intervals of counts by SciPy, for TestIntervals. Run it in this folder.

A Poisson mean by Garwood (1936), a binomial share by Clopper and Pearson (1934), each of 95 % confidence.
"""
import json

from scipy.stats import beta, chi2

TAIL = 0.025


def poisson(k):
    low = chi2.ppf(TAIL, 2 * k) / 2 if k else 0.0
    return [low, chi2.isf(TAIL, 2 * k + 2) / 2]


def binomial(k, n):
    low = beta.ppf(TAIL, k, n - k + 1) if k else 0.0
    return [low, beta.isf(TAIL, k + 1, n - k) if k < n else 1.0]


events = [0, 1, 2, 3, 10, 41, 242, 5000, 100000]
shares = [(0, 1), (1, 1), (0, 20), (1, 20), (10, 20), (19, 20), (20, 20), (253, 976), (7, 100000), (99999, 100000)]
with open("golden.json", "w") as f:
    json.dump({
        "poisson": [{"events": k, "interval": poisson(k)} for k in events],
        "binomial": [{"hits": k, "of": n, "interval": binomial(k, n)} for k, n in shares],
    }, f, indent=1)
    f.write("\n")
