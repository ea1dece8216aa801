"""From answers to rows of the ledger: what is stored of a decision, and of the data it rests on."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from django.db.models import Exists, OuterRef

from allocation import engine
from allocation.engine.evidence.window import Window
from allocation.engine.state import state_of
from allocation.explanations import reason_sentence
from allocation.inputs import Question, digest
from allocation.models import Allocation, AllocationShare, Bound, Kind
from experiments.models import Status, Variant

_SHARE_STEP = Decimal("0.0001")


def ledger_row(question: Question, now: dt.datetime) -> Allocation:
    """The row as far as it is known before anything is computed."""
    inputs = question.inputs()
    return Allocation(
        experiment=question.experiment,
        target_date=question.target_date,
        revision=0,
        engine_version=engine.ENGINE_VERSION,
        inputs=inputs,
        inputs_digest=digest(inputs),
        created_at=now,
    )


def decide(rows: Sequence[tuple[Allocation, Question]]) -> list[AllocationShare]:
    """Fills the rows in and answers their shares; a completed experiment's is a matter of its status alone."""
    completed = [pair for pair in rows if pair[1].experiment.status == Status.COMPLETED]
    open_ones = [pair for pair in rows if pair[1].experiment.status != Status.COMPLETED]
    shares = [share for row, question in completed for share in _completed(row, question)]
    decisions = engine.allocate_many([question.request() for _, question in open_ones])
    for (row, question), decision in zip(open_ones, decisions, strict=True):
        shares += _decided(row, question, decision)
    return shares


def _completed(row: Allocation, question: Question) -> list[AllocationShare]:
    """All traffic to the winner, else to the control, else to the first active variant."""
    winner = _winner(question)
    row.kind = Kind.COMPLETED
    row.reason = f"The experiment is completed; {winner.name} gets all traffic."
    _set_window(row, question, question.request().window())
    return [
        AllocationShare(allocation=row, variant=v, share=Decimal(int(v == winner))) for v in question.variants
    ]


def _winner(question: Question) -> Variant:
    chosen = [variant for variant in question.variants if variant.pk == question.experiment.winner_id]
    active = [variant for variant in question.variants if variant.is_active]
    control = [variant for variant in active if variant.is_control]
    return (chosen + control + active)[0]


def _decided(row: Allocation, question: Question, decision: engine.Decision) -> list[AllocationShare]:
    names = [variant.name for variant in question.variants]
    active = [variant.is_active for variant in question.variants]
    row.kind = Kind.WARM_UP if decision.warm_up else Kind.OPTIMIZED
    row.state = state_of(decision, question.days_with_data)
    row.reason = reason_sentence(decision, names, active, question.settings)
    _set_window(row, question, decision.window)
    row.value_remaining = decision.value_remaining
    return [
        _share(row, question, decision, i) for i, variant in enumerate(question.variants) if variant.is_active
    ]


def _set_window(row: Allocation, question: Question, window: Window) -> None:
    if window.start is None or window.end is None:
        return
    start, end = dt.date.fromordinal(window.start), dt.date.fromordinal(window.end)
    row.window_start, row.window_end, row.data_through = start, end, end
    inside = [counts for counts in question.rows if start <= counts[0] <= end]
    row.window_impressions = sum(impressions for _, _, impressions, _, _ in inside)
    row.window_clicks = sum(clicks for _, _, _, clicks, _ in inside)


def _share(row: Allocation, question: Question, decision: engine.Decision, i: int) -> AllocationShare:
    """One variant's row of the ledger from the decision's arrays."""
    return AllocationShare(
        allocation=row,
        variant=question.variants[i],
        share=Decimal(float(decision.shares[i])).quantize(_SHARE_STEP),
        previous_share=Decimal(float(decision.previous[i])).quantize(_SHARE_STEP),
        trials=int(decision.trials[i]),
        successes=int(decision.successes[i]),
        effective_trials=float(decision.effective_trials[i]),
        evidence_kept=float(decision.evidence_kept[i]),
        posterior_alpha=float(decision.alpha[i]),
        posterior_beta=float(decision.beta[i]),
        rate=float(decision.mean[i]),
        rate_low=float(decision.interval_low[i]),
        rate_high=float(decision.interval_high[i]),
        probability_best=float(decision.probability_best[i]),
        expected_loss=float(decision.expected_loss[i]),
        target=float(decision.target[i]),
        bound=Bound(decision.bound[i]),
    )


_BATCH = 500


def prune_superseded(*, before: dt.datetime) -> int:
    """Deletes revisions recorded before then that a later one of the same date replaced; how many.

    The last revision of a date is in force, explains the next day's, and stays for ever.
    """
    later = Allocation.objects.filter(
        experiment=OuterRef("experiment"),
        target_date=OuterRef("target_date"),
        revision__gt=OuterRef("revision"),
    )
    superseded = Allocation.objects.filter(Exists(later), created_at__lt=before).order_by("pk")
    deleted = 0
    while batch := list(superseded.values_list("pk", flat=True)[:_BATCH]):
        Allocation.objects.filter(pk__in=batch).delete()
        deleted += len(batch)
    return deleted
