"""Check over many thousands of random cases that the engine is exact and keeps its promises.

    ./dev bench exactness [--posteriors 3000] [--decisions 100000]

1. probability_best and expected_loss against scipy's incomplete beta function on a fine composite Gauss rule: 2 to 50
   variants, 0 to 10^8 impressions, priors 0.5 to 1000, equal variants, one a million times larger than another. A row
   of K is divided by its sum, so that it sums to 1 but for rounding: by 1.1e-16 at most in each of K - 1 additions, in
   the division, and in each of K - 1 additions of the sum that is looked at, which makes less than K times 2.2e-16.
2. Decisions in the whole range of every setting, with counts up to 10^12, silent days, new and retired variants:
   the sum, the floors, the cap where it can hold, and that a variant without evidence does not climb past 1/K.
3. The order of the variants, which may move a share by 0.0001; and, with pooled counts, that one more success
   never lowers a variant's probability_best.
"""

import argparse
import dataclasses
from collections import Counter

import numpy as np
from tqdm import tqdm

from allocation.engine import Request, allocate_many, probability_best
from allocation.engine.posterior.probability_best import contest
from benchmarks.machine import machine
from tests.allocation.engine.factories import random_posteriors, random_request
from tests.allocation.engine.oracle import contest_by_scipy
from tests.allocation.engine.promises import promises_broken

_BLOCK = 250


def posteriors(cases: int) -> None:
    error = loss_error = sum_error = rounding = lowered = 0.0
    for seed in tqdm(range(cases), desc="posteriors", leave=False):
        alpha, beta = random_posteriors(seed)
        best, loss = contest(alpha, beta)
        exact, exact_loss = contest_by_scipy(alpha, beta)
        error, loss_error = (
            max(error, np.abs(best - exact).max()),
            max(loss_error, np.abs(loss - exact_loss).max()),
        )
        off = abs(float(best.sum()) - 1)
        sum_error, rounding = max(sum_error, off), max(rounding, off / (len(best) * np.finfo(float).eps))
        more = alpha + (np.arange(len(alpha)) == 0)
        lowered = max(lowered, float(best[0] - probability_best(more, beta)[0]))
    print(f"1. {cases:,} posteriors against scipy")
    print(f"   largest error of probability_best {error:.1e}, of expected_loss {loss_error:.1e}")
    print(
        f"   largest distance of a row's sum from 1: {sum_error:.1e}; {rounding:.0%} of what rounding allows at most"
    )
    print(f"   one more success never lowered probability_best by more than {lowered:.1e}")


def decisions(cases: int) -> None:
    broken: Counter[str] = Counter()
    largest_move = 0.0
    for block in tqdm(range(-(-cases // _BLOCK)), desc="decisions", leave=False):
        rng = np.random.default_rng([7, block])
        requests = [random_request(rng, int(rng.integers(1, 8))) for _ in range(min(_BLOCK, cases))]
        answers = allocate_many(requests)
        for request, answer in zip(requests, answers, strict=True):
            broken.update(promises_broken(request, answer))
        orders = [rng.permutation(len(request.active)) for request in requests[:50]]
        turned = [_reordered(request, order) for request, order in zip(requests, orders, strict=False)]
        for order, answer, other in zip(orders, answers, allocate_many(turned), strict=False):
            largest_move = max(largest_move, float(np.abs(other.shares - answer.shares[order]).max()))
    print(f"2. {cases:,} decisions: promises broken {sum(broken.values())} {dict(broken) or ''}")
    print(
        f"3. another order of the variants, {cases // 5:,} decisions: moved a share by {largest_move:.4f} at most"
    )


def _reordered(request: Request, order: np.ndarray) -> Request:
    history = request.history
    turned = dataclasses.replace(
        history,
        impressions=history.impressions[:, order],
        trials=history.trials[:, order],
        successes=history.successes[:, order],
    )
    control = None if request.control is None else int(np.flatnonzero(order == request.control)[0])
    return dataclasses.replace(
        request,
        history=turned,
        control=control,
        active=request.active[order],
        previous=request.previous[order],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--posteriors", type=int, default=3000)
    parser.add_argument("--decisions", type=int, default=100_000)
    options = parser.parse_args()
    print(machine())
    posteriors(options.posteriors)
    decisions(options.decisions)


if __name__ == "__main__":
    main()
