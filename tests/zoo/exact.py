# SPDX-License-Identifier: Apache-2.0
"""The statistics that the judge needs, exact where they can be.

Fixed points of a random permutation of n units: P(F = k) = D(n - k) / (k! (n - k)!), D the number of
permutations without a fixed point (the rencontres numbers).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

ALPHAS = (1e-1, 1e-2, 1e-3, 1e-4)


def interval(hits: int, tries: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's: exact, never too narrow."""
    if tries == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(stats.beta.ppf(tail, hits, tries - hits + 1))
    high = 1.0 if hits == tries else float(stats.beta.ppf(1 - tail, hits + 1, tries - hits))
    return low, high


def upper_bound(hits: int, tries: int, level: float = 0.95) -> float:
    """The rate that is refuted with this confidence, from one side."""
    return 1.0 if hits >= tries else float(stats.beta.ppf(level, hits + 1, tries - hits))


@cache
def fixed_points_law(n: int) -> tuple[float, ...]:
    """P(F = k) for k of 0 to n."""
    unfixed = [1, 0]
    for i in range(2, n + 1):
        unfixed.append((i - 1) * (unfixed[-1] + unfixed[-2]))
    return tuple(unfixed[n - k] / (math.factorial(k) * math.factorial(n - k)) for k in range(n + 1))


def tail(n: int, k: int) -> float:
    """P(F >= k)."""
    return math.fsum(fixed_points_law(n)[k:])


@dataclass(frozen=True)
class NullReport:
    blocks: int
    observed: list[int]
    expected: list[float]
    chi_square_p: float
    rejections: dict[str, tuple[int, float, float]]  # alpha: seen, most that the law expects, p of excess
    ks_p: float


def judge_null(fixed: Sequence[tuple[int, int]], seed: int = 0) -> NullReport:
    """Against the law: (fixed points, units) of many blocks of unrelated models."""
    most = 16
    observed, expected = Counter(k for k, _ in fixed), np.zeros(most + 1)
    for n, count in Counter(n for _, n in fixed).items():
        expected[:n + 1] += count * np.array(fixed_points_law(n))
    # Cells are pooled from the top until each expects five blocks at least.
    last = max(k for k in range(most + 1) if expected[k:].sum() >= 5)
    seen = [observed[k] for k in range(last)] + [sum(observed[k] for k in range(last, most + 1))]
    wanted = [*expected[:last], expected[last:].sum()]
    chi = float(stats.chisquare(seen, np.array(wanted) * sum(seen) / sum(wanted)).pvalue)

    p_values = np.array([tail(n, k) for k, n in fixed])
    rejections = {}
    for alpha in ALPHAS:
        hits = int((p_values <= alpha).sum())
        excess = float(stats.binom.sf(hits - 1, len(fixed), alpha)) if hits else 1.0
        rejections[f"{alpha:g}"] = (hits, alpha * len(fixed), excess)
    # A p-value that can take few values is not uniform; one drawn between it and the next is.
    random = np.random.default_rng(seed).random(len(fixed))
    below = p_values - np.array([fixed_points_law(n)[k] for k, n in fixed])
    ks = float(stats.kstest(below + random * (p_values - below), "uniform").pvalue)
    return NullReport(len(fixed), [observed[k] for k in range(most + 1)], expected.tolist(), chi,
                      rejections, ks)
