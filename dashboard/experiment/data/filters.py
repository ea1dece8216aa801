"""The filter of the data tab: days from and to, and one variant."""

import datetime as dt
from typing import NamedTuple

from django.http import HttpRequest

from experiments.models import Experiment, Variant
from experiments.text import parse_date


class DataFilter(NamedTuple):
    """Days and a variant that are asked for; None keeps everything."""

    first: dt.date | None = None
    last: dt.date | None = None
    variant: Variant | None = None

    @property
    def is_used(self) -> bool:
        return any(self)

    def keeps(self, date: dt.date) -> bool:
        return (self.first is None or date >= self.first) and (self.last is None or date <= self.last)


def filter_of(request: HttpRequest, experiment: Experiment) -> DataFilter:
    """Read the query; what is no date and no variant of the experiment asks for nothing."""
    chosen = request.GET.get("variant", "")
    variant = next((v for v in experiment.variants.all() if str(v.pk) == chosen), None)
    return DataFilter(_date(request, "from"), _date(request, "to"), variant)


def _date(request: HttpRequest, name: str) -> dt.date | None:
    return parse_date(request.GET.get(name, ""))
