"""The values of orders: drawn one by one or at once, with the same means, variances and covariance."""

import numpy as np
import pytest

from allocation.engine.lab.backtest import PastTest, backtest, true_orders
from allocation.engine.lab.orders import OrderValues, draw_values
from allocation.engine.lab.policies import POLICIES, Even
from allocation.engine.lab.report import simulate_policies
from allocation.engine.lab.simulation import SCENARIOS, ScenarioName, make_world, simulate
from allocation.engine.settings import Settings
from tests.allocation.engine.test_value_decisions import decide, of_values

THREE = OrderValues(np.array([50.0, 60.0, 55.0]), 1.0)
RATES = np.full(3, 0.05)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("orders", [0, 1, 40, 300, 301, 5000])
def test_draw_values__so_many_orders__have_the_moments_of_log_normal_ones(orders: int) -> None:
    values = OrderValues(np.array([20.0]), 0.5)

    total, squares = draw_values(np.full((20_000, 1), orders), values, rng())

    # E[X^2] = 400 * 1.25; E[X^4] = 160000 * 1.25^6; E[X^3] = 8000 * 1.25^3
    assert total.mean() == pytest.approx(20 * orders, rel=0.01)
    assert total.var() == pytest.approx(100 * orders, rel=0.06)
    assert squares.mean() == pytest.approx(500 * orders, rel=0.02)
    assert squares.var() == pytest.approx((160_000 * 1.25**6 - 500**2) * orders, rel=0.2)
    covariance = ((total - total.mean()) * (squares - squares.mean())).mean()
    assert covariance == pytest.approx((8000 * 1.25**3 - 20 * 500) * orders, rel=0.1)
    assert (total * total <= squares * max(orders, 1) * (1 + 1e-9)).all()


def test_draw_values__values_that_do_not_vary__are_the_count_times_the_mean() -> None:
    total, squares = draw_values(np.array([[3, 1000]]), OrderValues(np.array([2.0, 5.0]), 0.0), rng())

    assert total[0] == pytest.approx([6, 5000])
    assert squares[0] == pytest.approx([12, 25_000])


def test_simulate__equal_conversion_dearer_orders__finds_the_best() -> None:
    world = make_world("constant", RATES, 2000, 60, 100, orders=THREE)

    results = simulate_policies({name: POLICIES[name] for name in ("thompson", "even")}, world, Settings(), 1)

    assert results["thompson"].best_in_front > 0.9
    # 5% of 2,000 visits on 60 days are worth 5 less, on average, than the best variant's
    assert results["even"].regret_mean == pytest.approx(0.05 * 2000 * 60 * 5, rel=0.01)
    assert results["thompson"].regret_mean < 0.6 * results["even"].regret_mean


def test_simulate__values__decides_as_production_does() -> None:
    world = make_world("weekend", RATES, 3000, 6, 2, orders=THREE)
    seen = []

    class Watched(Even):
        def shares(self, counts):  # type: ignore[no-untyped-def]
            seen.append(POLICIES["thompson"].shares(counts)[0])
            seen.append(of_values(counts.trials[0], counts.successes[0], counts.squares[0]))
            return super().shares(counts)

    simulate(world, Watched(), Settings(), rng())

    shares, history = seen[-2:]
    assert shares.tolist() == decide(history, previous=np.full(3, 1 / 3)).shares.tolist()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_simulate__any_scenario__has_values_and_their_squares(scenario: ScenarioName) -> None:
    world = make_world(scenario, RATES, 500, 16, 4, orders=THREE)

    outcome = simulate(world, POLICIES["thompson"], Settings(), rng(), stop=True)

    np.testing.assert_allclose(outcome.shares.sum(axis=2), 1)
    assert np.isfinite(outcome.regret).all()
    assert (outcome.regret >= -1e-6).all() or scenario in ("noisy", "weekday")


@pytest.mark.parametrize("name", POLICIES)
def test_policies__other_currency__split_the_same(name: str) -> None:
    in_cents = OrderValues(THREE.mean * 128, THREE.cv)

    one, other = (
        simulate(make_world("constant", RATES, 500, 5, 3, orders=orders), POLICIES[name], Settings(), rng())
        for orders in (THREE, in_cents)
    )

    np.testing.assert_allclose(other.shares, one.shares, atol=1e-9)
    np.testing.assert_allclose(other.regret, 128 * one.regret, rtol=1e-9)


def test_true_orders__past_test__is_drawn_toward_the_pooled_worth() -> None:
    test = PastTest(np.array([1000.0, 1000.0]), np.array([50.0, 70.0]), np.array([500.0, 1400.0]),
                    np.array([1e4, 5e4]))  # fmt: skip

    orders = true_orders(test)

    assert orders is not None
    assert orders.mean == pytest.approx([(500 + 0.15 * 1900) / (50 + 0.15 * 120), (1400 + 285) / (70 + 18)])
    assert orders.cv == pytest.approx(np.sqrt(6e4 / 120 / (1900 / 120) ** 2 - 1))


def test_backtest__values_beside_counts__are_played_each_in_its_own_unit() -> None:
    counts = PastTest(np.array([20_000.0, 20_000.0]), np.array([800.0, 1000.0]))
    values = PastTest(counts.impressions, counts.clicks, 10 * counts.clicks, 200 * counts.clicks)

    result = backtest([counts, values], Even(), Settings(), rng(), days=5, runs=20)

    assert result.regret_by_test[1] == pytest.approx(10 * result.regret_by_test[0], rel=0.05)
    assert result.best_in_front_by_test[0] > 0.9
