"""Statistics of an experiment as a CSV: a line for each variant, with the days that its numbers hold for."""

import csv
import io
from dataclasses import astuple, fields

from django.http import HttpResponse

from allocation.statistics.experiment import Statistics, VariantStatistics
from allocation.statistics.variants import AlwaysValidUplift
from experiments.tables.importing.rows import as_cell

_NESTED = "uplift_always_valid"
# In an order that stays: programs read columns by their place too.
_PLAIN = (
    "variant_key", "variant_name", "is_control", "is_active", "trials", "successes", "rate", "rate_low", "rate_high",
    "probability_best", "expected_loss", "enough_data", "missing_trials", "uplift", "uplift_low", "uplift_high",
    "beats_control", "value_sum", "effective_orders", "largest_part",
)  # fmt: skip
_ALWAYS_VALID = tuple(f"{_NESTED}_{field.name}" for field in fields(AlwaysValidUplift))
COLUMNS = ("experiment", "date", "data_through", *_PLAIN, *_ALWAYS_VALID)


def statistics_download(key: str, statistics: Statistics) -> HttpResponse:
    """Answer with the file; ``key`` names the experiment, in the file as well."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    as_of = statistics.as_of
    writer.writerows([key, as_of.date, as_of.data_through, *_cells(v)] for v in statistics.variants)
    headers = {"Content-Disposition": f'attachment; filename="{key}-statistics.csv"'}
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _cells(variant: VariantStatistics) -> list[object]:
    """Values in the order of the columns; empty where there is none. No name runs as a spreadsheet's formula."""
    always_valid = variant.uplift_always_valid
    nested = astuple(always_valid) if always_valid else (None,) * len(_ALWAYS_VALID)
    return [_cell(value) for value in (*(getattr(variant, name) for name in _PLAIN), *nested)]


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return as_cell(value) if isinstance(value, str) else value
