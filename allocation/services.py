"""Compute allocations and keep the decision log. Views, commands and the admin call these and nothing else.

The last revision of a date rests on the last revision of the date before it: so the daily cap holds between them, what
was gained is closed day by day, and the log says how traffic was split. A new revision would take that ground from the
decisions for later dates. Days that have not begun are decided again on it; for an earlier date than that of a decision
that is in force, or was, nothing new is decided.
"""

import datetime as dt
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from allocation.alerts import alert_on_decisions
from allocation.campaigns.guard_alerts import alert_on_guards
from allocation.engine import Settings
from allocation.exceptions import LaterDecisionError, NoActiveVariantError
from allocation.ledger.basis import basis_of
from allocation.ledger.days.reading import first_read
from allocation.ledger.days.statements import DayColumns
from allocation.ledger.entries import Entry, compute_entries
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.loading import effective_settings, load_inputs
from allocation.ledger.statements import (
    ForAllocation,
    read_for_allocation,
    read_one,
    read_recorded,
    shares_of,
    variant_keys,
)
from allocation.ledger.writing import write_entries
from allocation.models import Allocation
from allocation.selectors import experiments_for_allocation
from allocation.traffic.alarms import settle_mismatches
from allocation.traffic.results import beside_mismatches
from experiments.database.moment import one_moment
from experiments.events import log_event_on_commit
from experiments.exceptions import DomainError, ExperimentNotFoundError, InvalidError, Issue
from experiments.models import Experiment, Status, Variant
from experiments.services import change_status, lock_experiments, steps_to_lock
from experiments.settings_schema import SettingValue


@dataclass(frozen=True)
class Outcome:
    """The result for one of many experiments: its entry in the decision log, or the error that prevented one."""

    experiment_id: int
    entry: Entry | None = None
    error: DomainError | None = None


def compute_allocation(
    *, experiment_id: int, target_date: dt.date, now: dt.datetime, for_visitors: bool = False
) -> Entry:
    """Compute and record the allocation for a date; equal inputs answer the revision recorded already.

    ``for_visitors``: they wait, probably for a decision about what came since the last one. The days are then read at
    once, and the traffic is not compared with its split again for a state that the revision before has, too.
    Raises ExperimentNotFoundError, StatusConflictError, NoActiveVariantError, LaterDecisionError, InvalidError
    (settings that clash).
    """
    with transaction.atomic():
        read = _lock_and_read(experiment_id, target_date, with_days=for_visitors)
        how = _How(now, announce=True, even_paused=False, for_visitors=for_visitors)
        (outcome,) = _decide([experiment_id], target_date, how, read)
    if outcome.entry is None:
        raise outcome.error or _not_found(experiment_id)
    return outcome.entry


def known_allocation(*, experiment_id: int, target_date: dt.date) -> Entry | None:
    """Find the decision for a date if nothing that it rests on has changed since; None where it must be computed.

    It takes no lock, waits for nobody and writes nothing: of one moment, the decision and what it rests on agree.
    """
    found, latest = read_for_allocation([experiment_id], target_date, first_read(target_date))
    settings, _errors = _settings_or_errors([experiment_id], found, even_paused=False)
    last, chosen = latest.get(experiment_id), settings.get(experiment_id)
    if last is None or chosen is None or last.basis != basis_of(found[experiment_id], chosen):
        return None
    shares = read_recorded(last)
    if not shares:
        return None  # deleted meanwhile
    entry = Entry(last, tuple(shares))
    entry.attach(found[experiment_id])
    return entry


def compute_allocations(
    *,
    experiment_ids: Sequence[int],
    target_date: dt.date,
    now: dt.datetime,
    announce: bool = True,
    even_paused: bool = False,
    looked_at: Mapping[int, int] = MappingProxyType({}),
) -> list[Outcome]:
    """Compute and record the allocations of many experiments in one transaction; one that fails stops no other.

    The outcomes are in the order of ``experiment_ids``. Without ``announce`` there are no alerts and no lines in the
    log: for invented histories. ``even_paused`` is for one that was paused before anything was decided.
    ``looked_at``: the data versions, by id, of those whose traffic was compared with its split just now.
    """
    how = _How(now, announce, even_paused, looked_at)
    with transaction.atomic():
        # Two computations of one experiment follow each other: the second finds the first's row.
        lock_experiments(experiment_ids)
        return _decide(experiment_ids, target_date, how, _read(experiment_ids, target_date))


def complete_experiment(
    *,
    experiment_id: int,
    target_date: dt.date,
    now: dt.datetime,
    winner_id: int | None = None,
    decision_reason: str = "",
) -> Allocation | None:
    """End an experiment, with the reason for it, and record, in the same transaction, that the winner gets all traffic
    from now on.

    Its traffic is compared with its split a last time: no sweep looks at what has ended, and its result is shown beside
    that alarm for good.

    None where there is no variant yet. Raises InvalidError for a winner that is retired, and the errors of
    change_status and compute_allocation.
    """
    with transaction.atomic():
        lock_experiments([experiment_id])
        settle_mismatches(variant_keys([experiment_id]), now)
        experiment = change_status(
            experiment_id=experiment_id,
            to=Status.COMPLETED,
            now=now,
            winner_id=winner_id,
            decision_reason=decision_reason,
        )
        _refuse_retired(experiment.winner)
        if not experiment.variants.exists():
            return None
        return compute_allocation(experiment_id=experiment_id, target_date=target_date, now=now).allocation


@one_moment()
def preview_allocation(
    *, experiment_id: int, target_date: dt.date, now: dt.datetime, overrides: Mapping[str, SettingValue]
) -> Entry:
    """The allocation as it would be with other settings; records nothing."""
    experiment = find_for_allocation(experiment_id, target_date)
    _refuse_not_running(experiment)
    entry = compute_entries([current_inputs(experiment, target_date, overrides)], now)[0]
    entry.attach(experiment)
    return entry


def find_for_allocation(experiment_id: int, target_date: dt.date) -> Experiment:
    """The experiment as current_inputs takes it; raises ExperimentNotFoundError."""
    found = experiments_for_allocation(target_date).filter(pk=experiment_id).first()
    if found is None:
        raise _not_found(experiment_id)
    return found


def current_inputs(
    experiment: Experiment, target_date: dt.date, overrides: Mapping[str, SettingValue] | None = None
) -> AllocationInputs:
    """The inputs of an allocation for ``target_date``, for reads: without a lock, whatever the status, with values.

    ``experiment`` comes from ``experiments_for_allocation(target_date)``. Raises NoActiveVariantError and
    InvalidError (settings that clash).
    """
    _refuse_without_variants(experiment)
    settings = {experiment.pk: effective_settings(experiment, overrides)}
    return load_inputs([experiment], settings, target_date, with_values=True)[0]


def _not_found(experiment_id: int) -> ExperimentNotFoundError:
    return ExperimentNotFoundError(f"There is no experiment {experiment_id}.")


class _How(NamedTuple):
    """When it is decided; the rest as compute_allocations has it."""

    now: dt.datetime
    announce: bool
    even_paused: bool
    looked_at: Mapping[int, int] = MappingProxyType({})
    for_visitors: bool = False


class _Read(NamedTuple):
    """The experiments and their decisions for a date, and the counts of their days, if they were read with them."""

    experiments: ForAllocation
    columns: DayColumns | None = None


def _lock_and_read(experiment_id: int, target_date: dt.date, *, with_days: bool) -> _Read:
    """Lock an experiment and read it, in statements that are sent at once."""
    span = target_date, first_read(target_date)
    found, columns = read_one(experiment_id, *span, after=steps_to_lock(experiment_id), with_days=with_days)
    return _Read(found, columns)


def _read(experiment_ids: Sequence[int], target_date: dt.date) -> _Read:
    return _Read(read_for_allocation(experiment_ids, target_date, first_read(target_date)))


def _decide(experiment_ids: Sequence[int], target_date: dt.date, how: _How, read: _Read) -> list[Outcome]:
    """Decide for a date, then again for those later ones that rest on what has changed; the experiments are locked."""
    found, latest = read.experiments
    settings, errors = _settings_or_errors(experiment_ids, found, even_paused=how.even_paused)
    bases = {pk: basis_of(found[pk], chosen) for pk, chosen in settings.items()}
    unsure = [found[pk] for pk, basis in bases.items() if pk not in latest or latest[pk].basis != basis]
    loaded = load_inputs(unsure, settings, target_date, read.columns)
    inputs = [one for one in loaded if not _is_known(one, latest)]
    new = {one.experiment_id for one in inputs}
    later = _next_dates(found[pk] for pk in new)
    errors |= _refusals(later, how)
    known = [latest[pk] for pk in settings if pk not in new]
    changed = [one for one in inputs if one.experiment_id not in errors]
    entries = [*_recorded_before(known, found), *_record(changed, latest, found, bases, how)]
    _decide_what_follows({pk: date for pk, date in later.items() if pk not in errors}, how)
    decided = {entry.allocation.experiment_id: entry for entry in entries}
    return [Outcome(pk, entry=decided.get(pk), error=errors.get(pk)) for pk in experiment_ids]


def _next_dates(experiments: Iterable[Experiment]) -> dict[int, dt.date]:
    """The next later date with a decision, by the id of each experiment that has one."""
    dates = ((experiment.pk, getattr(experiment, "next_decision", None)) for experiment in experiments)
    return {pk: date for pk, date in dates if date is not None}


def _refusals(later: Mapping[int, dt.date], how: _How) -> dict[int, DomainError]:
    """Refuse each experiment whose decision for a later date, by its id, has split traffic already."""
    if not later:
        return {}
    today = timezone.localdate(how.now)
    return {pk: LaterDecisionError.of(date) for pk, date in later.items() if date <= today}


def _decide_what_follows(later: Mapping[int, dt.date], how: _How) -> None:
    """Decide again for the next date that has a decision; what follows on that follows."""
    planned: defaultdict[dt.date, list[int]] = defaultdict(list)
    for pk, date in later.items():
        planned[date].append(pk)
    for date, ids in sorted(planned.items()):
        _decide(ids, date, how, _read(ids, date))


def _settings_or_errors(
    experiment_ids: Sequence[int], found: Mapping[int, Experiment], *, even_paused: bool
) -> tuple[dict[int, Settings], dict[int, DomainError]]:
    """The settings of each experiment that can be computed, and the error of each that cannot."""
    settings: dict[int, Settings] = {}
    errors: dict[int, DomainError] = {pk: _not_found(pk) for pk in experiment_ids if pk not in found}
    for pk, experiment in sorted(found.items()):
        try:
            if even_paused and experiment.status == Status.PAUSED:
                _refuse_without_variants(experiment)
            else:
                _refuse_not_running(experiment)
            settings[pk] = effective_settings(experiment)
        except DomainError as error:
            errors[pk] = error
    return settings, errors


def _refuse_not_running(experiment: Experiment) -> None:
    if experiment.status in {Status.DRAFT, Status.PAUSED}:
        is_draft = experiment.status == Status.DRAFT
        raise experiment.status_conflict(
            _("has not started.") if is_draft else _("is paused and computes nothing new.")
        )
    _refuse_without_variants(experiment)


def _refuse_without_variants(experiment: Experiment) -> None:
    variants = experiment.every_variant()
    if not any(variant.is_active for variant in variants):
        raise NoActiveVariantError.of(experiment.key, has_retired=bool(variants))


def _refuse_retired(winner: Variant | None) -> None:
    """A retired variant has no share, and cannot be activated once the experiment is completed."""
    if winner is not None and not winner.is_active:
        message = _("%(name)r is inactive; reactivate it first, or name another variant") % {
            "name": winner.name
        }
        raise InvalidError([Issue("winner", "retired", message)])


def _is_known(inputs: AllocationInputs | None, latest: Mapping[int, Allocation]) -> bool:
    last = latest.get(inputs.experiment_id) if inputs else None
    return inputs is not None and last is not None and last.inputs_digest == inputs.digest


def _recorded_before(allocations: Sequence[Allocation], experiments: Mapping[int, Experiment]) -> list[Entry]:
    if not allocations:
        return []
    shares = shares_of(allocations)
    entries = [Entry(allocation, tuple(shares[allocation.pk])) for allocation in allocations]
    for entry in entries:
        entry.attach(experiments[entry.allocation.experiment_id])
    return entries


def _record(
    inputs: Sequence[AllocationInputs],
    latest: Mapping[int, Allocation],
    experiments: Mapping[int, Experiment],
    bases: Mapping[int, int],
    how: _How,
) -> list[Entry]:
    """Compute and write new entries: one bulk write of allocations, one of shares."""
    started = time.perf_counter()
    computed = compute_entries(inputs, how.now)
    seconds = time.perf_counter() - started
    if how.announce:
        compared = _looked_at(experiments, how)
        if how.for_visitors:
            compared |= _as_before(computed, latest)
        computed = beside_mismatches(computed, how.now, compared)
    entries = [replace(entry, is_new=True) for entry in computed if not _is_known(entry.inputs, latest)]
    for entry in entries:
        pk = entry.allocation.experiment_id
        entry.attach(experiments[pk])
        _follow(entry.allocation, latest.get(pk))
        entry.allocation.basis = _basis(entry, experiments[pk], bases[pk])
    write_entries(entries)
    if entries and how.announce:
        alert_on_decisions(entries, how.now)
        alert_on_guards(entries, how.now)
        for entry in entries:
            _log_decision(entry, 1000 * seconds / len(entries))
    new = {entry.allocation.experiment_id for entry in entries}
    known = [latest[one.experiment_id] for one in inputs if one.experiment_id not in new]
    return [*entries, *_recorded_before(known, experiments)]


def _looked_at(experiments: Mapping[int, Experiment], how: _How) -> set[int]:
    """The experiments to which nothing has come since their traffic was compared with its split."""
    return {pk for pk, one in experiments.items() if how.looked_at.get(pk) == one.data_version}


def _as_before(entries: Sequence[Entry], latest: Mapping[int, Allocation]) -> set[int]:
    """The experiments whose state is that of the revision before: to compare their traffic would take as long as to
    decide.
    """
    return {
        entry.allocation.experiment_id
        for entry in entries
        if (last := latest.get(entry.allocation.experiment_id)) and last.state == entry.allocation.state
    }


def _basis(entry: Entry, experiment: Experiment, before: int) -> int:
    """Make the number again where the decision itself has raised the alarm of a mismatch."""
    if entry.inputs is None or entry.inputs.mismatch == vars(experiment)["has_mismatch"]:
        return before
    vars(experiment)["has_mismatch"] = entry.inputs.mismatch
    return basis_of(experiment, entry.inputs.settings)


def _follow(row: Allocation, last: Allocation | None) -> None:
    """Number the revision; a clock that was set back does not put it before the one that it replaces."""
    row.revision = last.revision + 1 if last else 1
    row.created_at = max(row.created_at, last.created_at) if last else row.created_at


def _log_decision(entry: Entry, milliseconds: float) -> None:
    """``milliseconds``: this decision's part of the time that its batch took to compute."""
    row = entry.allocation
    log_event_on_commit(
        "allocation.computed",
        experiment=row.experiment_id,
        target_date=row.target_date.isoformat(),
        revision=row.revision,
        kind=str(row.kind),
        state=str(row.state),
        inputs_digest=row.inputs_digest,
        engine_version=row.engine_version,
        bounds=dict(Counter(str(share.bound) for share in entry.shares)),
        duration_ms=round(milliseconds, 2),
    )
