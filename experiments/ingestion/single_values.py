"""Single values, such as orders, added up to the sum and the sum of squares of their day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from experiments.exceptions import InvalidRowsError, Issue
from experiments.ingestion.upsert import PlacedCounts
from experiments.ingestion.validation import has_more_places, may_have_more_places
from experiments.metrics import HIGHEST_VALUE, NO_VALUE, VALUE_PLACES
from experiments.models import Experiment

# The single values of rows, by their position.
SingleValues = Mapping[int, Sequence[Decimal]]


@dataclass(slots=True)
class Orders:
    """Sums of single values, each counted as ``cap`` at most; ``cut``: how many were above it."""

    cap: Decimal | None
    count: int = 0
    cut: int = 0
    value_sum: Decimal = NO_VALUE
    _squares: Decimal = NO_VALUE

    def add(self, value: Decimal) -> None:
        self.count += 1
        if self.cap is not None and value > self.cap:
            value = self.cap
            self.cut += 1
        self.value_sum += value
        self._squares += value * value

    @property
    def value_squares(self) -> float:
        return float(self._squares)


def are_single_values(values: Sequence[Decimal]) -> bool:
    """Tell of many values at once that order_problem finds nothing in any; False: look at each."""
    return min(values) >= 0 and max(values) <= HIGHEST_VALUE and not may_have_more_places(values)


def order_problem(value: Decimal) -> str:
    """Say why a single value is none; "" where it is one."""
    if value < 0:
        return _("%(value)s is below 0: take a refund off the order that it belongs to") % {"value": value}
    if value > HIGHEST_VALUE:
        message = _("%(value)s is too large; the largest value is %(highest)s")
        return message % {"value": value, "highest": HIGHEST_VALUE}
    if has_more_places(value):
        message = _("%(value)s must have at most %(places)s decimal places; round it")
        return message % {"value": value, "places": VALUE_PLACES}
    return ""


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
        orders = Orders(caps.get(experiment_id))
        for value in given:
            orders.add(value)
        cut += orders.cut
        row = row._replace(value_sum=orders.value_sum, value_squares=orders.value_squares)
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
