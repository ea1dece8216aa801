"""Experiments that give alarms, and what was notified."""

import datetime as dt

from allocation.sweep import begin_sweep
from allocation.traffic.alarms import alert_on_traffic
from experiments.models import Experiment
from notifications.models import Event
from notifications.selectors import active_experiments
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record


def date_of(age: int) -> dt.date:
    return TODAY - dt.timedelta(days=age)


def kinds() -> list[str]:
    return list(Event.objects.order_by("created_at", "deliveries__pk").values_list("kind", flat=True))


def look_at_traffic(date: dt.date = TODAY) -> None:
    """As the sweep does before it decides."""
    begin_sweep(target_date=date, now=NOW)
    alert_on_traffic(list(active_experiments().values_list("pk", flat=True)), date, NOW)


def leading(days: int = 5, name: str = "Button colour") -> Experiment:
    experiment = make_experiment(name, min_impressions=100)
    for age in range(days, 0, -1):
        day = date_of(age)
        record(experiment, counts("control", 1000, 50, date=day), counts("b", 1000, 90, date=day))
    return experiment


def mismatched(name: str = "Button colour") -> Experiment:
    """Split evenly, but a tenth of b's traffic never arrives."""
    experiment = make_experiment(name, min_impressions=10**6)
    for age in range(5, 0, -1):
        day = date_of(age)
        record(experiment, counts("control", 1000, 50, date=day), counts("b", 700, 35, date=day))
        allocate(experiment, day)
    return experiment


def swapped() -> Experiment:
    experiment = make_experiment(min_impressions=0)
    for age in range(60, 0, -1):
        rates = (100, 200) if age > 20 else (200, 100)
        rows = [
            counts(name, 4000, rate, date=date_of(age))
            for name, rate in zip(("control", "b"), rates, strict=True)
        ]
        record(experiment, *rows)
    return experiment
