"""Reads that several modules share."""

import datetime as dt
from collections.abc import Collection, Iterable

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from experiments.database.rows import places, rows_of
from experiments.exceptions import ExperimentNotFoundError
from experiments.metrics import COUNTS, MEASURE_NAMES, MEASURES, DailyCounts, Measure, Reward
from experiments.models import DailyMetric, Experiment

# As many digits as every 64-bit id can have.
_ID_DIGITS = 18


def today() -> dt.date:
    """Return the current day in the installation's time zone."""
    return timezone.localdate()


def find_experiment(reference: int | str, experiments: "QuerySet[Experiment] | None" = None) -> Experiment:
    """Return the experiment with this id or key; raise ExperimentNotFoundError."""
    chosen = Experiment.objects.all() if experiments is None else experiments
    column, value = id_or_key(reference)
    found = chosen.filter(**{column: value}).first()
    if found is None:
        raise not_found(reference)
    return found


def id_or_key(reference: int | str) -> tuple[str, int | str]:
    """Return the column that ``reference`` names, and its value there; raise ExperimentNotFoundError for neither."""
    text = str(reference)
    if text.isascii() and text.isdigit():
        if len(text) <= _ID_DIGITS:
            return "id", int(text)
    elif "\x00" not in text:
        return "key", text
    raise not_found(reference)


def not_found(reference: int | str) -> ExperimentNotFoundError:
    message = _("There is no experiment %(reference)r.") % {"reference": str(reference)[:100]}
    return ExperimentNotFoundError(message, field="experiment_id")


def day_ahead(experiment: Experiment, date: dt.date) -> dt.date | None:
    """Find the first day after ``date`` with data: clients of time zones ahead may have begun tomorrow. One query."""
    later = DailyMetric.objects.filter(variant__experiment=experiment, date__gt=date)
    return later.order_by("date").values_list("date", flat=True).first()


def find_experiment_id(reference: str) -> int:
    """Return the id behind an id or a key. An id is not looked up: its use shows if there is none."""
    if reference.isascii() and reference.isdigit() and len(reference) <= _ID_DIGITS:
        return int(reference)
    return find_experiment(reference).pk


def find_experiment_ids(references: Collection[str]) -> dict[str, int]:
    """Find the ids behind these ids and keys, by the reference that was given; one query."""
    ids = {r: int(r) for r in references if r.isascii() and r.isdigit() and len(r) <= _ID_DIGITS}
    keys = {r for r in references if not r.isdigit() and "\x00" not in r}
    by_key = _ids_by_key(ids.values(), keys)
    known_ids = set(by_key.values())
    # an id may be written in several ways, 7 and 007
    found = {reference: pk for reference, pk in ids.items() if pk in known_ids}
    return found | {key: by_key[key] for key in keys if key in by_key}


def _ids_by_key(ids: Collection[int], keys: Collection[str]) -> dict[str, int]:
    """Read the keys and ids of the experiments that have one of these; one query."""
    wanted = [("id", ids), ("key", keys)]
    conditions = [f"{column} IN ({places(given)})" for column, given in wanted if given]
    if not conditions:
        return {}
    sql = f"SELECT key, id FROM experiments_experiment WHERE {' OR '.join(conditions)}"  # noqa: S608 (places only)
    return {key: pk for key, pk in rows_of(sql, [*ids, *keys])}  # noqa: C416 (it says what a row is)


def daily_rows(experiments: Iterable[Experiment], most: int | None = None) -> dict[int, list[DailyCounts]]:
    """Read every day of every variant, by experiment id, oldest first, without a model instance for each row; one
    query, of at most so many rows.
    """
    rows: dict[int, list[DailyCounts]] = {experiment.pk: [] for experiment in experiments}
    found = DailyMetric.objects.filter(variant__experiment_id__in=list(rows)).order_by("date", "variant_id")
    fields = ("variant__experiment_id", "date", "variant__name", *MEASURE_NAMES)
    for experiment_id, *row in found.values_list(*fields)[:most]:
        rows[experiment_id].append(DailyCounts(*row))
    return rows


def measures_of(experiments: "QuerySet[Experiment]") -> tuple[Measure, ...]:
    """Return what is observed of these experiments: the counts, and values where a goal is one or a day has any."""
    goals = [goal for goal in Reward if goal.is_value]
    of_value = experiments.filter(reward__in=goals)
    return MEASURES if of_value.exists() or _have_values(experiments) else COUNTS


def measures_of_one(experiment: Experiment) -> tuple[Measure, ...]:
    """Return what is observed of an experiment; at most one query."""
    is_valued = experiment.goal.is_value or _have_values(Experiment.objects.filter(pk=experiment.pk))
    return MEASURES if is_valued else COUNTS


def _have_values(experiments: "QuerySet[Experiment]") -> bool:
    rows = DailyMetric.objects.filter(variant__experiment__in=experiments.values("pk"))
    return rows.filter(Q(value_sum__gt=0) | Q(value_squares__gt=0)).exists()
