"""One visitor, as views and templates know it: ``request.bandit``."""

from collections.abc import Mapping
from decimal import Decimal

from django.http import HttpRequest

from bandit_client.client import Client
from bandit_client.rows import Exposure

# Of an experiment in the cookie: variant, day, and which of click and conversion have been counted ("c", "v").
Seen = dict[str, list[str]]


class Visitor:
    """Asks and counts for a unit. Another process may have counted its exposure, so that is kept in a cookie."""

    def __init__(self, client: Client, unit: str | None, seen: Mapping[str, list[str]]) -> None:
        self._client, self.unit = client, unit
        self.seen: Seen = {key: list(entry) for key, entry in seen.items()}
        self.has_changed = False

    def variant(self, experiment: str, default: str = "control") -> str:
        """The variant to show, counted as an exposure: the one of today where the visitor has seen one."""
        if self.unit is None:
            return default
        if experiment in self.seen and self._client.is_today(self.seen[experiment][1]):
            return self.seen[experiment][0]
        exposure = self._client.exposure(experiment, self.unit)
        if exposure is None:
            return default
        self.seen[experiment] = [exposure.variant, exposure.day, ""]
        self.has_changed = True
        return exposure.variant

    def click(self, experiment: str) -> bool:
        return self._act(experiment, "c", None)

    def conversion(self, experiment: str, value: int | float | str | Decimal | None = None) -> bool:
        return self._act(experiment, "v", value)

    def _act(self, experiment: str, kind: str, value: int | float | str | Decimal | None) -> bool:
        """Count the first of a kind that follows an exposure."""
        if self.unit is None or experiment not in self.seen or kind in self.seen[experiment][2]:
            return False
        variant, day, done = self.seen[experiment]
        exposure = Exposure(experiment, variant, day)
        if kind == "c":
            counted = self._client.click(experiment, self.unit, exposure)
        else:
            counted = self._client.conversion(experiment, self.unit, value, exposure)
        self.seen[experiment] = [variant, day, done + kind]
        self.has_changed = True
        return counted


class BanditRequest(HttpRequest):
    """A request that has passed the middleware: the type for annotations of views."""

    bandit: Visitor
