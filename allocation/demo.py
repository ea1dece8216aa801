"""A believable installation: months of history made by running the service forward, day by day.

Each day's traffic is split as the service had decided for that day, and each decision rests on the counts up to
the day before. Only the rates are invented; histories, shares and counts agree because they were made in order.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from django.db import transaction

from allocation.ledger.entries import Entry
from allocation.services import complete_experiment, compute_allocations
from experiments.campaign.models import GuardAction
from experiments.campaign.watch import add_guard
from experiments.ingestion.record import record_events
from experiments.metrics import DailyCounts, Reward
from experiments.models import Experiment, Status, Variant
from experiments.services import change_status, create_experiment

_WEEKEND_TRAFFIC, _WEEKEND_RATE = 0.65, 1.25
# Standard deviation of the logarithm of an order's value.
_ORDER_SPREAD = 0.8


@dataclass(frozen=True)
class DemoExperiment:
    """``rates``: each variant's success rate on a weekday. ``joins``: the day a variant first gets traffic.

    ``order_value``: the median of what a conversion is worth; 0 without values. ``worth``: how many times as much those
    of a variant are. ``guards``: metrics that must not fall, each by so many percent at most.
    """

    name: str
    description: str
    days: int
    daily_traffic: int
    rates: dict[str, float]
    reward: Reward = Reward.CTR
    ends_as: Status = Status.ACTIVE
    quiet_days: int = 0
    joins: dict[str, int] | None = None
    order_value: float = 0
    worth: dict[str, float] | None = None
    guards: dict[Reward, float] | None = None
    campaign: dict[str, Any] | None = None


DEMO = (
    DemoExperiment(
        "Homepage headline",
        "Four headlines above the fold. The benefit-led one pulls ahead within weeks.",
        118,
        5200,
        {"control": 0.046, "benefit": 0.0535, "question": 0.0475, "urgency": 0.044},
        guards={Reward.CONVERSION_RATE: 15},
    ),
    DemoExperiment(
        "Checkout button",
        "Does a green button with the price on it sell more than the plain one?",
        92,
        3100,
        {"control": 0.031, "green_with_price": 0.0335},
        Reward.CONVERSION_RATE,
        order_value=48,
        campaign={"owner": "Shop team", "tags": ["shop", "checkout"], "currency": "EUR"},
    ),
    DemoExperiment(
        "Product card image",
        "Lifestyle photo, studio photo or video loop on the category page. Close to a tie.",
        74,
        2400,
        {"control": 0.082, "lifestyle": 0.084, "video_loop": 0.0835},
    ),
    DemoExperiment(
        "Free delivery from",
        "Free delivery from 50 or from 80: fewer orders, but larger ones? What counts is the revenue per visitor.",
        58,
        2800,
        {"control": 0.03, "from_50": 0.0315, "from_80": 0.0285},
        Reward.VALUE_PER_IMPRESSION,
        order_value=42,
        worth={"from_80": 1.32, "from_50": 1.04},
        guards={Reward.CONVERSION_RATE: 20},
        campaign={"owner": "Shop team", "tags": ["shop", "delivery"], "currency": "EUR"},
    ),
    DemoExperiment(
        "Pricing page layout",
        "Three columns against a slider. Completed: the slider won.",
        96,
        1500,
        {"control": 0.058, "slider": 0.071, "table": 0.055},
        Reward.CONVERSION_RATE,
        ends_as=Status.COMPLETED,
    ),
    DemoExperiment(
        "Onboarding email subject",
        "Paused while the mail provider is moved.",
        66,
        900,
        {"control": 0.21, "first_name": 0.225, "emoji": 0.2},
        ends_as=Status.PAUSED,
        quiet_days=6,
    ),
    DemoExperiment(
        "Search result snippet",
        "A fourth snippet joined after six weeks and had to earn its share.",
        84,
        4100,
        {"control": 0.12, "with_rating": 0.126, "with_price": 0.119, "with_both": 0.134},
        joins={"with_both": 42},
    ),
    DemoExperiment(
        "Footer newsletter box",
        "Little traffic: still collecting before anything is optimized.",
        9,
        70,
        {"control": 0.02, "with_incentive": 0.028},
    ),
    DemoExperiment(
        "Mobile navigation",
        "Planned for next sprint; not started.",
        0,
        0,
        {},
        ends_as=Status.DRAFT,
    ),
)


def seed_demo(
    *,
    today: dt.date,
    now: dt.datetime,
    seed: int,
    progress: Callable[[], object] = lambda: None,
    stories: Sequence[DemoExperiment] = DEMO,
) -> list[Experiment]:
    """Creates the demo's experiments; ``progress`` is called after each day. All or nothing."""
    rng = np.random.default_rng(seed)
    longest = max(demo.days for demo in stories)
    with transaction.atomic():
        pairs = [(demo, _create(demo, today, now)) for demo in stories]
        for age in range(longest, 0, -1):
            _live_through(pairs, today - dt.timedelta(days=age), age, rng)
            progress()
        for demo, experiment in pairs:
            _finish(demo, experiment, today, now)
        active = [experiment.pk for demo, experiment in pairs if demo.ends_as is Status.ACTIVE]
        compute_allocations(experiment_ids=active, target_date=today, now=now, announce=False)
    return [experiment for _, experiment in pairs]


def _create(demo: DemoExperiment, today: dt.date, now: dt.datetime) -> Experiment:
    started = now - dt.timedelta(days=demo.days)
    status = Status.DRAFT if demo.ends_as is Status.DRAFT else Status.ACTIVE
    created = create_experiment(
        name=demo.name,
        description=demo.description,
        status=status,
        reward=demo.reward,
        campaign=demo.campaign,
        now=started,
    )
    for metric, most in (demo.guards or {}).items():
        add_guard(
            experiment_id=created.pk, metric=metric, max_fall=most, action=GuardAction.TELL, now=started
        )
    return created


def _live_through(
    pairs: Sequence[tuple[DemoExperiment, Experiment]], date: dt.date, age: int, rng: np.random.Generator
) -> None:
    """Play one day: decide for every experiment, then record its traffic."""
    morning = dt.datetime.combine(date, dt.time(0, 5), tzinfo=dt.UTC)
    running = [(demo, experiment) for demo, experiment in pairs if demo.days >= age > demo.quiet_days]
    started = [experiment.pk for demo, experiment in running if demo.days > age]
    outcomes = compute_allocations(experiment_ids=started, target_date=date, now=morning, announce=False)
    shares = {outcome.experiment_id: _split(outcome.entry) for outcome in outcomes if outcome.entry}
    for demo, experiment in running:
        rows = _traffic(demo, date, demo.days - age, shares.get(experiment.pk, {}), rng)
        record_events(
            experiment_id=experiment.pk,
            rows=rows,
            today=date,
            now=morning + dt.timedelta(hours=23, minutes=50),
            source=None,
        )


def _split(entry: Entry) -> dict[str, float]:
    return {share.variant.name: float(share.share) for share in entry.shares}


def _traffic(
    demo: DemoExperiment, date: dt.date, day: int, shares: dict[str, float], rng: np.random.Generator
) -> list[DailyCounts]:
    """The day's counts under ``shares``; a variant that joins today gets a small first taste."""
    present = [name for name in demo.rates if (demo.joins or {}).get(name, 0) <= day]
    split = np.array([shares.get(name, 0.02 if shares else 1.0) for name in present])
    weekend = date.weekday() >= 5
    visitors = rng.poisson(
        demo.daily_traffic * (_WEEKEND_TRAFFIC if weekend else 1.0) * rng.lognormal(0, 0.06)
    )
    level = (_WEEKEND_RATE if weekend else 1.0) * rng.lognormal(0, 0.05)
    impressions = rng.multinomial(visitors, split / split.sum())
    return [
        _counts(demo, date, name, int(n), level, rng) for name, n in zip(present, impressions, strict=True)
    ]


def _counts(
    demo: DemoExperiment, date: dt.date, name: str, impressions: int, level: float, rng: np.random.Generator
) -> DailyCounts:
    """Successes at the variant's rate; what the reward does not count is filled in around them."""
    successes = int(rng.binomial(impressions, min(demo.rates[name] * level, 1.0)))
    if demo.reward is Reward.CTR:
        return DailyCounts(date, name, impressions, successes, int(rng.binomial(successes, 0.18)))
    clicks = successes + int(rng.binomial(impressions - successes, 0.12))
    return _with_values(demo, DailyCounts(date, name, impressions, clicks, successes))


def _with_values(demo: DemoExperiment, row: DailyCounts) -> DailyCounts:
    """Add log-normal order values, of a generator of their own: the counts are those without values."""
    if not demo.order_value:
        return row
    own = np.random.default_rng([row.date.toordinal(), *row.variant_name.encode()])
    median = demo.order_value * (demo.worth or {}).get(row.variant_name, 1.0)
    orders = np.round(median * own.lognormal(0, _ORDER_SPREAD, row.conversions), 2)
    total = Decimal(round(100 * float(orders.sum()))) / 100
    return row._replace(value_sum=total, value_squares=float((orders**2).sum()))


def _finish(demo: DemoExperiment, experiment: Experiment, today: dt.date, now: dt.datetime) -> None:
    if demo.ends_as is Status.PAUSED:
        change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=now)
    if demo.ends_as is Status.COMPLETED:
        best = max(demo.rates, key=lambda name: demo.rates[name])
        winner = Variant.objects.get(experiment=experiment, name=best)
        complete_experiment(experiment_id=experiment.pk, target_date=today, now=now, winner_id=winner.pk)
