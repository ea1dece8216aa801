"""Daily rows as the file that the upload takes, streamed in blocks."""

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from experiments.metrics import Measure
from experiments.models import DailyMetric, Experiment
from experiments.selectors import measures_of, measures_of_one
from experiments.tables.importing.rows import as_cell

_BLOCK_CHARACTERS = 32_768
_PLACE = ("experiment_id", "date", "variant_name")


def metrics_download(experiment: Experiment, rows: QuerySet[DailyMetric]) -> StreamingHttpResponse:
    """Stream rows of one experiment in their order, from where it was read; values only where it has some."""
    measures = measures_of_one(experiment)
    stored = rows.using(experiment._state.db).values_list("date", "variant__name", *_names(measures))
    lines = (
        (experiment.pk, date, as_cell(name), *_cells(numbers))
        for date, name, *numbers in stored.iterator(chunk_size=2000)
    )
    return _download(f"{experiment.key}-daily-metrics.csv", measures, lines)


def many_download(rows: QuerySet[DailyMetric]) -> StreamingHttpResponse:
    """Stream rows of many experiments, each named by its key, which another installation knows too."""
    ordered = rows.order_by("variant__experiment_id", "date", "variant_id")
    measures = measures_of(Experiment.objects.filter(pk__in=rows.order_by().values("variant__experiment")))
    stored = ordered.values_list("variant__experiment__key", "date", "variant__name", *_names(measures))
    lines = (
        (key, date, as_cell(name), *_cells(numbers)) for key, date, name, *numbers in stored.iterator(2000)
    )
    return _download("daily-metrics.csv", measures, lines)


def template_download(experiment: Experiment, day: dt.date) -> StreamingHttpResponse:
    """Stream a line for each active variant, with its numbers left blank: a day of zeros would be taken for one."""
    measures = measures_of_one(experiment)
    names = experiment.variants.filter(is_active=True).order_by("id").values_list("name", flat=True)
    blank = ["" for _measure in measures]
    lines = ((experiment.key, day, as_cell(name), *blank) for name in names)
    return _download(f"{experiment.key}-template.csv", measures, lines)


def _names(measures: Sequence[Measure]) -> list[str]:
    return [measure.name for measure in measures]


def _cells(numbers: Iterable[Any]) -> Iterator[Any]:
    """Write amounts without zeros at their end, and never as 1E+3."""
    for number in numbers:
        yield f"{number.normalize():f}" if isinstance(number, Decimal) else number


def _download(
    name: str, measures: Sequence[Measure], rows: Iterable[tuple[Any, ...]]
) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    columns = (*_PLACE, *_names(measures))
    return StreamingHttpResponse(
        _csv_lines(columns, rows), content_type="text/csv; charset=utf-8", headers=headers
    )


def _csv_lines(columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > _BLOCK_CHARACTERS:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
