"""Advice in plain language: why a variant gets its share, by the ledger's numbers, and what to do next."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from allocation.explanations import is_dispersed
from allocation.limits import LIMITS, NO_LIMIT
from allocation.models import CLOSING, Allocation, AllocationShare, Kind
from dashboard.charts import variant_colours
from dashboard.experiment.summary import Summary
from dashboard.formatting import format_date
from experiments.metrics import Reward
from experiments.models import Experiment, Status
from experiments.text import format_exact, format_number

# Half a point of the tables' decimals: less would not be seen.
_WORTH_SAYING = 0.0005


@dataclass(frozen=True)
class ExplainedShare:
    """The way from a variant's counts to its share; ``limit`` says what moved it from what was wanted."""

    share: AllocationShare
    colour: str
    limit: str
    change: float

    @property
    def has_enough_data(self) -> bool:
        return not self.share.missing_trials


@dataclass(frozen=True)
class Advice:
    """One box above the page; ``tone`` is one of Tabler's colours."""

    tone: str
    title: str
    text: str


def explain(experiment: Experiment, allocation: Allocation | None) -> list[ExplainedShare]:
    """Explain each share of a computed decision; one that closes follows from its winner and has no rows."""
    if allocation is None or allocation.kind in CLOSING:
        return []
    colours = variant_colours(experiment.variants.all())
    return [
        ExplainedShare(
            share,
            colours[share.variant_id],
            _("a guard: the control gets all traffic")
            if allocation.kind == Kind.GUARD
            else limit_text(share),
            float(share.share - (share.previous_share or 0)),
        )
        for share in allocation.shares.all()
    ]


def limit_text(share: AllocationShare) -> str:
    """Name what kept the share from its target; a share that no limit held makes room for those that one did."""
    if share.bound == NO_LIMIT:
        return _room_for_others(float(share.share) - (share.target or 0.0))
    return str(LIMITS[share.bound].held)


def _room_for_others(beyond_target: float) -> str:
    if beyond_target < -_WORTH_SAYING:
        return _("makes room for what the floors and the cap hold")
    if beyond_target > _WORTH_SAYING:
        return _("takes what the limits of others leave")
    return _("nothing: it is what was wanted")


def advice(summary: Summary, *, is_mismatched: bool) -> list[Advice]:
    """List warnings first, then the next step. ``is_mismatched``: traffic does not arrive as it was split."""
    return [*_warnings(summary, is_mismatched), _next_step(summary, is_mismatched)]


def _warnings(summary: Summary, is_mismatched: bool) -> list[Advice]:
    return [
        *([_mismatch()] if is_mismatched else []),
        *_harms(summary),
        *_about_counts(summary),
        *_about_days(summary),
    ]


def _mismatch() -> Advice:
    return Advice(
        "danger",
        _("Impressions do not match the split"),
        _("Some variant loses or gains visitors on the way. Until the cause is found, trust no result here."),
    )


def _about_counts(summary: Summary) -> list[Advice]:
    """Say where the decision in force found that counts changed or vary too much."""
    found: list[Advice] = []
    decided = summary.allocation
    if decided and decided.rates_changed_on:
        found.append(
            Advice(
                "info",
                _("The variants compare differently since %(date)s")
                % {"date": format_date(decided.rates_changed_on)},
                _("Their order or their distance has changed. Days from before count less from then on."),
            )
        )
    if decided and is_dispersed(decided):
        found.append(
            Advice(
                "warning",
                _("Counts vary more than chance allows"),
                _(
                    "From day to day they vary %(times)s times as much as independent visits would: visits may be "
                    "counted more than once. They are trusted that much less."
                )
                % {"times": format_number(decided.dispersion or 1.0, 1)},
            )
        )
    return found


def _about_days(summary: Summary) -> list[Advice]:
    """Say where data are missing, or newer than the split."""
    found: list[Advice] = []
    if summary.is_stale and summary.latest:
        found.append(
            Advice(
                "warning",
                _("No new data"),
                _(
                    "Nothing has been reported for several days. The split rests on older data until more arrive."
                ),
            )
        )
    if _has_newer_data(summary):
        found.append(
            Advice(
                "info",
                _("Data newer than this split"),
                _("They count from the next decision on: at its daily time, or at once with Recompute now."),
            )
        )
    return found


def _harms(summary: Summary) -> list[Advice]:
    """One box for each variant that harms a guarded metric, while the experiment runs."""
    decided = summary.allocation
    if summary.experiment.status != Status.ACTIVE or decided is None:
        return []
    names = {variant.key: variant.name for variant in summary.experiment.variants.all()}
    return [_harm(harm, names, is_stopped=decided.kind == Kind.GUARD) for harm in decided.harms or []]


def _harm(harm: Mapping[str, Any], names: Mapping[str, str], *, is_stopped: bool) -> Advice:
    said = {
        "variant": names.get(harm["variant"], harm["variant"]),
        "metric": Reward(harm["metric"]).label,
        "fall": f"{format_exact(Decimal(str(harm['max_fall'])))}%",
    }
    text = (
        _("%(variant)s is more than %(fall)s below the control. This holds however often one has looked.")
        % said
    )
    consequence = (
        _("The control gets all traffic. Find out why; then resume, and guards count from that day on.")
        if is_stopped
        else _("Traffic is split on as before. Nothing counts as decided while this holds.")
    )
    return Advice("danger", _("Guard: %(metric)s") % said, f"{text} {consequence}")


def _has_newer_data(summary: Summary) -> bool:
    """Check whether days have been reported, and are mature, that the decision in force did not know."""
    experiment, decided = summary.experiment, summary.allocation
    if experiment.status != Status.ACTIVE or decided is None or summary.latest is None:
        return False
    mature = summary.latest - dt.timedelta(days=int(experiment.merged_settings()["maturity_days"]))
    return decided.data_through is None or mature > decided.data_through


def _next_step(summary: Summary, is_mismatched: bool) -> Advice:
    status = summary.experiment.status
    if status == Status.DRAFT:
        return Advice("info", _("Next: start it"), _("Add the variants, look at the settings, then start."))
    if status == Status.COMPLETED:
        return Advice(
            "info", _("Done"), _("Build the winner in for good; then the experiment can be archived.")
        )
    if status == Status.PAUSED:
        return Advice("info", _("Next: resume or complete"), _("While it is paused nothing new is decided."))
    if summary.allocation and summary.allocation.kind == Kind.GUARD:
        return Advice(
            "info",
            _("Next: find out what went wrong, then resume or complete"),
            _("All traffic goes to the control until a person decides."),
        )
    if summary.state in {"decided", "leader"} and is_mismatched:
        return Advice(
            "info",
            _("Next: find out why traffic does not arrive as split"),
            _("The commonest cause: the site does not apply the split. No winner is named until then."),
        )
    if summary.state == "decided":
        return Advice(
            "success",
            _("Next: choose the winner"),
            _("More traffic would hardly bring more. Complete the experiment with the leading variant."),
        )
    if summary.state == "leader":
        return Advice(
            "success",
            _("Next: let it run a little longer"),
            _("A leader has been found. Going on narrows down how much better it is."),
        )
    if summary.state == "collecting" or summary.allocation is None:
        return Advice("info", _("Next: keep reporting"), _("The first decision needs more data."))
    return Advice(
        "info",
        _("Next: nothing to do"),
        _("Traffic moves toward the better variants by itself, within the limits, every day."),
    )
