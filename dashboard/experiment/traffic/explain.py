"""How the allocation in force was computed, a row for each variant, and how traffic arrives beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from allocation.limits import LIMITS, NO_LIMIT
from allocation.models import CLOSING, Allocation, AllocationShare, Kind
from allocation.sample_ratio import SampleRatioResult
from dashboard.charts import variant_colours
from dashboard.experiment.folding import SHOWN, Folded, fold
from dashboard.formatting import format_shares
from experiments.models import Experiment, Variant

# Half a point of the tables' decimals: less would not be seen.
_WORTH_SAYING = 0.0005


@dataclass(frozen=True)
class ExplainedShare:
    """The way from a variant's counts to its share; ``limit`` says what moved it from its target."""

    share: AllocationShare
    colour: str
    limit: str
    shown: str
    target: str

    @property
    def has_enough_data(self) -> bool:
        return not self.share.missing_trials


def explain(experiment: Experiment, allocation: Allocation | None) -> Folded[ExplainedShare]:
    """Explain each share of a computed decision; one that closes follows from its winner and has no rows.

    Of many variants those with most traffic come first.
    """
    if allocation is None or allocation.kind in CLOSING:
        return Folded([], [])
    colours = variant_colours(experiment.variants.all())
    shares = list(allocation.shares.all())
    if len(shares) > SHOWN:
        shares.sort(key=lambda share: -share.share)
    shown = format_shares([share.share for share in shares])
    targets = format_shares([share.target or 0.0 for share in shares])
    return fold(
        [
            ExplainedShare(share, colours[share.variant_id], limit_text(share, allocation.kind), *texts)
            for share, *texts in zip(shares, shown, targets, strict=True)
        ]
    )


def limit_text(share: AllocationShare, kind: str) -> str:
    """Name what keeps the share from its target: a limit, those of other shares, the warm-up or a guard."""
    if kind == Kind.GUARD:
        return _("Guard: the control gets all traffic")
    if share.bound != NO_LIMIT:
        return str(LIMITS[share.bound].held)
    beyond = float(share.share) - (share.target or 0.0)
    if beyond < -_WORTH_SAYING:
        return _("Reduced: other variants are at a minimum")
    if beyond > _WORTH_SAYING:
        return _("Increased: other variants are at a limit")
    if kind == Kind.WARM_UP:
        return _("Only active variant: all traffic") if share.share == 1 else _("Warm-up: even split")
    return ""


@dataclass(frozen=True)
class RatioTable:
    """Observed and expected impressions of each variant with its colour, over ``days`` of all ``of_days``."""

    p_value: float
    mismatch: bool
    days: int
    of_days: int
    rows: Folded[tuple[Variant, str, float, float]]


def ratio_table(variants: Sequence[Variant], found: SampleRatioResult | None) -> RatioTable | None:
    """Lay out the check of the sample ratio; None where nothing can be compared.

    Of many variants those that are farthest off come first.
    """
    if found is None:
        return None
    colours = variant_colours(variants)
    rows = [
        (v, colours[v.pk], found.observed.get(v.key, 0.0), found.expected.get(v.key, 0.0)) for v in variants
    ]
    if len(rows) > SHOWN:
        rows.sort(key=lambda row: -abs(row[2] - row[3]))
    return RatioTable(found.p_value, found.mismatch, found.compared_days, found.days, fold(rows))
