"""Recording of observations: a day's totals or increments, all rows or none."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from types import MappingProxyType
from typing import Literal, NamedTuple

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from experiments.audit import record_history
from experiments.audit.intake import IntakeLine, line_of_caller, note_intake
from experiments.events import log_event_on_commit
from experiments.exceptions import ExperimentNotFoundError, InvalidError, InvalidRowsError, Issue
from experiments.ingestion.closed import refusals_of
from experiments.ingestion.combining import Write, recorded_in_company
from experiments.ingestion.long_past import long_past_issues
from experiments.ingestion.new_names import NewVariants, new_name_issues
from experiments.ingestion.single_values import SingleValues, with_single_values
from experiments.ingestion.upsert import (
    PlacedCounts,
    ids_by_name,
    raise_data_versions,
    upsert_daily_metrics,
    variants_of,
)
from experiments.ingestion.validation import (
    count_issues,
    have_no_issues,
    increased_issues,
    increment_issues,
    total_issues,
)
from experiments.metrics import (
    EXACT_DIGITS,
    MEASURE_NAMES,
    NO_TOTALS,
    NO_VALUE,
    VALUE_PLACES,
    DailyCounts,
    DayTotals,
    Reward,
    columns_of,
    every_goal_takes,
    some_goal_refuses,
)
from experiments.models import MAX_VARIANTS, DailyMetric, Experiment, Variant
from experiments.selectors import find_experiment_ids
from experiments.services import lock_experiments
from experiments.text import written_day
from experiments.variants import new_variants

# set: the rows are the day's totals. add: they are added to what is stored.
Mode = Literal["set", "add"]
# Origin of rows; a label of the metrics.
Source = Literal["api", "csv", "dashboard", "admin", "command", "counts"]
# Sources of programs, which have a line a day in the history; people's edits are there one by one.
_PROGRAMS = frozenset({"api", "counts"})
# A smaller value, with the decimal places that it may have, has no more digits than SQLite keeps.
_EXACT_VALUE = Decimal(10) ** (EXACT_DIGITS - VALUE_PLACES)


class Recorded(NamedTuple):
    """Numbers of rows, new variants and experiments of one ingestion, and of single values that the cap cut.

    ``new_variant_names``: the names of those variants.
    """

    rows: int
    new_variants: int
    experiments: int = 1
    values_capped: int = 0
    new_variant_names: tuple[str, ...] = ()


def record_events(
    *,
    experiment_id: int,
    rows: Sequence[DailyCounts],
    today: dt.date,
    now: dt.datetime,
    mode: Mode = "set",
    source: Source | None = "api",
    new_variants: NewVariants = "create",
) -> Recorded:
    """Set (or add to) the daily totals of one experiment, all rows or none; create unknown variants, or refuse them.

    ``source`` is logged; with None the caller logs the whole itself.
    Raises InvalidRowsError with positions in ``rows``, ExperimentNotFoundError, StatusConflictError.
    """
    return _record([(experiment_id, row) for row in rows], today, now, mode, source, new_variants)


def record_batch(
    *,
    rows: Sequence[tuple[str, DailyCounts]],
    today: dt.date,
    now: dt.datetime,
    mode: Mode = "set",
    source: Source = "api",
    values: SingleValues = MappingProxyType({}),
    new_variants: NewVariants = "create",
) -> Recorded:
    """Record rows of many experiments, each beside its experiment's id or key: all or none.

    ``values`` are single values of rows, by position; mode add adds them up, cut at the experiment's cap.
    Raises InvalidRowsError (an unknown experiment is a problem of its row), StatusConflictError.
    """
    found = find_experiment_ids({reference for reference, _ in rows})
    unknown = [
        (
            index,
            Issue(
                "experiment_id", ExperimentNotFoundError.code, f"there is no experiment {reference[:100]!r}"
            ),
        )
        for index, (reference, _) in enumerate(rows)
        if reference not in found
    ]
    if unknown:
        raise InvalidRowsError(unknown)
    placed, cut = [(found[reference], counts) for reference, counts in rows], 0
    if values:
        placed, cut = with_single_values(placed, values, mode)
    return _record(placed, today, now, mode, source, new_variants, cut)


def record_placed(
    *,
    rows: Sequence[PlacedCounts],
    today: dt.date,
    now: dt.datetime,
    mode: Mode = "set",
    new_variants: NewVariants = "create",
    are_checked: bool = False,
) -> Recorded:
    """Record rows beside the ids of their experiments; the caller logs the whole, and may have checked each row."""
    return _record(rows, today, now, mode, None, new_variants, are_checked=are_checked)


def _record(
    rows: Sequence[PlacedCounts],
    today: dt.date,
    now: dt.datetime,
    mode: Mode,
    source: Source | None,
    policy: NewVariants,
    values_capped: int = 0,
    *,
    are_checked: bool = False,
) -> Recorded:
    ids = sorted({experiment_id for experiment_id, _ in rows})
    _refuse_bad_rows(rows, ids, today, mode, policy, are_checked=are_checked)
    created: tuple[str, ...] = ()
    is_simple = mode == "set" and every_goal_takes(columns_of(row for _, row in rows))
    line = line_of_caller(source, today) if source in _PROGRAMS else None
    if not (is_simple and recorded_in_company(Write(rows, ids, now, line))):
        try:
            created = _record_in_steps(rows, ids, now, mode, policy, line)
        except IntegrityError:
            _refuse_what_kept_values_forbid(rows, ids)
            raise
    counted = {
        "rows": len(rows),
        "new_variants": len(created),
        "experiments": len(ids),
        "values_capped": values_capped,
    }
    if source is not None:
        one = ids[0] if len(ids) == 1 else None
        log_event_on_commit("events.recorded", source=source, mode=mode, experiment=one, **counted)
    return Recorded(**counted, new_variant_names=tuple(dict.fromkeys(created)))


def _record_in_steps(
    rows: Sequence[PlacedCounts],
    experiment_ids: Sequence[int],
    now: dt.datetime,
    mode: Mode,
    policy: NewVariants,
    line: IntakeLine | None,
) -> tuple[str, ...]:
    """Record under the experiments' locks what one statement cannot, with a reason for each refusal; return the
    names of new variants.
    """
    with transaction.atomic():
        _raise_data_versions(experiment_ids, min(counts.date for _pk, counts in rows))
        variants, created = _variant_ids(experiment_ids, rows, now, policy)
        totals = [(variants[pk, counts.variant_name], counts) for pk, counts in rows]
        _refuse_two_names_of_one(totals)
        if mode == "add":
            totals = _added_to_stored(totals)
        _refuse_what_goals_cannot_take([experiment_id for experiment_id, _ in rows], totals)
        if connection.vendor == "sqlite":
            _refuse_what_sqlite_would_round(totals)
        upsert_daily_metrics(totals, now)
        if line is not None:
            note_intake(Counter(pk for pk, _ in rows), line, now)
    return created


def _refuse_what_kept_values_forbid(rows: Sequence[PlacedCounts], experiment_ids: Sequence[int]) -> None:
    """Refuse counts that do not fit the values which are stored and stay."""
    ids = ids_by_name(variants_of(experiment_ids))
    totals = [(ids.get((experiment_id, row.variant_name), 0), row) for experiment_id, row in rows]
    stored = _stored_totals(totals)
    message = _(
        "%(problem)s. The value is the stored one, as none is given: give the value, too, or 0 for none"
    )
    found = [
        (index, issue._replace(message=message % {"problem": issue.message}))
        for index, (variant_id, row) in enumerate(totals)
        if not row.has_values and (before := stored.get((variant_id, row.date)))
        for issue in total_issues(row.with_values(before))
    ]
    if found:
        raise InvalidRowsError(found)


def _refuse_bad_rows(
    rows: Sequence[PlacedCounts],
    ids: Sequence[int],
    today: dt.date,
    mode: Mode,
    policy: NewVariants,
    *,
    are_checked: bool,
) -> None:
    if not rows:
        raise InvalidError([Issue("rows", "empty", "give at least one row")])
    found = [] if are_checked else _issues_of_rows([counts for _, counts in rows], today, mode)
    found += _twice(rows) + long_past_issues(rows, today)
    if found:
        # names that cannot be variants, too: all that is wrong in one answer
        known = variants_of(ids)
        found += new_name_issues(rows, _missing_names(rows, ids_by_name(known)), known, policy)
        raise InvalidRowsError(sorted(found, key=itemgetter(0)))


def _issues_of_rows(rows: Sequence[DailyCounts], today: dt.date, mode: Mode) -> list[tuple[int, Issue]]:
    if mode == "set" and have_no_issues(rows, today):
        return []
    issues_of = increment_issues if mode == "add" else count_issues
    return [(index, issue) for index, row in enumerate(rows) for issue in issues_of(row, today)]


def _twice(rows: Sequence[PlacedCounts]) -> list[tuple[int, Issue]]:
    """Find the rows of a variant and day that an earlier row has."""
    places = [(experiment_id, row.date, row.variant_name) for experiment_id, row in rows]
    if len(set(places)) == len(places):
        return []
    found: list[tuple[int, Issue]] = []
    seen: set[tuple[int, dt.date, str]] = set()
    message = _("'%(name)s' is given twice for %(date)s")
    for index, place in enumerate(places):
        if place in seen:
            _id, date, name = place
            issue = Issue("variant_name", "duplicate", message % {"name": name, "date": written_day(date)})
            found.append((index, issue))
        seen.add(place)
    return found


def _raise_data_versions(experiment_ids: Sequence[int], first: dt.date) -> None:
    """Lock the experiments by a guarded UPDATE; refuse those that take no events."""
    if len(experiment_ids) > 1:
        lock_experiments(experiment_ids)
    if raise_data_versions(experiment_ids, first) == len(experiment_ids):
        return
    for refusal in refusals_of(experiment_ids).values():
        raise refusal


def _variant_ids(
    experiment_ids: Sequence[int], rows: Sequence[PlacedCounts], now: dt.datetime, policy: NewVariants
) -> tuple[dict[tuple[int, str], int], tuple[str, ...]]:
    """Find each row's variant by name or key and create the missing ones. Call under the experiments' locks."""
    known = variants_of(experiment_ids)
    ids = ids_by_name(known)
    missing = _missing_names(rows, ids)
    if missing:
        if refused := new_name_issues(rows, missing, known, policy):
            raise InvalidRowsError(refused)
        _refuse_too_many(rows, missing, [e for e, *_ in known])
        with_control = {e for e, *_, is_control in known if is_control}
        new = [
            variant
            for e, names in missing.items()
            for variant in new_variants(e, list(names), has_control=e in with_control, now=now)
        ]
        made = Variant.objects.bulk_create(new)
        record_history(made, created=True)
        ids |= {(v.experiment_id, v.name): v.pk for v in made}
    return ids, tuple(name for names in missing.values() for name in names)


def _missing_names(
    rows: Sequence[PlacedCounts], ids: Mapping[tuple[int, str], int]
) -> dict[int, dict[str, None]]:
    """Return the names that no variant has, by experiment, in the order of the rows."""
    missing: defaultdict[int, dict[str, None]] = defaultdict(dict)
    for experiment_id, counts in rows:
        if (experiment_id, counts.variant_name) not in ids:
            missing[experiment_id][counts.variant_name] = None
    return missing


def _refuse_too_many(
    rows: Sequence[PlacedCounts], missing: dict[int, dict[str, None]], known: Sequence[int]
) -> None:
    message = _("an experiment has at most %(most)s variants; this one would be more") % {
        "most": MAX_VARIANTS
    }
    issue = Issue("variant_name", "too_many_variants", message)
    beyond = {
        (e, name)
        for e, names in missing.items()
        for name in list(names)[max(MAX_VARIANTS - known.count(e), 0) :]
    }
    if found := [
        (index, issue) for index, (e, counts) in enumerate(rows) if (e, counts.variant_name) in beyond
    ]:
        raise InvalidRowsError(found)


def _refuse_two_names_of_one(rows: Sequence[PlacedCounts]) -> None:
    """Refuse a day under both the name and the key of one renamed variant: those would be two totals."""
    if len({(variant_id, counts.date) for variant_id, counts in rows}) == len(rows):
        return
    seen: set[tuple[int, dt.date]] = set()
    found: list[tuple[int, Issue]] = []
    for index, (variant_id, counts) in enumerate(rows):
        if (variant_id, counts.date) in seen:
            message = _("is another name of a variant given already for this date")
            found.append((index, Issue("variant_name", "duplicate", message)))
        seen.add((variant_id, counts.date))
    if found:
        raise InvalidRowsError(found)


def _refuse_what_goals_cannot_take(experiment_ids: Sequence[int], totals: Sequence[PlacedCounts]) -> None:
    """Refuse totals that the goal of their experiment cannot take; call under the experiments' locks, which keep it."""
    if every_goal_takes(columns_of(row for _id, row in totals)):
        return
    doubtful = [index for index, (_id, row) in enumerate(totals) if some_goal_refuses(row)]
    chosen = Experiment.objects.filter(pk__in={experiment_ids[index] for index in doubtful})
    goals = {pk: Reward(reward) for pk, reward in chosen.values_list("pk", "reward")}
    found = [
        (index, Issue(field, "too_many", message))
        for index in doubtful
        for field, message in [goals[experiment_ids[index]].problem(totals[index][1]) or ("", "")]
        if field
    ]
    if found:
        raise InvalidRowsError(found)


def _refuse_what_sqlite_would_round(totals: Sequence[PlacedCounts]) -> None:
    """Refuse sums of more digits than SQLite's numbers keep; PostgreSQL keeps them all."""
    if max((row.value_sum or NO_VALUE for _id, row in totals), default=NO_VALUE) < _EXACT_VALUE:
        return
    message = _("SQLite keeps %(digits)s digits of a value; round %(value)s, or use PostgreSQL")
    found = [
        (index, Issue("value_sum", "too_precise", message % {"digits": EXACT_DIGITS, "value": row.value_sum}))
        for index, (_id, row) in enumerate(totals)
        if row.value_sum and len(row.value_sum.normalize().as_tuple().digits) > EXACT_DIGITS
    ]
    if found:
        raise InvalidRowsError(found)


def _added_to_stored(rows: Sequence[PlacedCounts]) -> list[PlacedCounts]:
    """Add the rows to what is stored; the experiments' locks keep that from changing meanwhile."""
    stored = _stored_totals(rows)
    before = [stored.get((variant_id, row.date), NO_TOTALS) for variant_id, row in rows]
    sums = [(variant_id, row.plus(totals)) for (variant_id, row), totals in zip(rows, before, strict=True)]
    found = [
        (index, issue._replace(message=_("the day's total: %(problem)s") % {"problem": issue.message}))
        for index, (_id, row) in enumerate(sums)
        for issue in increased_issues(row, before[index])
    ]
    if found:
        raise InvalidRowsError(found)
    return sums


def _stored_totals(rows: Sequence[PlacedCounts]) -> dict[tuple[int, dt.date], DayTotals]:
    """Read what is stored for the rows' variants and days."""
    stored = DailyMetric.objects.filter(
        variant_id__in={variant_id for variant_id, _row in rows}, date__in={row.date for _id, row in rows}
    )
    return {
        (variant_id, date): DayTotals(*totals)
        for variant_id, date, *totals in stored.values_list("variant_id", "date", *MEASURE_NAMES)
    }
