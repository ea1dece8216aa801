"""The list as a CSV: the rows that its filters show, all pages of them."""

import csv
import io
from collections.abc import Iterator, Sequence

from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_safe

from dashboard.access import requires
from dashboard.experiment_list.page import shown_entries
from dashboard.experiment_list.rows import Row, rows_of
from dashboard.experiment_list.stages import Listed
from experiments.roles import Role
from experiments.selectors import today
from experiments.tables.importing.rows import as_cell

COLUMNS = (
    "experiment",
    "name",
    "goal",
    "stage",
    "attention",
    "owner",
    "tags",
    "variants",
    "leader",
    "lift",
    "lift_low",
    "lift_high",
    "probability_best",
    "gain",
    "gain_low",
    "gain_high",
    "first_day",
    "data_through",
)
_BLOCK = 200


@require_safe
@requires(Role.VIEWER)
def experiments_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Answer with a line for each experiment, in the order of the page."""
    headers = {"Content-Disposition": 'attachment; filename="experiments.csv"'}
    lines = _blocks(shown_entries(request, today()))
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _blocks(entries: Sequence[Listed]) -> Iterator[str]:
    yield _text([COLUMNS])
    for start in range(0, len(entries), _BLOCK):
        yield _text([_cells(row) for row in rows_of(entries[start : start + _BLOCK], today())])


def _text(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cells(row: Row) -> list[object]:
    """Values as the API has them, not as pages write them; empty where there is none, and where the list shows none."""
    experiment, gain, lift, ahead = row.experiment, row.summary.gain, row.shown_lift, row.ahead
    return [
        experiment.key,
        as_cell(experiment.name),
        experiment.reward,
        row.stage.value,
        " ".join(flag.value for flag in row.flags),
        as_cell(experiment.owner),
        as_cell(experiment.tags),
        len(experiment.variants.all()),
        as_cell(ahead.variant.key) if ahead else None,
        *((lift.value, lift.low, lift.high) if lift else (None, None, None)),
        ahead.probability_best if ahead and not row.is_chosen else None,
        *((gain.value, gain.low, gain.high) if gain else (None, None, None)),
        row.first,
        row.latest,
    ]
