"""Rates that change from day to day."""

import numpy as np
import pytest

from allocation.engine.lab.scenarios import CHANGING, ChangingName, daily_rates

RATES = np.array([0.04, 0.06, 0.05])


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_daily_rates__swap__reverses_the_order_halfway() -> None:
    rates = daily_rates("swap", RATES, 7, 2, rng())

    np.testing.assert_allclose(rates[:, :3], np.broadcast_to(RATES, (2, 3, 3)))
    np.testing.assert_allclose(rates[:, 3:], np.broadcast_to([0.06, 0.04, 0.05], (2, 4, 3)))


def test_daily_rates__drift__walks_from_the_rates_given() -> None:
    logs = np.log(daily_rates("drift", RATES, 40, 500, rng()))

    np.testing.assert_allclose(logs[:, 0], np.broadcast_to(np.log(RATES), (500, 3)))
    assert np.diff(logs, axis=1).std() == pytest.approx(0.02, rel=0.03)
    assert (logs[:, -1] - logs[:, 0]).std() == pytest.approx(0.02 * np.sqrt(39), rel=0.1)


def test_daily_rates__noisy__varies_about_the_rates_each_day_anew() -> None:
    off = np.log(daily_rates("noisy", RATES, 40, 500, rng()) / RATES)

    assert off.mean() == pytest.approx(0, abs=0.003)
    assert off.std() == pytest.approx(0.15, rel=0.02)
    assert np.corrcoef(off[:, 0, 0], off[:, 1, 0])[0, 1] == pytest.approx(0, abs=0.15)


def test_daily_rates__weekday__favours_the_second_on_two_days_of_seven() -> None:
    rates = daily_rates("weekday", RATES, 14, 1, rng())[0]

    np.testing.assert_allclose(rates[[5, 6, 12, 13]], np.broadcast_to([0.04, 0.078, 0.045], (4, 3)))
    np.testing.assert_allclose(rates[[0, 4, 7, 11]], np.broadcast_to(RATES, (4, 3)))


@pytest.mark.parametrize(("k", "expected"), [(1, [0.05]), (2, [0.05, 0.065])])
def test_daily_rates__weekday_of_few_variants__makes_none_worse(k: int, expected: list[float]) -> None:
    rates = daily_rates("weekday", np.full(k, 0.05), 7, 1, rng())

    assert rates[0, 6].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("scenario", CHANGING)
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_daily_rates__ends_of_the_range__stay_rates(scenario: ChangingName, rate: float) -> None:
    rates = daily_rates(scenario, np.full(3, rate), 15, 4, rng())

    assert rates.shape == (4, 15, 3)
    assert ((rates >= 0) & (rates <= 1)).all()


def test_swap__variant_without_successes__has_the_bests_rate_afterwards() -> None:
    daily = daily_rates("swap", np.array([0.0, 0.1]), 4, 1, np.random.default_rng(1))

    assert daily[0].tolist() == [[0, 0.1], [0, 0.1], [0.1, 0], [0.1, 0]]
