"""The facts of an event beside its sentence, as lines for people: a label and a value each.

A fact of another version that is not understood is left out: the sentence and the page say what matters.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from experiments.text import format_number, format_percent
from notifications.channels.wording import chance_in_words, day_in_words, fall_in_words, ratio_in_words

Data = Mapping[str, Any]


class Fact(NamedTuple):
    label: str
    value: str


def facts_of(data: Data) -> list[Fact]:
    """Write the facts of an event in the current language."""
    return [fact for name, write in _WRITERS.items() if data.get(name) is not None for fact in write(data)]


def _target_date(data: Data) -> Iterator[Fact]:
    yield Fact(_("In force from"), day_in_words(data["target_date"]))


def _shares(data: Data) -> Iterator[Fact]:
    """Give each variant's share of traffic, with the one before where there was one."""
    before = data.get("previous_shares") or {}
    for variant, share in data["shares"].items():
        facts = {"share": format_percent(share), "before": format_percent(before.get(variant, 0))}
        text = _("%(share)s of traffic, before %(before)s") if before else _("%(share)s of traffic")
        yield Fact(variant, text % facts)


def _leader(data: Data) -> Iterator[Fact]:
    yield Fact(_("Leader"), data["leader"])


def _winner(data: Data) -> Iterator[Fact]:
    yield Fact(_("Final variant"), data["winner"])


def _probability(data: Data) -> Iterator[Fact]:
    yield Fact(_("Probability to be best"), chance_in_words(data["probability_best"]))


def _observed(data: Data) -> Iterator[Fact]:
    """Compare the impressions of each variant with those that its share makes expected."""
    expected = data.get("expected") or {}
    for variant, number in data["observed"].items():
        facts = {"seen": format_number(number, 0), "expected": format_number(expected.get(variant, 0), 0)}
        yield Fact(variant, _("%(seen)s impressions, %(expected)s expected") % facts)


def _rates(data: Data) -> Iterator[Fact]:
    """Give the change of each variant's rate as a ratio, which needs no unit."""
    since = data.get("rates_since") or {}
    for variant, before in data["rates_before"].items():
        if before and since.get(variant) is not None:
            change = since[variant] / before - 1
            text = f"{'+' if change > 0 else ''}{format_percent(change)}"
            yield Fact(variant, _("rate %(change)s since the change") % {"change": text})


def _harms(data: Data) -> Iterator[Fact]:
    for harm in data["harms"]:
        facts = {"fall": fall_in_words(harm["max_fall"]), "metric": ratio_in_words(harm)}
        yield Fact(harm["variant"], _("more than %(fall)s%% below the control in %(metric)s") % facts)


_WRITERS: Mapping[str, Callable[[Data], Iterator[Fact]]] = {
    "target_date": _target_date,
    "leader": _leader,
    "winner": _winner,
    "probability_best": _probability,
    "shares": _shares,
    "observed": _observed,
    "rates_before": _rates,
    "harms": _harms,
}
