"""Lines of charts: a variant each, or the five that matter most and all others as one."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from django.utils.translation import gettext as _

from allocation.engine.posterior.beta import Floats
from allocation.ledger.table import DailyTable
from allocation.statistics.experiment import Analysis
from dashboard.charts import OTHERS, variant_colours
from dashboard.experiment.rates import DailyCountsTable
from experiments.metrics import Measures
from experiments.models import Variant

_MOST_LINES, _NAMED = 6, 5


class Line(NamedTuple):
    """A name, a colour and the ids of the variants that it stands for."""

    name: str
    colour: str
    ids: tuple[int, ...]


def lines_of(analysis: Analysis, variants: Sequence[Variant], shares: Mapping[int, float]) -> list[Line]:
    """Choose the lines of an experiment; above six the control and those with most traffic, now and so far."""
    seen = analysis.history.counts.impressions.sum(axis=0)
    impressions = {v.id: int(n) for v, n in zip(analysis.inputs.variants, seen, strict=True)}
    return lines_by_weight(variants, shares, impressions)


def lines_by_weight(
    variants: Sequence[Variant],
    shares: Mapping[int, float],
    impressions: Mapping[int, int] = MappingProxyType({}),
) -> list[Line]:
    """Choose the lines by traffic share, and then by impressions."""
    colours = variant_colours(variants)
    if len(variants) <= _MOST_LINES:
        return [Line(v.name, colours[v.pk], (v.pk,)) for v in variants]
    by_weight = sorted(
        variants,
        key=lambda v: (v.is_control, shares.get(v.pk, 0.0), impressions.get(v.pk, 0)),
        reverse=True,
    )
    named = {v.pk for v in by_weight[:_NAMED]}
    others = tuple(v.pk for v in variants if v.pk not in named)
    return [
        *(Line(v.name, colours[v.pk], (v.pk,)) for v in variants if v.pk in named),
        Line(_("%(n)s others") % {"n": len(others)}, OTHERS, others),
    ]


def table_of(history: DailyTable, analysis: Analysis, lines: Sequence[Line]) -> DailyCountsTable:
    """Lay out the days of ``history`` with a column for each line."""
    place = {variant.id: n for n, variant in enumerate(analysis.inputs.variants)}
    columns = [[place[pk] for pk in line.ids if pk in place] for line in lines]

    def together(numbers: Floats) -> Floats:
        return np.stack([numbers[:, own].sum(axis=1) for own in columns], axis=1)

    return DailyCountsTable(lines, history.dates, Measures(*map(together, history.measures)))
