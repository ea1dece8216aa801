"""The explore tab: the data behind the result, over time and by metric. All of a page is of one span and one metric."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from allocation import engine
from allocation.exceptions import NoActiveVariantError
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.table import DailyTable
from allocation.statistics.experiment import Analysis, VariantStatistics, analyse, variants_of
from allocation.statistics.over_time import lifts_on, some_dates
from allocation.statistics.results import by_rank, daily_shares
from allocation.statistics.secondary import judged_by
from allocation.statistics.variants import always_valid_of, is_control_bare
from dashboard.access import requires
from dashboard.charts import Chart, variant_colours
from dashboard.experiment.explore import charts
from dashboard.experiment.explore.options import RANGES, Options, options_of
from dashboard.experiment.explore.tables import ComparedRow, funnel, share_on, weekdays
from dashboard.experiment.folding import fold
from dashboard.experiment.lines import Line, lines_of, table_of
from dashboard.experiment.markers import marked, markers_of
from dashboard.experiment.results.page import named
from dashboard.experiment.summary import experiment_or_404
from dashboard.experiment.tabs import tab_context
from experiments.exceptions import InvalidError
from experiments.metrics import Reward
from experiments.models import Experiment, Variant
from experiments.roles import Role
from experiments.selectors import day_ahead, today

# Of two dates compared; more rows would be no comparison.
_MOST_COMPARED = 12


@require_safe
@requires(Role.VIEWER, may_lag=True)
def explore(request: HttpRequest, reference: str) -> HttpResponse:
    """Show one metric over one span: ``?range=14|28``, ``?metric=``, ``?variant=``, ``?from=`` and ``?to=``."""
    date = today()
    experiment = experiment_or_404(reference, date)
    context = tab_context(experiment, "explore", date)
    # of another span or metric the analysis is not what the table shows
    as_it_is = not {"range", "metric"} & request.GET.keys()
    analysis = _analysis_or_none(experiment, date)
    if analysis is not None and analysis.history.days.size:
        allocation = context["summary"].allocation
        shares = {s.variant_id: float(s.share) for s in allocation.shares.all()} if allocation else {}
        rows = analysis.statistics.variants if as_it_is else None
        context |= _of_data(experiment, analysis, shares, request.GET.dict(), rows)
    else:
        context["ahead"] = day_ahead(experiment, date)
    return render(request, "dashboard/experiment/explore.html", context)


def _analysis_or_none(experiment: Experiment, date: dt.date) -> Analysis | None:
    try:
        return analyse(experiment, date, with_secondary=False, always_valid=False)
    except (NoActiveVariantError, InvalidError):
        return None


def _of_data(
    experiment: Experiment,
    analysis: Analysis,
    shares: dict[int, float],
    query: dict[str, str],
    rows: Sequence[VariantStatistics] | None,
) -> dict[str, Any]:
    """``rows``: those of the table, where the analysis has them already."""
    variants = list(experiment.variants.all())
    options = options_of(query, analysis, variants)
    inputs = judged_by(_cut(analysis.inputs, options.days), options.metric)
    same = inputs is analysis.inputs
    decision = analysis.decision if same else engine.allocate_many([inputs.to_request()])[0]
    history = inputs.table if options.days else analysis.history
    lines = lines_of(analysis, variants, shares)
    table = table_of(history, analysis, lines)
    rows = rows or variants_of(inputs, decision, None)
    shown = fold(_rows(rows, variants), whole=query.get("variants") == "all")
    markers = markers_of(experiment, analysis.statistics)
    goal = _Goal(options.metric, experiment.currency)
    drawn = [
        *_lifts(inputs, decision, options, variants),
        charts.daily_rates(table, options.metric, _prior(inputs), goal.title),
        _densities(decision, inputs, lines, goal),
    ]
    return {
        "options": options,
        "ranges": RANGES,
        "goal": goal,
        "rows": replace(shown, shown=_always_valid(shown.shown, inputs, decision, history)),
        "control_is_judged": all(row.enough_data for row in rows if row.is_control),
        "is_control_bare": is_control_bare(rows),
        "dispersion": decision.dispersion,
        "start": history.dates[0],
        "end": history.dates[-1],
        "charts": [named(marked(chart, markers), experiment) for chart in drawn],
        "count_charts": [named(marked(chart, markers), experiment) for chart in charts.daily_counts(table)],
        "weekdays": weekdays(table, options.metric),
        "funnel": funnel(table),
        "compared": _compared(inputs, analysis, options, lines),
        "first_day": analysis.history.dates[0],
        "last_day": analysis.history.dates[-1],
        "others": [variant for variant in variants if not variant.is_control],
    }


class _Goal:
    """The chosen metric as templates write rates: as those of an experiment with this goal and currency."""

    def __init__(self, goal: Reward, currency: str) -> None:
        self.goal, self.currency = goal, currency
        named = f"{goal.label}, {currency}" if goal.is_value and currency else str(goal.label)
        self.title = named


def _cut(inputs: AllocationInputs, days: int | None) -> AllocationInputs:
    """Keep the latest days; the warm-up is over or not by all of the data."""
    if days is None or not inputs.table.days.size:
        return inputs
    end = inputs.table.dates[-1]
    cut = inputs.table.between(end - dt.timedelta(days=days - 1), end)
    left_out = inputs.impressions_so_far - int(cut.counts.impressions.sum())
    return replace(inputs, table=cut, earlier_impressions=left_out, gains=None)


def _prior(inputs: AllocationInputs) -> tuple[float, float | None]:
    return inputs.settings.alpha_prior, inputs.settings.beta_prior


_Row = tuple[Variant, str, VariantStatistics]


def _rows(rows: Sequence[VariantStatistics], variants: Sequence[Variant]) -> list[_Row]:
    """Put the rows in the order of the leaderboard."""
    by_key, colours = {variant.key: variant for variant in variants}, variant_colours(variants)
    ordered = sorted(rows, key=lambda row: (not row.is_active, not row.enough_data, *by_rank(row)))
    return [(by_key[row.variant_key], colours[by_key[row.variant_key].pk], row) for row in ordered]


def _always_valid(
    rows: Sequence[_Row], inputs: AllocationInputs, decision: engine.Decision, history: DailyTable
) -> list[_Row]:
    """Add the intervals that may be looked at every day; of rows that are not shown nobody waits for them."""
    place = {variant.id: n for n, variant in enumerate(inputs.variants)}
    found = always_valid_of(inputs, decision, history, [place[variant.pk] for variant, _colour, _row in rows])
    return [
        (variant, colour, replace(row, uplift_always_valid=uplift))
        for (variant, colour, row), uplift in zip(rows, found, strict=True)
    ]


def _lifts(
    inputs: AllocationInputs, decision: engine.Decision, options: Options, variants: Sequence[Variant]
) -> list[Chart]:
    """Draw the lift of the chosen variant; nothing without another than the control."""
    if options.variant is None:
        return []
    place = next(n for n, v in enumerate(inputs.variants) if v.id == options.variant.pk)
    lifts = lifts_on(inputs, some_dates(inputs), [place], of_all=decision)[0]
    colour = variant_colours(variants)[options.variant.pk]
    return [charts.lift_over_time(lifts, options.variant.name, colour)]


def _densities(
    decision: engine.Decision, inputs: AllocationInputs, lines: Sequence[Line], goal: _Goal
) -> Chart:
    place = {variant.id: n for n, variant in enumerate(inputs.variants)}
    known = [
        (place[line.ids[0]], line)
        for line in lines
        if len(line.ids) == 1 and line.ids[0] in place and not decision.low_evidence[place[line.ids[0]]]
    ]
    return charts.densities(
        decision,
        [at for at, _line in known],
        [line.name for _at, line in known],
        [line.colour for _at, line in known],
        goal.title,
        goal.goal.is_value,
    )


def _compared(
    inputs: AllocationInputs, analysis: Analysis, options: Options, lines: Sequence[Line]
) -> list[ComparedRow]:
    """Compare what was known by each of two dates; empty unless both are asked for."""
    if options.first is None or options.second is None:
        return []
    dates, days = [options.first, options.second], daily_shares(analysis)
    place = {variant.id: n for n, variant in enumerate(inputs.variants)}
    single = [line for line in lines if len(line.ids) == 1 and line.ids[0] in place][:_MOST_COMPARED]
    found = lifts_on(inputs, dates, [place[line.ids[0]] for line in single], always_valid=False)
    return [
        ComparedRow(line, pair[0], pair[1], *(share_on(days, date, line.ids) for date in dates))
        for line, pair in zip(single, found, strict=True)
    ]
