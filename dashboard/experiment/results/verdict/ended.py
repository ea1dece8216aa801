"""The verdict on an experiment that has ended."""

from django.utils import timezone
from django.utils.translation import gettext as _

from allocation.models import CLOSING
from allocation.statistics.results import Results
from dashboard.experiment.ending import reason_text
from dashboard.experiment.results.verdict.parts import Verdict
from dashboard.experiment.results.verdict.words import lift_words
from dashboard.experiment.summary import Summary
from dashboard.formatting import format_date
from experiments.models import Experiment


def ended(experiment: Experiment, summary: Summary, results: Results | None) -> Verdict:
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
    lift = lift_words(row, results) if results else None
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
