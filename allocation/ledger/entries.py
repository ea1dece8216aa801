"""Entries of the decision log: what is stored of a decision and of the data it rests on, and for how long."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from django.db.models import Exists, OuterRef, prefetch_related_objects
from django.utils.translation import gettext as _

from allocation import engine
from allocation.engine.analysis.gains import Rewards, new_gains
from allocation.engine.evidence.window import Window
from allocation.engine.state import state_of
from allocation.ledger.guards import Harm
from allocation.ledger.inputs import AllocationInputs, InputVariant
from allocation.ledger.reasons import end_sentence, guard_sentence, reason_sentence
from allocation.limits import LIMITS, NO_LIMIT
from allocation.models import Allocation, AllocationShare, Kind, shares_with_variants
from experiments.database.rows import unsaved
from experiments.models import Experiment

_SHARE_STEP = Decimal("0.0001")
_PRUNE_BATCH = 500


@dataclass(frozen=True)
class Entry:
    """An allocation with its shares. ``inputs``: set where it was computed now; ``is_new``: and recorded."""

    allocation: Allocation
    shares: tuple[AllocationShare, ...]
    inputs: AllocationInputs | None = None
    is_new: bool = False

    @property
    def outcome(self) -> str:
        """Tell the person who asked for an update what came of it."""
        if not self.is_new:
            return _("Already up to date.")
        if self.allocation.data_through is None:
            return _("There are no data yet: traffic is split evenly.")
        return _("Allocation updated with the latest data.")

    def attach(self, experiment: Experiment) -> None:
        """Set the experiment and the variants that were read already, so that they are not read again."""
        variants = {variant.pk: variant for variant in experiment.every_variant()}
        self.allocation.experiment = experiment
        for share in self.shares:
            share.variant = variants[share.variant_id]

    def allocation_with_shares(self) -> Allocation:
        """The allocation as a query with ``with_shares`` returns it; reads its shares as they are stored."""
        prefetch_related_objects([self.allocation], shares_with_variants())
        return self.allocation


def compute_entries(inputs: Sequence[AllocationInputs], now: dt.datetime) -> list[Entry]:
    """Unsaved entries of the decision log, in order. A completed experiment's shares follow from its status alone."""
    rows = [_new_row(one, now) for one in inputs]
    decisions = engine.allocate_many([one.to_request() for one in inputs])
    return [
        Entry(row, (_complete if one.completed else _decide)(row, one, decision), one)
        for row, one, decision in zip(rows, inputs, decisions, strict=True)
    ]


def _new_row(inputs: AllocationInputs, now: dt.datetime) -> Allocation:
    """The row as far as it is known before anything is computed."""
    return unsaved(
        Allocation,
        experiment_id=inputs.experiment_id,
        target_date=inputs.target_date,
        revision=0,
        engine_version=inputs.engine_version,
        packed_inputs=inputs.as_json,
        inputs_digest=inputs.digest,
        created_at=now,
    )


def _complete(
    row: Allocation, inputs: AllocationInputs, decision: engine.Decision
) -> tuple[AllocationShare, ...]:
    """All traffic to the final variant.

    What is known of each variant at the end stays beside its share: it is the result from then on.
    """
    winner = inputs.final
    row.kind = Kind.FALLBACK if inputs.fallback else Kind.COMPLETED
    row.reason = end_sentence(winner.name, on_schedule=inputs.fallback)
    _set_window(row, inputs, decision.window)
    _set_gains(row, inputs, Rewards() if inputs.rules == engine.FIRST_RULES else _new_gains(inputs, decision))
    return tuple(
        unsaved(AllocationShare, variant_id=variant.id, share=Decimal(int(variant == winner)), **known)
        for variant, known in zip(inputs.variants, _known_of_all(inputs, decision), strict=True)
    )


def _decide(
    row: Allocation, inputs: AllocationInputs, decision: engine.Decision
) -> tuple[AllocationShare, ...]:
    names = [variant.name for variant in inputs.variants]
    active = [variant.is_active for variant in inputs.variants]
    row.kind = Kind.WARM_UP if decision.warm_up else Kind.OPTIMIZED
    harms = inputs.harms(decision.window.end)
    row.harms = None if inputs.guarding is None else [asdict(harm) for harm in harms]
    days = inputs.variant_days(decision.window)
    row.state = state_of(decision, days, mismatch=inputs.mismatch, warned=bool(harms))
    row.reason = reason_sentence(decision, names, active, inputs.settings)
    _set_window(row, inputs, decision.window)
    row.value_remaining = decision.value_remaining
    if inputs.engine_version != engine.FIRST_ENGINE:
        row.dispersion = decision.dispersion
        row.rates_changed_on = _date(decision.change_day)
        _set_gains(row, inputs, _new_gains(inputs, decision))
    shares = tuple(
        _share(variant, decision, i, known)
        for i, (variant, known) in enumerate(
            zip(inputs.variants, _known_of_all(inputs, decision), strict=True)
        )
        if variant.is_active
    )
    return _stop(row, inputs, shares, harms) if _is_stopped(inputs, harms) else shares


def _is_stopped(inputs: AllocationInputs, harms: Sequence[Harm]) -> bool:
    """True where a guard gives the control all traffic, now or since an earlier decision."""
    if inputs.guarding is None or not any(variant.is_control for variant in inputs.variants):
        return False
    return inputs.guarding.stopped or any(harm.acts for harm in harms)


def _stop(
    row: Allocation, inputs: AllocationInputs, shares: tuple[AllocationShare, ...], harms: Sequence[Harm]
) -> tuple[AllocationShare, ...]:
    """All traffic to the control at once, past floors and cap; what explains the shares stays beside them."""
    row.kind = Kind.GUARD
    names = {variant.key: variant.name for variant in inputs.variants}
    row.reason = guard_sentence(harms, names)
    control = next(variant.id for variant in inputs.variants if variant.is_control)
    for share in shares:
        share.share, share.bound = Decimal(int(share.variant_id == control)), NO_LIMIT
    return shares


def successes_in_window(inputs: AllocationInputs, decision: engine.Decision | engine.Judged) -> list[int]:
    """Count the successes of each variant; where the goal is a value, the conversions that brought it."""
    if not inputs.reward.is_value:
        return [int(count) for count in decision.successes]
    window = decision.window
    inside = np.isin(inputs.table.days, window.days)
    return [int(count) for count in inputs.table.counts.conversions[inside].sum(axis=0)]


def value_facts(inputs: AllocationInputs, decision: engine.Decision, i: int) -> dict[str, float]:
    """Describe a variant's values as statistics and the decision log have them; nothing for counts."""
    if not inputs.reward.is_value:
        return {}
    return {
        "value_sum": float(decision.successes[i]),
        "effective_orders": float(decision.effective_orders[i]),
        "largest_part": float(decision.largest_part[i]),
    }


def _set_window(row: Allocation, inputs: AllocationInputs, window: Window) -> None:
    """Leave the window empty where no day counts: none has been reported, or none is mature."""
    if window.start is None or window.end is None:
        return
    if not window.days.size and inputs.rules != engine.FIRST_RULES:
        return
    start, end = dt.date.fromordinal(window.start), dt.date.fromordinal(window.end)
    if inputs.engine_version != engine.FIRST_ENGINE:
        # a window of a year begins with the data
        start = max(start, dt.date.fromordinal(int(inputs.table.days[0])))
    row.window_start, row.window_end, row.data_through = start, end, end
    counts = inputs.table.between(start, end).counts
    row.window_impressions = int(counts.impressions.sum())
    row.window_clicks = int(counts.clicks.sum())


def _set_gains(row: Allocation, inputs: AllocationInputs, new: Rewards) -> None:
    """Add new gains to those that are closed."""
    if inputs.engine_version != engine.FIRST_ENGINE:
        total = new if inputs.gains is None else inputs.gains.rewards.plus(new)
        row.gained_over_even, row.given_up, row.gain_error = total


def _new_gains(inputs: AllocationInputs, decision: engine.Decision) -> Rewards:
    return new_gains(decision, inputs.settings, inputs.priced(decision.window))


def _date(day: int | None) -> dt.date | None:
    return None if day is None else dt.date.fromordinal(day)


def _known_of_all(inputs: AllocationInputs, decision: engine.Decision) -> list[dict[str, Any]]:
    """List what the decision says of each variant; nothing of one that is not active.

    The first engine said nothing of those that ended.
    """
    if inputs.completed and inputs.engine_version == engine.FIRST_ENGINE:
        return [{} for _variant in inputs.variants]
    successes = successes_in_window(inputs, decision)
    return [
        {**_known(decision, i), "successes": successes[i], **value_facts(inputs, decision, i)}
        if variant.is_active
        else {}
        for i, variant in enumerate(inputs.variants)
    ]


def _known(decision: engine.Decision, i: int) -> dict[str, Any]:
    """Name the columns of a share that describe the variant, from the decision's arrays."""
    return {
        "trials": int(decision.trials[i]),
        "effective_trials": float(decision.effective_trials[i]),
        "evidence_kept": float(decision.evidence_kept[i]),
        "posterior_alpha": float(decision.alpha[i]),
        "posterior_beta": float(decision.beta[i]),
        "rate": float(decision.mean[i]),
        "rate_low": float(decision.interval_low[i]),
        "rate_high": float(decision.interval_high[i]),
        "probability_best": float(decision.probability_best[i]),
        "expected_loss": float(decision.expected_loss[i]),
        "missing_trials": _missing_trials(decision, i),
    }


def _share(
    variant: InputVariant, decision: engine.Decision, i: int, known: dict[str, Any]
) -> AllocationShare:
    """Build a variant's row of the decision log from the decision's arrays."""
    return unsaved(
        AllocationShare,
        variant_id=variant.id,
        share=Decimal(float(decision.shares[i])).quantize(_SHARE_STEP),
        previous_share=Decimal(float(decision.previous[i])).quantize(_SHARE_STEP),
        target=float(decision.target[i]),
        bound=LIMITS[decision.bound[i]].key,
        **known,
    )


def _missing_trials(decision: engine.Decision, i: int) -> float | None:
    return None if decision.engine_version == engine.FIRST_ENGINE else float(decision.missing_trials[i])


def prune_superseded(*, before: dt.datetime, stopped: Callable[[], bool] = lambda: False) -> int:
    """Delete revisions recorded before then that a later one of the same date replaced; return how many.

    The last revision of a date stays: it is in force, and explains the next day's. Between batches ``stopped`` is
    asked: what is left is deleted the next time.
    """
    later = Allocation.objects.filter(
        experiment=OuterRef("experiment"),
        target_date=OuterRef("target_date"),
        revision__gt=OuterRef("revision"),
    )
    superseded = Allocation.objects.filter(Exists(later), created_at__lt=before).order_by("pk")
    deleted = last = 0
    # each batch goes on behind the one before: the log is read once
    while not stopped() and (
        batch := list(superseded.filter(pk__gt=last).values_list("pk", flat=True)[:_PRUNE_BATCH])
    ):
        Allocation.objects.filter(pk__in=batch).delete()
        deleted, last = deleted + len(batch), batch[-1]
    return deleted
