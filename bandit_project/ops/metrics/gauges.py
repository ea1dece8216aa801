"""Gauges that are read from the database at each scrape, so that every worker and machine answers the same."""

import datetime as dt
from collections.abc import Iterator, Mapping

from django.db import Error
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from allocation.limits import LIMITS, NO_LIMIT
from allocation.models import Allocation, AllocationShare, Kind
from allocation.selectors import without_decision
from bandit_project import __version__
from bandit_project.models import Heartbeat
from bandit_project.ops.heartbeats import seconds_since
from experiments.models import Experiment, Status
from experiments.selectors import today
from notifications.events import ALARM_KINDS
from notifications.models import Alarm, Delivery
from notifications.selectors import stale_experiments


class DatabaseCollector(Collector):
    """Collects the gauges. Without a database only bandit_database_up is there, as 0."""

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("bandit_build", "The version that runs.", {"version": __version__})
        try:
            found = list(_gauges(timezone.now(), today()))
        except Error:
            found = []
        yield GaugeMetricFamily("bandit_database_up", "1 where the database answers.", int(bool(found)))
        yield from found


def _gauges(now: dt.datetime, date: dt.date) -> Iterator[Metric]:
    statuses = Experiment.objects.order_by().values_list("status").annotate(n=Count("pk"))
    yield _by("bandit_experiments", "Experiments, by status.", "status", dict(statuses), Status.values)
    kinds = Allocation.objects.filter(target_date=date).order_by().values_list("kind").annotate(n=Count("pk"))
    yield _by(
        "bandit_decisions_today", "Decisions for today, by kind; revisions count.", "kind", dict(kinds), Kind.values
    )  # fmt: skip
    held = AllocationShare.objects.filter(allocation__target_date=date).exclude(bound=NO_LIMIT)
    bounds = held.order_by().values_list("bound").annotate(n=Count("pk"))
    limits = [bound for bound in LIMITS if bound != NO_LIMIT]
    yield _by(
        "bandit_limits_bound_today",
        "Shares for today that a limit held, by limit.",
        "limit",
        dict(bounds),
        limits,
    )
    yield GaugeMetricFamily(
        "bandit_experiments_without_decision",
        "Active experiments with variants that have no decision for today.",
        without_decision(date).count(),
    )
    yield GaugeMetricFamily(
        "bandit_stale_experiments",
        "Active experiments without data for NO_DATA_DAYS.",
        stale_experiments(date).count(),
    )
    active = Alarm.objects.filter(
        cleared_at=None, experiment__status=Status.ACTIVE, experiment__archived_at=None
    )
    alarms = active.order_by().values_list("kind").annotate(n=Count("pk"))
    yield _by(
        "bandit_alarms_open",
        "Alarms that hold now, by kind.",
        "kind",
        dict(alarms),
        [kind.value for kind in ALARM_KINDS],
    )
    yield from _deliveries(now)
    yield from _heartbeats(now)


def _heartbeats(now: dt.datetime) -> Iterator[Metric]:
    """Without a value where it never happened: an installation with cron has no scheduler to wait for."""
    ages = seconds_since(now)
    for job, name, documentation in (
        (Heartbeat.Job.SCHEDULER, "bandit_scheduler_age_seconds", "Time since the scheduler's last round."),
        (Heartbeat.Job.BACKUP, "bandit_backup_age_seconds", "Time since the last backup."),
    ):
        family = GaugeMetricFamily(name, documentation)
        if job in ages:
            family.add_metric([], ages[job])
        yield family


def _deliveries(now: dt.datetime) -> Iterator[Metric]:
    states = Delivery.objects.order_by().values_list("state").annotate(n=Count("pk"))
    yield _by(
        "bandit_deliveries", "Notifications kept in the log, by state.", "state", dict(states), Delivery.State.values
    )  # fmt: skip
    oldest = Delivery.objects.waiting().aggregate(oldest=Min("created_at"))["oldest"]
    yield GaugeMetricFamily(
        "bandit_delivery_backlog_seconds",
        "Age of the oldest notification that still waits.",
        (now - oldest).total_seconds() if oldest else 0,
    )


def _by(name: str, documentation: str, label: str, found: Mapping[str, int], known: list[str]) -> Metric:
    """A gauge by label, with 0 for each known value that is not found, so that an alert sees it rise."""
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value in known:
        family.add_metric([value], found.get(value, 0))
    return family
