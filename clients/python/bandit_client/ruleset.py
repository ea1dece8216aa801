"""The rule set: how each experiment splits its visitors, as the service publishes it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from bandit_client.assignment import SHARE_UNIT, Race


@dataclass(frozen=True)
class Rules:
    """One experiment: its split, and whether events are counted."""

    key: str
    status: str
    shares: Mapping[str, int]
    race: Race
    counts: bool
    fallback: str | None
    allocation: int | None = None

    def share(self, variant: str) -> float:
        """The chance of the variant, between 0 and 1."""
        return self.shares.get(variant, 0) / SHARE_UNIT


@dataclass(frozen=True)
class RuleSet:
    """All live experiments by key, and the time zone whose days are counted."""

    experiments: Mapping[str, Rules] = field(default_factory=lambda: MappingProxyType({}))
    time_zone: dt.tzinfo = dt.UTC


def parse_rule_set(document: Mapping[str, Any]) -> RuleSet:
    """Read the service's document. Raises ValueError for one that this version cannot follow."""
    if document.get("version") != 1:
        raise ValueError(
            f"rule set version {document.get('version')!r} is not known; update bandit-serving-client"
        )
    try:
        rules = [_rules(entry) for entry in document["experiments"]]
        return RuleSet({one.key: one for one in rules}, ZoneInfo(document["time_zone"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the rule set is incomplete: {error!r}") from error


def _rules(entry: Mapping[str, Any]) -> Rules:
    key, shares = entry["key"], {str(name): int(share) for name, share in entry["shares"].items()}
    return Rules(
        key=key,
        status=entry["status"],
        shares=MappingProxyType(shares),
        race=Race(key, shares),
        counts=bool(entry["counts"]),
        fallback=entry["fallback"],
        allocation=entry["allocation"],
    )
