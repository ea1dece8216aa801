"""The verdict on an experiment that has ended: who gets all traffic, and whether the data had decided for it."""

from django.utils import timezone
from django.utils.translation import gettext as _

from allocation.explanations import chosen_words, has_won
from allocation.models import CLOSING
from allocation.statistics.results import RankedVariant, Results
from allocation.unjudged import unjudged
from dashboard.experiment.ending import reason_text
from dashboard.experiment.results.other_metrics import names_of, worse_metrics
from dashboard.experiment.results.verdict.parts import Verdict
from dashboard.experiment.results.verdict.words import harm_lines, lift_words, no_lift_lines
from dashboard.experiment.summary import Summary
from dashboard.formatting import format_date
from experiments.models import Experiment, Variant


def ended(experiment: Experiment, summary: Summary, results: Results | None) -> Verdict:
    final = _final(experiment, summary)
    if final is None:
        return _without_shares(experiment)
    ranked = results.ranked if results else ()
    row = next((r for r in ranked if r.statistics.variant_key == final.key), None)
    lift = lift_words(row, results) if results else None
    is_won = results is not None and row is not None and _is_won(row, results)
    title = _title(lift is not None, is_won)
    values = {"date": _day_of_end(summary), "winner": final.name} | (lift or {})
    reason = reason_text(experiment.decision_reason)
    lines = [_("Reason: %(reason)s") % {"reason": reason}] if reason else []
    if results is not None and results.is_mismatched:
        doubt = _("Traffic did not match the allocation (SRM): this result may be wrong.")
        return Verdict(
            "warning", title % values, [doubt, *lines, _("Find out why before you change your site.")]
        )
    if results is None or row is None:
        return Verdict("info", title % values, [*lines, _permanent(experiment)])
    if not (is_won and lift):
        lines = [*_chance_lines(row, results), *no_lift_lines(results), *lines]
    statistics = results.analysis.statistics
    warned = (
        [_("A guard warned when the experiment ended."), *harm_lines(results)] if statistics.harming else []
    )
    worse = _worse_lines(row, results)
    if worse or row.statistics.variant_key in statistics.harming:
        weigh = _("Weigh that before you make this choice permanent on your site.")
        return Verdict("warning", title % values, [*warned, *worse, *lines, weigh])
    return Verdict("info", title % values, [*lines, *warned, _permanent(experiment)])


def _without_shares(experiment: Experiment) -> Verdict:
    """Promise nobody traffic where no decision says who gets it, as an experiment without variants has none."""
    at = experiment.completed_at
    day = format_date(timezone.localdate(at)) if at else "–"
    reason = reason_text(experiment.decision_reason)
    lines = [_("Reason: %(reason)s") % {"reason": reason}] if reason else []
    if experiment.variants.all():
        title = _("Ended on %(date)s without a variant that gets traffic.")
        return Verdict("info", title % {"date": day}, lines)
    title = _("Ended on %(date)s without variants: nothing was tested.")
    advice = [] if experiment.archived_at else [_("Archive or delete the experiment.")]
    return Verdict("info", title % {"date": day}, [*lines, *advice])


def _permanent(experiment: Experiment) -> str:
    if experiment.archived_at:
        return _("Make this choice permanent on your site.")
    return _("Make this choice permanent on your site, then archive the experiment.")


def _worse_lines(row: RankedVariant, results: Results) -> list[str]:
    """Name what the variant that got all traffic is worse on, as the page did before the end."""
    worse = worse_metrics(results, row)
    if not worse:
        return []
    said = (
        _("%(variant)s is clearly worse than the control on: %(metrics)s.")
        if any(one.is_clear for one in worse)
        else _("%(variant)s is likely worse than the control on: %(metrics)s.")
    )
    return [said % {"variant": row.statistics.variant_name, "metrics": names_of(worse)}]


def _final(experiment: Experiment, summary: Summary) -> Variant | None:
    split = summary.allocation.shares.all() if summary.allocation else []
    return next((share.variant for share in split if share.share == 1), experiment.winner)


def _day_of_end(summary: Summary) -> str:
    if summary.allocation is None or summary.allocation.kind not in CLOSING:
        return "–"
    return format_date(timezone.localdate(summary.allocation.created_at))


def _is_won(row: RankedVariant, results: Results) -> bool:
    is_leader = row.rank == 1 and results.is_compared
    return has_won(results.analysis.statistics.state, is_leader, row.statistics.probability_best)


def _title(has_lift: bool, is_won: bool) -> str:
    if is_won and not has_lift:
        return _("Ended on %(date)s: %(winner)s won.")
    if not has_lift:
        return _("Ended on %(date)s: %(winner)s gets all traffic.")
    if is_won:
        return _(
            "Ended on %(date)s: %(winner)s won with %(metric)s %(lift)s vs control "
            "(95%% interval %(low)s to %(high)s)."
        )
    return _(
        "Ended on %(date)s: %(winner)s was chosen with %(metric)s %(lift)s vs control "
        "(95%% interval %(low)s to %(high)s)."
    )


def _chance_lines(row: RankedVariant, results: Results) -> list[str]:
    """Say how likely it is the best, where that was judged; of the leader not beside others that may be better."""
    leader = results.leader
    if row.rank is None or leader is None or not results.is_compared:
        return []
    may_be_better = [unjudged(results.rivals)] if results.rivals else []
    if may_be_better and row is leader:
        return may_be_better
    top = leader.statistics
    chosen = chosen_words(row.statistics.probability_best, top.variant_name, top.probability_best) + "."
    return [chosen, *may_be_better]
