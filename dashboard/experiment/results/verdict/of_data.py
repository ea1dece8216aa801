"""The verdict on data: doubts first, then too little data, then who leads, by how much, and what to do."""

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from allocation.explanations import (
    apart_in,
    best_choice,
    equally_good,
    keep_running,
    open_words,
    potential,
)
from allocation.models import State
from allocation.statistics.results import RankedVariant, Results
from dashboard.experiment.results.other_metrics import Worse, metric_lines, names_of, worse_metrics
from dashboard.experiment.results.verdict.parts import Action, Verdict
from dashboard.experiment.results.verdict.words import (
    caveats,
    certainty,
    harm_lines,
    lift_lines,
    lift_words,
)
from dashboard.templatetags.formats import chance
from experiments.models import Experiment, Status
from experiments.text import format_number

# From knowing least to knowing most.
_ORDER = tuple(State.values)


def of_data(experiment: Experiment, results: Results) -> Verdict:
    """Doubts come first, then too little data, then what the data says, unless the allocation does not know it yet.

    Nothing is said of traffic that moves while it does not: of a paused experiment the data alone are read.
    """
    statistics, runs = results.analysis.statistics, experiment.status == Status.ACTIVE
    doubt = _doubt(results)
    if doubt is not None:
        return doubt
    if statistics.state == "collecting":
        return _warming_up(results, runs=runs)
    leader = results.leader
    if leader is None:
        return Verdict("info", _("No variant has enough data yet."), caveats(results))
    if not results.has_successes:
        title = _("No %(unit)s yet: there is nothing to compare.")
        return Verdict("info", title % {"unit": results.analysis.inputs.reward.successes_count.unit})
    if _is_ahead_of_allocation(results):
        return _not_allocated(results, leader, runs=runs)
    if statistics.state == "decided":
        return _decided(results, leader)
    say = _leading if statistics.state == "leader" else _open
    return say(results, leader, runs=runs)


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
        return Verdict("danger", title, harm_lines(results), Action(_("Check the metrics"), open="explore"))
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


def _warming_up(results: Results, *, runs: bool) -> Verdict:
    missing = results.missing_impressions
    if not missing:
        title = _("Waiting for data from at least two variants. Until then traffic is split evenly.")
        return Verdict("info", title, action=Action(_("Add data"), open="data"))
    needed = results.analysis.inputs.settings.min_impressions
    values = {"have": format_number(results.days.impressions, 0), "need": format_number(needed, 0)}
    if not runs:
        title = _("Warming up: %(have)s of %(need)s impressions collected.")
        return Verdict("info", title % values)
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


def _not_allocated(results: Results, leader: RankedVariant, *, runs: bool) -> Verdict:
    """Say who is ahead, if anybody is, and no more: what is advised goes by the allocation, as badge and list do."""
    is_behind = not _badge(results) or results.newer_data or results.settings_changed
    title, first = _of_other_data(results, leader, is_behind=is_behind)
    return Verdict(
        "info",
        title,
        [
            *first,
            *metric_lines(results, leader),
            *caveats(results),
            *([_("The next allocation uses them, and then says what to do.")] if is_behind and runs else []),
        ],
        Action(_("Update allocation"), post="recompute") if is_behind and runs else None,
    )


def _of_other_data(results: Results, leader: RankedVariant, *, is_behind: bool) -> tuple[str, list[str]]:
    """Say in which data somebody is ahead, and what of it; or that nobody is, or another may well be better."""
    if results.rivals or results.is_tied:
        who = _who_is_ahead(results, leader)
        if is_behind:
            return _("There are data or settings that traffic does not use yet."), [who]
        return who, [_("This holds if every day counts alike; traffic counts them otherwise.")]
    said = (
        _("%(leader)s is ahead, with data or settings that traffic does not use yet.")
        if is_behind
        else _("%(leader)s is ahead if every day counts alike; traffic counts them otherwise.")
    )
    return said % {"leader": leader.statistics.variant_name}, lift_lines(leader, results)


def _decided(results: Results, leader: RankedVariant) -> Verdict:
    if len(results.level) > 1:
        return _level(results, leader)
    worse = worse_metrics(results, leader)
    title = _headline(results, leader)
    lift = [] if results.is_certain else lift_lines(leader, results)
    lines = [*lift, *metric_lines(results, leader), *caveats(results)]
    if worse:
        return Verdict(
            "warning",
            _but_worse(leader, worse),
            [title, *_not_yet_clear(worse), *lines, _("Weigh both before you end the experiment.")],
            Action(_("Check the metrics"), open="explore"),
        )
    label = _("End and keep %(variant)s…") if leader.statistics.is_control else _("End and ship %(variant)s…")
    pk = next(v.id for v in results.analysis.inputs.variants if v.key == leader.statistics.variant_key)
    action = Action(label % {"variant": leader.statistics.variant_name}, ends_with=pk)
    return Verdict("success", title, [certainty(results, leader), *lines], action)


def _but_worse(leader: RankedVariant, worse: Sequence[Worse]) -> str:
    """Name what is clearly worse; where nothing is, what is likely so."""
    values = {"leader": leader.statistics.variant_name, "metrics": names_of(worse)}
    if any(one.is_clear for one in worse):
        return (
            _("%(leader)s leads on the goal, but is clearly worse than the control on: %(metrics)s.") % values
        )
    return _("%(leader)s leads on the goal, but is likely worse than the control on: %(metrics)s.") % values


def _not_yet_clear(worse: Sequence[Worse]) -> list[str]:
    """Say how far what is likely can be trusted."""
    if all(one.is_clear for one in worse):
        return []
    named = [one.metric for one in worse if not one.is_clear]
    said = _("%(metrics)s: the 95%% interval that may be looked at every day still holds 0.")
    return [said % {"metrics": ", ".join(named)}]


def _level(results: Results, leader: RankedVariant) -> Verdict:
    """None of these is the best choice: what they do to other metrics may tell them apart."""
    names = [row.statistics.variant_name for row in results.level]
    title = equally_good(names, results.analysis.statistics.value_remaining)
    values = {"chance": chance(leader.statistics.probability_best)}
    lines = [_("%(chance)s probability to be best each.") % values, *caveats(results)]
    worse = {row.statistics.variant_name: worse_metrics(results, row) for row in results.level}
    if any(worse.values()):
        doubts = [_level_but_worse(name, found) for name, found in worse.items() if found]
        return Verdict("warning", title, [*doubts, *lines], Action(_("Check the metrics"), open="explore"))
    pk = next(v.id for v in results.analysis.inputs.variants if v.key == leader.statistics.variant_key)
    return Verdict("success", title, lines, Action(_("End the experiment…"), ends_with=pk))


def _level_but_worse(name: str, worse: Sequence[Worse]) -> str:
    values = {"variant": name, "metrics": names_of(worse)}
    if any(one.is_clear for one in worse):
        return (
            _(
                "On the goal they are level, but %(variant)s is clearly worse than the control on: %(metrics)s."
            )
            % values
        )
    return (
        _("On the goal they are level, but %(variant)s is likely worse than the control on: %(metrics)s.")
        % values
    )


def _headline(results: Results, leader: RankedVariant) -> str:
    values = {"leader": leader.statistics.variant_name}
    if not results.is_certain:
        return best_choice(leader.statistics.variant_name, results.analysis.statistics.value_remaining)
    lift = lift_words(leader, results)
    if lift is None:
        if leader.statistics.is_control:
            return _("%(leader)s is the best choice: no variant beats the control.") % values
        return _("%(leader)s is the best choice.") % values
    said = _(
        "%(leader)s is the best choice: %(metric)s %(lift)s vs control (95%% interval %(low)s to %(high)s)."
    )
    return said % (values | lift)


def _leading(results: Results, leader: RankedVariant, *, runs: bool) -> Verdict:
    values = {"leader": leader.statistics.variant_name, "chance": chance(leader.statistics.probability_best)}
    lift = lift_words(leader, results)
    if lift is None:
        title = _("%(leader)s leads: %(chance)s probability to be best.") % values
    else:
        said = _("%(leader)s leads: %(metric)s %(lift)s vs control (95%% interval %(low)s to %(high)s).")
        title = said % (values | lift)
    lines = [
        certainty(results, leader),
        *metric_lines(results, leader),
        *caveats(results),
        *([keep_running()] if runs else []),
    ]
    return Verdict("success", title, lines)


def _open(results: Results, leader: RankedVariant, *, runs: bool) -> Verdict:
    """Name nobody where several are level; what would be said of one of them holds for the others as well."""
    is_tied = results.is_tied and not results.rivals
    lines = [
        *([] if is_tied else lift_lines(leader, results)),
        potential(results.analysis.statistics.value_remaining) + ".",
        *([] if is_tied else metric_lines(results, leader)),
        *caveats(results),
        *([_("Traffic shifts to better variants automatically every day.")] if runs else []),
    ]
    return Verdict("info", _who_is_ahead(results, leader), lines)


def _who_is_ahead(results: Results, leader: RankedVariant) -> str:
    return open_words(
        leader.statistics.variant_name,
        leader.statistics.probability_best,
        [row.statistics.variant_name for row in results.level],
        results.rivals,
        is_level=results.is_level,
        judged=sum(row.rank is not None for row in results.ranked),
    )
