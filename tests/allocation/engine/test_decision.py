"""From counts to shares: the whole way."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine import (
    FIRST_RULES,
    RULES,
    History,
    Settings,
    allocate_many,
    decision,
)
from allocation.engine.batch import SettingsArrays
from allocation.engine.state import state_of
from tests.allocation.engine.factories import (
    allocate_counts,
    allocate_request,
    make_history,
    make_request,
    random_request,
)

SEED = st.integers(0, 2**32 - 1)


NO_LIMITS = Settings(min_explore_rate=0, control_floor=0, max_daily_shift=1, min_impressions=0)


def test_allocate__first_day_of_the_readme__is_held_by_the_cap() -> None:
    answer = allocate_counts([[10_000, 10_000]], [[700, 950]])

    assert answer.shares.tolist() == [0.3, 0.7]
    assert answer.bound == ("cap_down", "cap_up")
    assert answer.alpha == pytest.approx([701, 951])
    # the prior is centred on 8.25%: one success in 12.12 trials
    assert answer.beta == pytest.approx([11.1212 + 9300, 11.1212 + 9050])
    assert answer.probability_best == pytest.approx([0, 1], abs=1e-9)
    assert answer.target == pytest.approx([0.025, 0.975], abs=1e-9)
    assert answer.lead == 1
    assert answer.value_remaining == 0
    assert (answer.window.start, answer.window.end) == (-363, 1)
    assert not answer.warm_up


def test_allocate__following_days__end_at_the_floors() -> None:
    previous, seen = np.full(2, np.nan), []
    for _ in range(4):
        answer = allocate_counts([[10_000, 10_000]], [[700, 950]], previous=previous)
        previous = answer.shares
        seen.append(float(previous[0]))

    assert seen == [0.3, 0.1, 0.1, 0.1]
    assert answer.bound == ("control_floor", "none")


def test_allocate__exploration_floor__is_named() -> None:
    answer = allocate_counts(
        [[10_000] * 3],
        [[950, 700, 700]],
        settings=Settings(max_daily_shift=1, min_explore_rate=0.3, exploitation=20),
    )

    assert answer.shares.tolist() == [0.8, 0.1, 0.1]


def test_allocate__one_variant__has_everything() -> None:
    answer = allocate_counts([[100]], [[3]])

    assert answer.shares.tolist() == [1]
    assert answer.probability_best == pytest.approx([1])
    assert answer.expected_loss == pytest.approx([0])


def test_allocate__no_active_variant__is_refused() -> None:
    with pytest.raises(ValueError, match="at least one active"):
        allocate_counts([[100, 100]], [[3, 3]], active=np.zeros(2, dtype=bool))


def test_allocate__no_data__is_uniform() -> None:
    answer = allocate_request(make_request(make_history([[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]])))

    assert answer.shares.tolist() == [0.3334, 0.3333, 0.3333]
    assert answer.warm_up
    assert answer.window.end is None


@pytest.mark.parametrize(("impressions", "warm_up"), [(499, True), (500, False)])
def test_allocate__warm_up__ends_with_enough_impressions(impressions: int, warm_up: bool) -> None:
    answer = allocate_counts([[impressions, 500]], [[10, 400]])

    assert answer.warm_up is warm_up
    assert (answer.shares.tolist() == [0.5, 0.5]) is warm_up


def test_allocate__one_variant_reporting__is_still_warming_up() -> None:
    answer = allocate_counts([[10_000, 0]], [[500, 0]])

    assert answer.warm_up
    assert answer.reporting == 1


def test_allocate__warm_up__still_obeys_the_cap() -> None:
    answer = allocate_counts([[1, 1]], [[0, 0]], previous=np.array([0.9, 0.1]))

    assert answer.shares.tolist() == [0.7, 0.3]


def test_allocate__new_variant__rises_by_the_cap_and_not_past_an_even_share() -> None:
    shares = np.array([0.4, 0.6, 0.0])
    history = make_history([[4000, 6000, 0]], [[200, 300, 0]])

    first = allocate_request(make_request(history, previous=shares))
    later = allocate_request(make_request(history, previous=np.array([0.3, 0.4, 0.3])))

    assert first.shares[2] <= 0.2
    assert later.shares[2] <= 0.3334
    assert first.bound[2] in {"cap_up", "low_evidence"}


def test_allocate__all_with_too_little_evidence__each_is_named_whatever_the_last_digit() -> None:
    history = dataclasses.replace(make_history([[35, 50]], [[5, 20]]), earlier_impressions=5000.0)

    answer = allocate_request(make_request(history, settings=Settings(control_floor=0)))

    # the first target is 0.5 less one in the 17th digit
    assert answer.target.tolist() == pytest.approx([0.5, 0.5])
    assert answer.bound == ("low_evidence", "low_evidence")


def test_allocate__retired_variant__leaves_at_once() -> None:
    answer = allocate_counts(
        [[5000] * 3], [[250] * 3], active=np.array([True, False, True]), previous=np.array([0.2, 0.6, 0.2])
    )

    assert answer.shares.tolist() == [0.5, 0, 0.5]
    assert answer.previous.tolist() == [0.5, 0, 0.5]
    assert answer.trials.tolist() == [5000] * 3


@pytest.mark.parametrize(("adjusted", "leader"), [(True, 1), (False, 0)])
def test_allocate__simpsons_paradox__needs_the_day_adjustment(adjusted: bool, leader: int) -> None:
    answer = allocate_counts(
        [[9000, 1000], [1000, 9000]], [[900, 120], [50, 540]], settings=Settings(day_adjustment=adjusted)
    )

    assert answer.lead == leader


def test_allocate__only_days_without_success__keeps_a_variant_at_an_even_share() -> None:
    answer = allocate_counts([[5000, 5000, 0], [0, 0, 9000]], [[250, 250, 0], [0, 0, 0]], settings=NO_LIMITS)

    assert answer.shares[2] <= 0.3334


def test_allocate__exploitation__is_greedier() -> None:
    plain = allocate_counts([[5000, 5000]], [[250, 260]], settings=NO_LIMITS)
    sharp = allocate_counts(
        [[5000, 5000]], [[250, 260]], settings=dataclasses.replace(NO_LIMITS, exploitation=4)
    )

    assert sharp.shares[1] > plain.shares[1] > 0.5


def test_allocate__prior__is_added_to_the_counts() -> None:
    answer = allocate_counts([[100, 200]], [[10, 20]], settings=Settings(alpha_prior=3, beta_prior=7))

    assert answer.alpha.tolist() == [13, 23]
    assert answer.beta.tolist() == [97, 187]
    assert answer.mean == pytest.approx([13 / 110, 23 / 210])


@settings(deadline=None)
@given(seed=SEED, k=st.integers(2, 6))
def test_allocate__variant_without_data__is_never_lead(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    request = random_request(rng, k)
    place = int(rng.integers(k + 1))
    grown = dataclasses.replace(
        request,
        history=dataclasses.replace(
            request.history,
            **{
                name: np.insert(getattr(request.history, name), place, 0, axis=1)
                for name in ("impressions", "trials", "successes")
            },
        ),
        active=np.insert(request.active, place, True),
        control=None,
        previous=np.insert(request.previous, place, 0),
    )

    before, after = allocate_request(dataclasses.replace(request, control=None)), allocate_request(grown)

    if np.delete(after.trials, place)[request.active].any():
        assert after.lead != place
        assert after.low_evidence[place]
    np.testing.assert_allclose(np.delete(after.alpha, place), before.alpha, rtol=1e-6)
    np.testing.assert_allclose(np.delete(after.evidence_kept, place), before.evidence_kept, rtol=1e-6)


def test_lead_of__nobody_has_enough_data__is_the_likeliest_with_data() -> None:
    best, mean = np.array([[0.25, 0.35, 0.4]]), np.full((1, 3), 0.05)
    everyone, reporting = np.ones((1, 3), dtype=bool), np.array([[True, True, False]])

    assert decision.lead_of(best, mean, everyone, everyone, reporting).tolist() == [1]
    assert decision.lead_of(best, mean, everyone, everyone, ~everyone).tolist() == [2]
    assert decision.lead_of(best, mean, everyone, reporting, reporting).tolist() == [2]


@pytest.mark.parametrize(("rules", "is_reported"), [(RULES, False), (FIRST_RULES, True)])
def test_allocate__change_months_ago_in_weekly_reports__is_not_reported(
    rules: int, is_reported: bool
) -> None:
    n, o = np.full((40, 2), 10_000.0), np.array([[500.0, 600.0]] * 20 + [[600.0, 500.0]] * 20)
    history = History(7 * np.arange(1, 41), n, n, o)

    (answer,) = allocate_many([make_request(history, rules=rules)])

    assert (answer.change_day is not None) == is_reported


def test_allocate__rates_swapped__the_present_leads_and_the_change_is_reported() -> None:
    trials = [[2000.0, 2000.0]] * 60
    successes = [[80.0, 120.0]] * 40 + [[120.0, 80.0]] * 20

    answer = allocate_counts(trials, successes)
    forgetful = allocate_counts(trials, successes, settings=Settings(memory=False))

    assert (answer.lead, forgetful.lead) == (0, 1)
    assert answer.change_day == 41
    assert forgetful.change_day is None
    assert answer.day_weights[39] < 0.01 < 0.99 < answer.day_weights[41]
    assert answer.trials.tolist() == [120_000, 120_000]
    assert answer.effective_trials.sum() == pytest.approx(80_000, rel=0.01)


def test_allocate__newcomer_with_ten_impressions__is_neither_best_nor_lead() -> None:
    # case 20a: the page said that it can be chosen
    trials, successes = [[10_000.0, 10_000.0, 0.0]] * 14, [[10.0, 11.0, 0.0]] * 14
    trials[-1], successes[-1] = [10_000.0, 10_000.0, 10.0], [10.0, 11.0, 0.0]

    answer = allocate_counts(trials, successes)

    assert answer.lead == 1
    assert answer.low_evidence.tolist() == [False, False, True]
    assert state_of(answer, [14, 14, 1]) == "optimizing"


def test_settings_arrays__of_one__are_made_once_and_cannot_be_changed() -> None:
    arrays = SettingsArrays.of([Settings(alpha_prior=3)])

    assert SettingsArrays.of([Settings(alpha_prior=3)]) is arrays
    with pytest.raises(ValueError, match="read-only"):
        arrays.alpha_prior[0] = 4
    assert SettingsArrays.of([Settings(alpha_prior=4)]).alpha_prior.tolist() == [[4.0]]
