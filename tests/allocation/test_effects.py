"""Words for the intervals of a lift: clearly or likely better or worse, or open."""

import pytest

from allocation.statistics.variants import AlwaysValidUplift, Effect, VariantRate, effect_of

pytestmark = pytest.mark.database_free


def rate(low: float | None, high: float | None, always: AlwaysValidUplift | None) -> VariantRate:
    return VariantRate(
        variant_key="b",
        variant_name="b",
        is_control=False,
        is_active=True,
        trials=1000,
        successes=100,
        rate=0.1,
        rate_low=0.08,
        rate_high=0.12,
        enough_data=True,
        uplift=None if low is None or high is None else (low + high) / 2,
        uplift_low=low,
        uplift_high=high,
        uplift_always_valid=always,
    )


@pytest.mark.parametrize(
    ("credible", "always", "effect"),
    [
        # the demo's free-delivery-from, whose page said "clearly worse"
        ((-0.193, -0.008), (-0.236, 0.048), Effect.LIKELY_WORSE),
        ((-0.193, -0.008), (-0.236, -0.001), Effect.CLEARLY_WORSE),
        ((-0.193, -0.008), (-0.236, None), Effect.LIKELY_WORSE),
        ((-0.193, -0.008), None, Effect.LIKELY_WORSE),
        ((-0.1, 0.1), (-0.2, -0.01), Effect.OPEN),
        ((-0.1, 0.1), None, Effect.OPEN),
        ((0.01, 0.2), (-0.05, 0.3), Effect.LIKELY_BETTER),
        ((0.01, 0.2), (None, 0.3), Effect.LIKELY_BETTER),
        ((0.01, 0.2), (0.001, None), Effect.CLEARLY_BETTER),
        ((None, None), None, Effect.OPEN),
    ],
)
def test_effect__is_clear_only_where_a_daily_look_allows_it(
    credible: tuple[float | None, float | None],
    always: tuple[float | None, float | None] | None,
    effect: Effect,
) -> None:
    interval = None if always is None else AlwaysValidUplift(*always, 0.1)

    assert effect_of(rate(*credible, interval)) == effect
