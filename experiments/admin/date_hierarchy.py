"""A calendar for the admin's list of a million rows that reads none of them: see CalendarQuerySet."""

import datetime as dt
from typing import Any

from django.db import models


class CalendarQuerySet(models.QuerySet[Any]):
    """Offers every period between the first and the last row, found by two look-ups in an index.

    Django's own asks the database to cut each row's date, a second and more for a million. A period in between
    without rows shows an empty list.
    """

    def dates(self, field_name: str, kind: Any, order: Any = "ASC") -> Any:
        first, last = self._ends(field_name)
        if first is None or last is None:
            return []
        day, found = _beginning(first, kind), []
        while day <= last:
            found.append(day)
            day = _next(day, kind)
        return found if order == "ASC" else found[::-1]

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Ask for each end by itself: SQLite finds a smallest or largest value in an index only so."""
        if set(kwargs) == {"first", "last"} and not args:
            field = kwargs["first"].source_expressions[0].name
            return dict(zip(("first", "last"), self._ends(field), strict=True))
        return super().aggregate(*args, **kwargs)

    def _ends(self, field: str) -> tuple[dt.date | None, dt.date | None]:
        """Look both ends up once for each list: the calendar asks for its range, then for what is in it."""
        known: dict[str, tuple[dt.date | None, dt.date | None]] = self.__dict__.setdefault("_known_ends", {})
        if field not in known:
            days = self.order_by(field).values_list(field, flat=True)
            known[field] = days.first(), days.last()
        return known[field]


def _beginning(day: dt.date, kind: str) -> dt.date:
    if kind == "year":
        return day.replace(month=1, day=1)
    return day.replace(day=1) if kind == "month" else day


def _next(day: dt.date, kind: str) -> dt.date:
    if kind == "day":
        return day + dt.timedelta(days=1)
    return _beginning(day + dt.timedelta(days=366 if kind == "year" else 31), kind)
