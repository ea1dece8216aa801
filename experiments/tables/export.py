"""Daily rows as the file that the upload takes, streamed in blocks."""

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from experiments.metrics import COUNT_NAMES, NO_COUNTS
from experiments.models import DailyMetric, Experiment
from experiments.tables.rows import COLUMNS, as_cell

_BLOCK_CHARACTERS = 32_768


def metrics_download(experiment: Experiment, rows: QuerySet[DailyMetric]) -> StreamingHttpResponse:
    """Stream rows of one experiment in their order."""
    values = rows.values_list("date", "variant__name", *COUNT_NAMES)
    lines = (
        (experiment.pk, date, as_cell(name), *counts)
        for date, name, *counts in values.iterator(chunk_size=2000)
    )
    return _download(f"{experiment.key}-daily-metrics.csv", lines)


def many_download(rows: QuerySet[DailyMetric]) -> StreamingHttpResponse:
    """Stream rows of many experiments, each named by its key, which another installation knows too."""
    ordered = rows.order_by("variant__experiment_id", "date", "variant_id")
    values = ordered.values_list("variant__experiment__key", "date", "variant__name", *COUNT_NAMES)
    lines = ((key, date, as_cell(name), *counts) for key, date, name, *counts in values.iterator(2000))
    return _download("daily-metrics.csv", lines)


def template_download(experiment: Experiment, day: dt.date) -> StreamingHttpResponse:
    """Stream a line for each active variant, with counts to be filled in."""
    names = experiment.variants.filter(is_active=True).order_by("id").values_list("name", flat=True)
    lines = ((experiment.pk, day, as_cell(name), *NO_COUNTS) for name in names)
    return _download(f"{experiment.key}-template.csv", lines)


def _download(name: str, rows: Iterable[tuple[Any, ...]]) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(_csv_lines(rows), content_type="text/csv; charset=utf-8", headers=headers)


def _csv_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > _BLOCK_CHARACTERS:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
