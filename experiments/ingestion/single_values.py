"""Single values, such as orders, added up to the sum and the sum of squares of their day."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.utils.translation import gettext as _

from experiments.exceptions import InvalidRowsError, Issue
from experiments.ingestion.upsert import PlacedCounts
from experiments.models import Experiment

# The single values of rows, by their position.
SingleValues = Mapping[int, Sequence[Decimal]]


def with_single_values(
    rows: Sequence[PlacedCounts], values: SingleValues, mode: str
) -> tuple[list[PlacedCounts], int]:
    """Add each row's single values to it; return the rows, and how many values were above their experiment's cap.

    Raises InvalidRowsError for values in another mode than add, beside a sum, or more than there are conversions.
    """
    if found := [(index, issue) for index in values for issue in _issues(rows[index], values[index], mode)]:
        raise InvalidRowsError(found)
    chosen = Experiment.objects.filter(pk__in={rows[index][0] for index in values})
    caps = dict(chosen.values_list("pk", "value_cap"))
    summed, cut = list(rows), 0
    for index, given in values.items():
        experiment_id, row = rows[index]
        cap = caps.get(experiment_id)
        counted = [value if cap is None else min(value, cap) for value in given]
        cut += sum(value != kept for value, kept in zip(given, counted, strict=True))
        squares = float(sum(value * value for value in counted))
        row = row._replace(value_sum=sum(counted, Decimal(0)), value_squares=squares)
        summed[index] = experiment_id, row
    return summed, cut


def _issues(placed: PlacedCounts, values: Sequence[Decimal], mode: str) -> list[Issue]:
    _id, row = placed
    if mode != "add":
        message = _("single values are for mode add; in mode set send value_sum and value_squares of the day")
        return [Issue("values", "wrong_mode", message)]
    if row.value_sum or row.value_squares:
        message = _("send either single values or value_sum with value_squares, not both")
        return [Issue("values", "twice", message)]
    if row.conversions < len(values):
        message = _(
            "conversions (%(conversions)s) must be at least the number of values (%(values)s); left out, it is that"
        )
        said = message % {"conversions": row.conversions, "values": len(values)}
        return [Issue("conversions", "too_few", said)]
    return []
