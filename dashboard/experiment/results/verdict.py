"""The verdict: what the data says in one sentence, and the one thing to do next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from allocation.engine.state import DECIDED_BELOW
from allocation.explanations import (
    apart_in,
    best_choice,
    large_orders,
    never_beside,
    weighty_orders,
)
from allocation.models import CLOSING, State
from allocation.statistics.results import RankedVariant, Results
from dashboard.experiment.ending import reason_text
from dashboard.experiment.results.other_metrics import interval_words, metric_lines, worse_metrics
from dashboard.experiment.summary import Summary
from dashboard.formatting import format_date, format_lift
from dashboard.templatetags.formats import chance
from experiments.metrics import Reward
from experiments.models import Experiment, Status
from experiments.text import format_exact, format_number, format_percent

Tone = Literal["success", "info", "warning", "danger"]

# From knowing least to knowing most.
_ORDER = tuple(State.values)
# The least of an improvement that one decimal shows.
_SMALLEST_SHOWN = 0.001


@dataclass(frozen=True)
class Action:
    """The next step: a page to ``open``, an address to ``post`` to, or the dialog that ends the experiment."""

    label: str
    open: str = ""
    post: str = ""
    ends_with: int | None = None


@dataclass(frozen=True)
class Verdict:
    """A sentence, what there is to say beside it, and what to do."""

    tone: Tone
    title: str
    lines: list[str] = field(default_factory=list)
    action: Action | None = None


def verdict_of(experiment: Experiment, summary: Summary, results: Results | None) -> Verdict:
    """Say where the experiment stands. A winner is offered only where nothing speaks against it."""
    if experiment.status == Status.DRAFT:
        return _draft(experiment)
    if experiment.status == Status.COMPLETED:
        return _ended(experiment, summary, results)
    if results is None or not results.days.count:
        return _without_data(experiment)
    if summary.is_stopped:
        return _stopped(results)
    found = _of_data(experiment, results)
    if experiment.status == Status.PAUSED:
        return _paused(found)
    return found


def _draft(experiment: Experiment) -> Verdict:
    enough = len(experiment.variants.all()) > 1
    action = Action(_("Start"), post="start") if enough else Action(_("Add variants"), open="settings")
    return Verdict(
        "info",
        _("Draft: not started."),
        [_("Add variants, check the settings, then start.")],
        None if experiment.archived_at else action,
    )


def _without_data(experiment: Experiment) -> Verdict:
    return Verdict(
        "info",
        _("No data yet. Traffic is split evenly until the first results arrive."),
        [_("Add a day, upload a CSV or send events through the API.")],
        Action(_("Add your first data"), open="data") if experiment.takes_events else None,
    )


def _ended(experiment: Experiment, summary: Summary, results: Results | None) -> Verdict:
    split = summary.allocation.shares.all() if summary.allocation else []
    winner = next((share.variant for share in split if share.share == 1), experiment.winner)
    closed = summary.allocation and summary.allocation.kind in CLOSING
    on = (
        format_date(timezone.localdate(summary.allocation.created_at))
        if summary.allocation and closed
        else "–"
    )
    ranked = results.ranked if results else ()
    row = next((r for r in ranked if winner and r.statistics.variant_key == winner.key), None)
    lift = _lift_words(row, results) if results else None
    values = {"date": on, "winner": winner.name if winner else "–"} | (lift or {})
    title = _("Ended on %(date)s: %(winner)s gets all traffic.")
    if row is not None and "lift" in values:
        title = _ended_with(row.statistics.uplift or 0.0)
    reason = reason_text(experiment.decision_reason)
    lines = [_("Reason: %(reason)s") % {"reason": reason}] if reason else []
    is_mismatched = results is not None and results.is_mismatched
    if is_mismatched:
        lines.insert(0, _("Traffic did not match the allocation (SRM): this result may be wrong."))
        lines.append(_("Find out why before you change your site."))
    else:
        lines.append(_("Make the winner permanent on your site, then archive the experiment."))
    return Verdict("warning" if is_mismatched else "info", title % values, lines)


def _ended_with(lift: float) -> str:
    if lift > 0:
        return _(
            "Ended on %(date)s: %(winner)s won with %(metric)s %(lift)s vs control "
            "(95%% interval %(low)s to %(high)s)."
        )
    return _(
        "Ended on %(date)s: %(winner)s was chosen with %(metric)s %(lift)s vs control "
        "(95%% interval %(low)s to %(high)s)."
    )


def _stopped(results: Results) -> Verdict:
    title = _("Stopped by a guard: the control gets all traffic until someone resumes.")
    lines = [*_harm_lines(results), _("Find out why; then resume, and guards count from that day on.")]
    return Verdict("danger", title, lines, Action(_("Resume after the guard"), post="resume-after-guard"))


def _paused(found: Verdict) -> Verdict:
    lines = [found.title, *found.lines, _("Resume to keep optimizing, or end the experiment.")]
    title = _("Paused. Traffic stays at the last allocation.")
    return Verdict(
        found.tone if found.tone == "danger" else "warning", title, lines, Action(_("Resume"), post="resume")
    )


def _of_data(experiment: Experiment, results: Results) -> Verdict:
    """Doubts come first, then too little data, then what the data says, unless the allocation does not know it yet."""
    statistics = results.analysis.statistics
    doubt = _doubt(results)
    if doubt is not None:
        return doubt
    if statistics.state == "collecting":
        return _warming_up(results)
    leader = results.leader
    if leader is None:
        return Verdict("info", _("No variant has enough data yet."), _caveats(results))
    if not results.has_successes:
        title = _("No %(unit)s yet: there is nothing to compare.")
        return Verdict("info", title % {"unit": results.analysis.inputs.reward.successes_count.unit})
    if _is_ahead_of_allocation(results):
        return _not_allocated(results, leader, may_update=experiment.status == Status.ACTIVE)
    if statistics.state == "decided":
        return _decided(results, leader)
    return _leading(results, leader) if statistics.state == "leader" else _open(results, leader)


def _doubt(results: Results) -> Verdict | None:
    statistics = results.analysis.statistics
    active = [variant for variant in statistics.variants if variant.is_active]
    if len(active) < 2:
        title = _("Only one active variant (%(leader)s). Add a second one to run a test.")
        action = Action(_("Add a variant"), open="settings")
        return Verdict("info", title % {"leader": active[0].variant_name}, action=action)
    if results.is_mismatched:
        return Verdict(
            "danger",
            _("Traffic does not match the allocation (SRM)."),
            [
                _(
                    "Check whether your site applies the allocation, and for redirects, bots or missing tracking. "
                    "Do not act on the results until this is fixed."
                )
            ],
            Action(_("Compare observed and expected"), open="traffic"),
        )
    if results.harms:
        title = _("A guard warns. Nothing counts as decided while this holds.")
        return Verdict("danger", title, _harm_lines(results), Action(_("Check the metrics"), open="explore"))
    apart = apart_in(results.analysis.decision, results.analysis.inputs)
    if apart and len(apart) >= len(active) - 1:
        return Verdict(
            "warning",
            _(
                "These variants were never shown on the same day: they cannot be compared with day adjustment on."
            ),
            action=Action(_("See the days"), open="data"),
        )
    return None


def _harm_lines(results: Results) -> list[str]:
    names = {v.variant_key: v.variant_name for v in results.analysis.statistics.variants}
    said = _("%(metric)s: %(variant)s is more than %(fall)s below the control.")
    return [
        said
        % {
            "metric": Reward(harm.metric).label,
            "variant": names.get(harm.variant, harm.variant),
            "fall": f"{format_exact(Decimal(str(harm.max_fall)))}%",
        }
        for harm in results.harms
    ]


def _warming_up(results: Results) -> Verdict:
    missing = results.missing_impressions
    if not missing:
        title = _("Waiting for data from at least two variants. Until then traffic is split evenly.")
        return Verdict("info", title, action=Action(_("Add data"), open="data"))
    needed = results.analysis.inputs.settings.min_impressions
    values = {"have": format_number(results.days.impressions, 0), "need": format_number(needed, 0)}
    title = _("Warming up: %(have)s of %(need)s impressions collected. Traffic is split evenly until then.")
    days = results.warm_up_days or 0
    line = ngettext(
        "%(missing)s more impressions until traffic starts to move (about %(days)s day).",
        "%(missing)s more impressions until traffic starts to move (about %(days)s days).",
        days,
    ) % {"missing": format_number(missing, 0), "days": format_number(days, 0)}
    return Verdict("info", title % values, [line])


def _is_ahead_of_allocation(results: Results) -> bool:
    """True where the data says more than the allocation in force, whose state is the experiment's badge."""
    return _ORDER.index(results.analysis.statistics.state) > _ORDER.index(_badge(results) or State.COLLECTING)


def _badge(results: Results) -> str:
    """The state of the allocation in force; blank where there is none, or the last one ended the experiment."""
    return results.allocation.state if results.allocation else ""


def _not_allocated(results: Results, leader: RankedVariant, *, may_update: bool) -> Verdict:
    """Say who is ahead, and no more: what is advised goes by the allocation, as the badge and the list do."""
    is_behind = not _badge(results) or results.newer_data or results.settings_changed
    said = (
        _("%(leader)s is ahead, with data or settings that traffic does not use yet.")
        if is_behind
        else _("%(leader)s is ahead if every day counts alike; traffic counts them otherwise.")
    )
    return Verdict(
        "info",
        said % {"leader": leader.statistics.variant_name},
        [
            *_lift_lines(leader, results),
            *metric_lines(results, leader),
            *_caveats(results),
            *([_("The next allocation uses them, and then says what to do.")] if is_behind else []),
        ],
        Action(_("Update allocation"), post="recompute") if is_behind and may_update else None,
    )


def _decided(results: Results, leader: RankedVariant) -> Verdict:
    worse = worse_metrics(results, leader)
    title = _headline(results, leader)
    lift = [] if results.is_certain else _lift_lines(leader, results)
    lines = [*lift, *metric_lines(results, leader), *_caveats(results)]
    if worse:
        values = {"leader": leader.statistics.variant_name, "metrics": ", ".join(worse)}
        said = _("%(leader)s leads on the goal, but is clearly worse than the control on: %(metrics)s.")
        return Verdict(
            "warning",
            said % values,
            [title, *lines, _("Weigh both before you end the experiment.")],
            Action(_("Check the metrics"), open="explore"),
        )
    label = _("End and keep %(variant)s…") if leader.statistics.is_control else _("End and ship %(variant)s…")
    pk = next(v.id for v in results.analysis.inputs.variants if v.key == leader.statistics.variant_key)
    action = Action(label % {"variant": leader.statistics.variant_name}, ends_with=pk)
    return Verdict("success", title, [_certainty(results, leader), *lines], action)


def _headline(results: Results, leader: RankedVariant) -> str:
    values = {"leader": leader.statistics.variant_name}
    if not results.is_certain:
        return best_choice(leader.statistics.variant_name, results.analysis.statistics.value_remaining)
    lift = _lift_words(leader, results)
    if lift is None:
        if leader.statistics.is_control:
            return _("%(leader)s is the best choice: no variant beats the control.") % values
        return _("%(leader)s is the best choice.") % values
    said = _(
        "%(leader)s is the best choice: %(metric)s %(lift)s vs control (95%% interval %(low)s to %(high)s)."
    )
    return said % (values | lift)


def _leading(results: Results, leader: RankedVariant) -> Verdict:
    values = {"leader": leader.statistics.variant_name, "chance": chance(leader.statistics.probability_best)}
    lift = _lift_words(leader, results)
    if lift is None:
        title = _("%(leader)s leads: %(chance)s probability to be best.") % values
    else:
        said = _("%(leader)s leads: %(metric)s %(lift)s vs control (95%% interval %(low)s to %(high)s).")
        title = said % (values | lift)
    lines = [
        _certainty(results, leader),
        *metric_lines(results, leader),
        *_caveats(results),
        _("Keep running to measure the lift more precisely."),
    ]
    return Verdict("success", title, lines)


def _open(results: Results, leader: RankedVariant) -> Verdict:
    values = {"leader": leader.statistics.variant_name, "chance": chance(leader.statistics.probability_best)}
    title = _("No clear winner yet. %(leader)s is ahead (%(chance)s probability to be best).") % values
    if results.is_level:
        title = _("No clear winner yet. All variants are level.")
    lines = [
        *_lift_lines(leader, results),
        _potential(results) + ".",
        *metric_lines(results, leader),
        *_caveats(results),
        _("Traffic shifts to better variants automatically every day."),
    ]
    return Verdict("info", title, lines)


def _lift_lines(row: RankedVariant, results: Results) -> list[str]:
    lift = _lift_words(row, results)
    if lift is None:
        return []
    line = _("%(metric)s %(lift)s vs control (95%% interval %(low)s to %(high)s).") % lift
    return [line[:1].upper() + line[1:]]


def _lift_words(row: RankedVariant | None, results: Results) -> dict[str, str] | None:
    """Name the goal and write the lift; None for the control, and where either lacks data."""
    statistics = results.analysis.statistics
    if row is None or not statistics.control_is_judged or not row.statistics.enough_data:
        return None
    found = row.statistics
    if found.uplift is None or found.uplift_low is None or found.uplift_high is None:
        return None
    label = str(results.analysis.inputs.reward.label)
    return {
        "metric": label[:1].lower() + label[1:],
        "lift": format_lift(found.uplift),
        **interval_words(found.uplift_low, found.uplift_high),
    }


def _certainty(results: Results, leader: RankedVariant) -> str:
    active = sum(v.is_active for v in results.analysis.statistics.variants)
    said = _("%(chance)s probability to be best of %(count)s. %(potential)s.")
    return said % {
        "chance": chance(leader.statistics.probability_best),
        "count": active,
        "potential": _potential(results),
    }


def _potential(results: Results) -> str:
    """Say how much another variant could still be better."""
    remaining = results.analysis.statistics.value_remaining
    if remaining < _SMALLEST_SHOWN:
        return _("Another variant would gain less than %(remaining)s") % {
            "remaining": format_percent(_SMALLEST_SHOWN)
        }
    if remaining < DECIDED_BELOW:
        return _("Another variant would gain at most %(remaining)s") % {
            "remaining": format_percent(remaining)
        }
    if remaining > 1:
        return _("Too early to tell: another variant could still be several times better")
    return _("Another variant could still be up to %(gain)s better") % {"gain": format_percent(remaining)}


def _caveats(results: Results) -> list[str]:
    """Name variants that cannot be compared, that lack data, and whose value may be that of one order."""
    decision, inputs = results.analysis.decision, results.analysis.inputs
    apart, large = apart_in(decision, inputs), large_orders(decision, [v.name for v in inputs.variants])
    return [
        *([never_beside(apart)] if apart else []),
        *_low_lines(results, apart),
        *([weighty_orders(large)] if large else []),
    ]


def _low_lines(results: Results, apart: Sequence[str]) -> list[str]:
    low = [variant for variant in results.low_variants if variant.variant_name not in apart]
    if not low:
        return []
    if len(low) == 1:
        return [_("%(variant)s does not have enough data yet.") % {"variant": low[0].variant_name}]
    return [_("%(count)s variants do not have enough data yet.") % {"count": len(low)}]
