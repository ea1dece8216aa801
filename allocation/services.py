"""Compute allocations and keep the ledger. Views, commands and the admin call these and nothing else."""

import datetime as dt
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db import Error, InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from allocation import engine
from allocation.announcements import announce_decisions
from allocation.exceptions import AllocationFailedError, NoActiveVariantError
from allocation.inputs import Question, effective_settings, load_questions, variants_in_order
from allocation.ledger import decide, ledger_row
from allocation.models import Allocation, AllocationShare
from experiments.events import log_problem_event
from experiments.exceptions import DomainError, ExperimentNotFoundError, InvalidError, Issue
from experiments.models import Experiment, Status, Variant
from experiments.services import change_status, lock_experiments
from experiments.settings_schema import SettingValue

logger = logging.getLogger(__name__)

_CHUNK = 200


@dataclass(frozen=True)
class Outcome:
    """What came of one experiment in a sweep: its allocation, or why there is none."""

    experiment_id: int
    allocation: Allocation | None = None
    error: DomainError | None = None
    is_new: bool = False


def compute_allocation(*, experiment_id: int, target_date: dt.date, now: dt.datetime) -> Allocation:
    """Computes and records the allocation for a date; equal inputs answer the revision recorded already.

    Raises ExperimentNotFoundError, StatusConflictError, NoActiveVariantError, InvalidError (settings that clash).
    """
    return compute_or_find(experiment_id=experiment_id, target_date=target_date, now=now)[0]


def compute_or_find(*, experiment_id: int, target_date: dt.date, now: dt.datetime) -> tuple[Allocation, bool]:
    """The same, and whether a new revision was recorded."""
    outcome = compute_allocations(experiment_ids=[experiment_id], target_date=target_date, now=now)[0]
    if outcome.allocation is None:
        raise outcome.error or ExperimentNotFoundError(f"There is no experiment {experiment_id}.")
    return outcome.allocation, outcome.is_new


def compute_allocations(
    *, experiment_ids: Sequence[int], target_date: dt.date, now: dt.datetime, quiet: bool = False
) -> list[Outcome]:
    """The same for many experiments, in one transaction; what fails fails alone.

    ``quiet`` tells nobody: for invented histories.
    """
    with transaction.atomic():
        # Two computations of one experiment follow each other: the second finds the first's row.
        lock_experiments(experiment_ids)
        experiments = _with_everything(experiment_ids, target_date)
        outcomes, settings = _refusals(experiment_ids, experiments)
        ready = [experiment for experiment in experiments if experiment.pk in settings]
        questions = load_questions(ready, settings, target_date)
        outcomes += _record(questions, now, quiet=quiet)
    place = {pk: index for index, pk in enumerate(experiment_ids)}
    return sorted(outcomes, key=lambda outcome: place[outcome.experiment_id])


def compute_all(*, target_date: dt.date, now: dt.datetime) -> Iterator[Outcome]:
    """Every active experiment, in chunks of a transaction each; the outcomes as they come."""
    ids = list(Experiment.objects.filter(status=Status.ACTIVE).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), _CHUNK):
        for outcome in _compute_chunk(ids[start : start + _CHUNK], target_date, now):
            if outcome.error is not None:
                log_problem_event(
                    "allocation.failed", experiment=outcome.experiment_id, code=outcome.error.code
                )
            yield outcome


def _compute_chunk(ids: Sequence[int], target_date: dt.date, now: dt.datetime) -> list[Outcome]:
    """A chunk that fails as a whole is taken apart: whatever was wrong with one must not stop the others.

    Raises OperationalError or InterfaceError where the database is away: the sweep is to be run again.
    """
    try:
        return compute_allocations(experiment_ids=ids, target_date=target_date, now=now)
    except Exception as error:
        if _database_is_away(error):
            raise
        logger.exception("allocation failed for %s", ids[0] if len(ids) == 1 else f"{len(ids)} experiments")
        if len(ids) == 1:
            return [Outcome(ids[0], error=AllocationFailedError(f"{type(error).__name__}: {error}"))]
    return [outcome for pk in ids for outcome in _compute_chunk([pk], target_date, now)]


def _database_is_away(error: Exception) -> bool:
    """Whether it is away for everybody; a lock or a deadlock is the matter of one chunk."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    try:
        connection.ensure_connection()
        return not connection.is_usable()
    except Error:
        return True


def complete_experiment(
    *, experiment_id: int, target_date: dt.date, now: dt.datetime, winner_id: int | None = None
) -> Allocation | None:
    """Ends an experiment and records, in the same transaction, that the winner gets all traffic from now on.

    None where there is no variant yet. Raises InvalidError for a winner that is retired, and the errors of
    change_status and compute_allocation.
    """
    with transaction.atomic():
        experiment = change_status(
            experiment_id=experiment_id, to=Status.COMPLETED, now=now, winner_id=winner_id
        )
        _refuse_retired(experiment.winner)
        if not experiment.variants.exists():
            return None
        return compute_allocation(experiment_id=experiment_id, target_date=target_date, now=now)


def _refuse_retired(winner: Variant | None) -> None:
    """A retired variant has no share, and cannot be brought back once the experiment is completed."""
    if winner is not None and not winner.is_active:
        message = _("%(name)r is retired; bring it back first, or name another variant") % {
            "name": winner.name
        }
        raise InvalidError([Issue("winner", "retired", message)])


def preview_allocation(
    *, experiment_id: int, target_date: dt.date, now: dt.datetime, overrides: Mapping[str, SettingValue]
) -> tuple[Allocation, list[AllocationShare]]:
    """What the allocation would be with other settings; records nothing."""
    question = load_question(experiment_id, target_date, overrides)
    _refuse(question.experiment)
    allocation = ledger_row(question, now)
    return allocation, decide([(allocation, question)])


def load_question(
    experiment_id: int, date: dt.date, overrides: Mapping[str, SettingValue] | None = None
) -> Question:
    """What an allocation for ``date`` would rest on; for reads, without a lock."""
    experiments = _with_everything([experiment_id], date)
    if not experiments:
        raise ExperimentNotFoundError(f"There is no experiment {experiment_id}.")
    return question_about(experiments[0], date, overrides)


def question_about(
    experiment: Experiment, date: dt.date, overrides: Mapping[str, SettingValue] | None = None
) -> Question:
    """The same for an experiment that was read already, with its summary for ``date`` and its variants."""
    _refuse_without_variants(experiment)
    settings = effective_settings(experiment, overrides)
    return load_questions([experiment], {experiment.pk: settings}, date)[0]


def with_everything(target_date: dt.date) -> "QuerySet[Experiment]":
    """Experiments as questions need them: with the summary of their data and their variants in order."""
    return Experiment.objects.with_data_summary(target_date).prefetch_related(variants_in_order())


def _with_everything(experiment_ids: Sequence[int], target_date: dt.date) -> list[Experiment]:
    return list(with_everything(target_date).filter(pk__in=experiment_ids).order_by("pk"))


def _refusals(
    experiment_ids: Sequence[int], experiments: Sequence[Experiment]
) -> tuple[list[Outcome], dict[int, engine.Settings]]:
    """Who cannot be computed and why, and the settings of those who can."""
    found = {experiment.pk for experiment in experiments}
    outcomes = [
        Outcome(pk, error=ExperimentNotFoundError(f"There is no experiment {pk}."))
        for pk in experiment_ids
        if pk not in found
    ]
    settings: dict[int, engine.Settings] = {}
    for experiment in experiments:
        try:
            _refuse(experiment)
            settings[experiment.pk] = effective_settings(experiment)
        except DomainError as error:
            outcomes.append(Outcome(experiment.pk, error=error))
    return outcomes, settings


def _refuse(experiment: Experiment) -> None:
    if experiment.status in {Status.DRAFT, Status.PAUSED}:
        is_draft = experiment.status == Status.DRAFT
        raise experiment.status_conflict(
            _("has not started.") if is_draft else _("is paused and computes nothing new.")
        )
    _refuse_without_variants(experiment)


def _refuse_without_variants(experiment: Experiment) -> None:
    variants = experiment.variants.all()
    if not any(variant.is_active for variant in variants):
        message = (
            _("Experiment %(key)r has no active variant; bring one back.")
            if variants
            else _("Experiment %(key)r has no active variant; post its first events.")
        )
        raise NoActiveVariantError(message % {"key": experiment.key})


def _record(questions: Sequence[Question], now: dt.datetime, *, quiet: bool) -> list[Outcome]:
    """Answers the questions and writes what is new: one bulk write of allocations, one of shares."""
    if not questions:
        return []
    target_date = questions[0].target_date
    existing = Allocation.objects.filter(
        experiment__in=[q.experiment for q in questions], target_date=target_date
    ).last_revisions()
    latest = {allocation.experiment_id: allocation for allocation in existing.defer("inputs")}
    answers: dict[int, Allocation] = {}
    fresh: list[tuple[Allocation, Question]] = []
    for question in questions:
        row = ledger_row(question, now)
        last = latest.get(row.experiment_id)
        if last is not None and last.inputs_digest == row.inputs_digest:
            answers[row.experiment_id] = last
        else:
            row.revision = last.revision + 1 if last else 1
            # a clock that was set back does not put it before the one it replaces
            row.created_at = max(row.created_at, last.created_at) if last else row.created_at
            fresh.append((row, question))
    started = time.perf_counter()
    shares = decide(fresh)
    seconds = time.perf_counter() - started
    rows = [row for row, _ in fresh]
    Allocation.objects.bulk_create(rows)
    AllocationShare.objects.bulk_create(shares, batch_size=1000)
    if fresh and not quiet:
        announce_decisions(rows, shares, now, seconds)
    answers |= {row.experiment_id: row for row, _ in fresh}
    new = {row.experiment_id for row, _ in fresh}
    return [Outcome(pk, allocation=allocation, is_new=pk in new) for pk, allocation in answers.items()]
