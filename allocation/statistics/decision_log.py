"""The decision log as a CSV: a line for each decision, with a column for the share of each variant."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from django.http import StreamingHttpResponse

from allocation.models import Allocation, AllocationShare
from experiments.models import Experiment
from experiments.tables.importing.rows import as_cell

COLUMNS = ("date", "version", "kind", "state", "computed_at", "data_through", "reason")
_FIELDS = ("pk", "target_date", "revision", "kind", "state", "created_at", "data_through", "reason")
# Decisions whose shares are held at a time.
_BLOCK = 200


def decision_log_download(experiment: Experiment) -> StreamingHttpResponse:
    """Answer with every decision, newest first; the experiment has its variants prefetched."""
    headers = {"Content-Disposition": f'attachment; filename="{experiment.key}-decision-log.csv"'}
    return StreamingHttpResponse(
        decision_log_lines(experiment), content_type="text/csv; charset=utf-8", headers=headers
    )


def decision_log_lines(experiment: Experiment) -> Iterator[str]:
    """Write the file block by block; a query for the decisions and one for the shares of each block.

    They are read from where the experiment was read: a replica may have neither it nor them all yet.
    """
    database = experiment._state.db
    variants = list(experiment.variants.all())
    yield _lines([[*COLUMNS, *(as_cell(f"share of {variant.key}") for variant in variants)]])
    decisions = Allocation.objects.using(database).filter(experiment=experiment).values_list(*_FIELDS)
    rows = decisions.iterator(chunk_size=_BLOCK)
    while block := list(islice(rows, _BLOCK)):
        shares = _shares([row[0] for row in block], database)
        yield _lines(
            [_cells(row) + [shares[row[0]].get(variant.pk) for variant in variants] for row in block]
        )


def _cells(row: Sequence[Any]) -> list[object]:
    _pk, date, revision, kind, state, at, through, reason = row
    return [date, revision, kind, state, at.isoformat(), through, as_cell(reason)]


def _shares(allocations: Sequence[int], database: str | None) -> dict[int, dict[int, object]]:
    """Read the shares of each allocation by variant id."""
    found: defaultdict[int, dict[int, object]] = defaultdict(dict)
    rows = AllocationShare.objects.using(database).filter(allocation__in=allocations).order_by()
    for allocation, variant, share in rows.values_list("allocation_id", "variant_id", "share"):
        found[allocation][variant] = share
    return found


def _lines(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
