"""Promises of every decision: for any input, in any order, at the ends of what floats hold, and for many at once."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from allocation.engine import (
    Decision,
    History,
    Request,
    Settings,
    allocate,
    allocate_many,
    judge_many,
)
from allocation.engine import requests as engine_requests
from allocation.engine.batch import RULES
from tests.allocation.engine.factories import (
    allocate_request,
    make_request,
    random_request,
)
from tests.allocation.engine.promises import promises_broken

SEED = st.integers(0, 2**32 - 1)


@settings(max_examples=200, deadline=None)
@given(seed=SEED, k=st.integers(1, 12))
def test_allocate__any_valid_input__keeps_every_promise(seed: int, k: int) -> None:
    request = random_request(np.random.default_rng(seed), k)

    assert promises_broken(request, allocate_request(request)) == []


@settings(max_examples=2, deadline=None)
@given(seed=SEED)
def test_allocate__a_hundred_variants__keeps_every_promise(seed: int) -> None:
    request = random_request(np.random.default_rng(seed), 100)

    assert promises_broken(request, allocate_request(request)) == []


@settings(max_examples=50, deadline=None)
@given(
    seed=SEED, sizes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, RULES)), min_size=1, max_size=5)
)
def test_judge_many__any_requests__has_the_numbers_of_their_decisions(
    seed: int, sizes: list[tuple[int, int]]
) -> None:
    rng = np.random.default_rng(seed)
    requests = [dataclasses.replace(random_request(rng, k), rules=rules) for k, rules in sizes]

    for judged, decision in zip(judge_many(requests), allocate_many(requests), strict=True):
        for name, value in judged._asdict().items():
            np.testing.assert_array_equal(value, getattr(decision, name), err_msg=name)


@settings(max_examples=50, deadline=None)
@given(seed=SEED, k=st.integers(2, 8))
def test_allocate__other_order_of_variants__moves_a_share_by_a_tick_at_most(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    request = random_request(rng, k)
    order = rng.permutation(k)
    history = dataclasses.replace(
        request.history,
        **{name: getattr(request.history, name)[:, order] for name in ("impressions", "trials", "successes")},
    )
    control = None if request.control is None else int(np.flatnonzero(order == request.control)[0])
    turned = dataclasses.replace(
        request,
        history=history,
        control=control,
        active=request.active[order],
        previous=request.previous[order],
    )

    first, second = allocate_request(request), allocate_request(turned)

    assert np.abs(second.shares - first.shares[order]).max() <= 0.0001 + 1e-9


@settings(max_examples=20, deadline=None)
@given(seed=SEED)
def test_allocate_many__ragged_batch__answers_as_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    requests = [random_request(rng, int(rng.integers(1, 7))) for _ in range(5)]

    together = allocate_many(requests)

    for request, answer in zip(requests, together, strict=True):
        alone = allocate_request(request)
        np.testing.assert_array_equal(answer.shares, alone.shares)
        np.testing.assert_allclose(answer.probability_best, alone.probability_best, atol=1e-6)
        assert answer.bound == alone.bound


def test_allocate_many__nothing__answers_nothing() -> None:
    assert allocate_many([]) == []


def test_allocate_many__more_counts_than_fit__are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [random_request(np.random.default_rng(seed), 3) for seed in range(12)]
    at_once = allocate_many(requests)
    sizes: list[int] = []
    whole = engine_requests._allocate_batch

    def counted(batch: Sequence[Request], days: int) -> list[Decision]:
        sizes.append(len(batch))
        return whole(batch, days)

    monkeypatch.setattr(engine_requests, "_BATCH_COUNTS", 100)
    monkeypatch.setattr(engine_requests, "_allocate_batch", counted)
    in_parts = allocate_many(requests)

    assert len(sizes) > 3
    assert sum(sizes) == 12
    for one, other in zip(at_once, in_parts, strict=True):
        assert one.shares.tolist() == other.shares.tolist()


@pytest.mark.parametrize("prior", [5e-324, 1e-300])
def test_allocate__smallest_priors_that_floats_have__stay_finite(prior: float) -> None:
    counts = np.array([[1e12, 1.0, 0.0]])
    history = History(np.array([1]), counts, counts, np.array([[1e12, 0.0, 0.0]]))
    chosen = Settings(alpha_prior=prior, beta_prior=prior, exploitation=prior, min_impressions=0)

    answer = allocate(
        history,
        target_day=1,
        active=np.ones(3, dtype=bool),
        control=0,
        previous=np.full(3, np.nan),
        settings=chosen,
    )

    assert np.isfinite(answer.probability_best).all()
    assert answer.shares.sum() == pytest.approx(1)


@settings(max_examples=60)
@given(
    alpha_prior=st.sampled_from([1e-9, 0.01, 1.0, 1e6]),
    beta_prior=st.sampled_from([1e-9, 0.001, 1.0, 1e6]),
    trials=st.integers(1, 10**9),
    failures=st.integers(0, 2),
)
def test_allocate__rates_at_an_end__lie_in_their_intervals(
    alpha_prior: float, beta_prior: float, trials: int, failures: int
) -> None:
    given_priors = Settings(alpha_prior=alpha_prior, beta_prior=beta_prior, min_impressions=0)
    n = np.full((3, 2), float(trials + failures))
    for successes in (n - failures, n * 0 + failures):
        history = History(np.arange(1, 4), n, n, successes)
        (answer,) = allocate_many([make_request(history, settings=given_priors)])

        assert (answer.interval_low <= answer.mean).all()
        assert (answer.mean <= answer.interval_high).all()


def test_allocate__rate_outside_its_interval_by_the_rules_before__is_left_as_it_was_recorded() -> None:
    # of Beta(30, 0.001) less than 2.5% lies below 1 - 1e-12, and its mean is 0.99997
    n = np.full((3, 2), 10.0)
    own = Settings(alpha_prior=1e-9, beta_prior=0.001, min_impressions=0, dispersion=False)
    request = make_request(History(np.arange(1, 4), n, n, n), settings=own)

    before, now = allocate_many([dataclasses.replace(request, rules=3), request])

    assert (before.interval_low > before.mean).all()
    assert now.interval_low == pytest.approx(now.mean)
    assert (before.shares == now.shares).all()


def test_allocate__tiny_priors_by_the_rules_before__loses_what_was_recorded() -> None:
    # retired variants and those without data have Beta(0.001, 0.01): on bare panels their E[max] was off by 1e-5
    nothing = np.zeros((1, 2))
    own = Settings(alpha_prior=0.001, beta_prior=0.01, min_impressions=0)
    request = make_request(History(np.arange(1, 2), nothing, nothing, nothing), settings=own)

    before, now = allocate_many([dataclasses.replace(request, rules=4), request])

    # E[max] - E[theta] of two: half the mean difference, integral of F (1 - F)
    z = np.linspace(-45, 45, 200_001)
    below = special.betainc(0.001, 0.01, special.expit(z))
    exact = (below * (1 - below) * special.expit(z) * special.expit(-z)).sum() * (z[1] - z[0])
    assert now.expected_loss[0] == pytest.approx(exact, abs=1e-9)
    assert abs(before.expected_loss[0] - exact) > 1e-6
    assert (before.shares == now.shares).all()
