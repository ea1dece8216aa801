"""Charts of the traffic tab: the shares of each day, and what the evidence alone would have given."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from allocation.selectors import Split
from dashboard.charts import Chart, Series
from dashboard.experiment.lines import Line


def shares_over_time(lines: Sequence[Line], days: Sequence[Split]) -> Chart:
    """Draw the shares in force; ``days`` are oldest first, one decision a date."""
    return Chart(
        id="traffic-allocation",
        title=_("Traffic allocation over time"),
        note=_("Share assigned to each variant per day."),
        kind="area",
        y_title="",
        x=[day.target_date for day in days],
        y_max=1,
        tall=True,
        series=[
            Series(line.name, line.colour, _together([day.shares for day in days], line)) for line in lines
        ],
    )


def target_and_actual(lines: Sequence[Line], days: Sequence[Split]) -> Chart:
    """Draw the targets before the limits beside the shares after them."""
    pairs = [
        (
            Series(line.name, line.colour, _together([day.shares for day in days], line)),
            Series(
                _("%(name)s (target)") % {"name": line.name},
                line.colour,
                _together([day.targets for day in days], line),
                dashed=True,
            ),
        )
        for line in lines
    ]
    return Chart(
        id="target-and-actual-share",
        title=_("Target vs actual share"),
        note=_("Solid: actual. Dashed: target before limits."),
        kind="steps",
        y_title="",
        x=[day.target_date for day in days],
        y_max=1,
        tall=True,
        series=[series for pair in pairs for series in pair],
    )


def _together(days: Sequence[dict[int, float]], line: Line) -> list[float | None]:
    return [sum(shares.get(pk, 0.0) for pk in line.ids) for shares in days]
