"""Code that calls the service for one experiment, ready to be copied; tests run every line of it.

Names of variants are people's text: each is written as a literal of its language.
"""

import datetime as dt
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from bandit_project.administration.keys import Scope
from experiments.models import Experiment, Variant
from experiments.text import Text

# Stands where the key belongs until one was made.
PLACEHOLDER = "YOUR_API_KEY"
_VISITOR = "visitor-42"
_LATE_NAMES = ("variant_b", "control")


@dataclass(frozen=True)
class Recipe:
    """One piece of code: its template, what it does, and the least scope of the key that it needs."""

    name: str
    title: Text
    note: Text
    scope: Scope
    in_browser: bool = False

    def takes(self, scope: Scope) -> bool:
        """Check whether a key of this scope may stand here; one that writes is never shown to browsers."""
        return scope is self.scope or (scope is Scope.WRITE and not self.in_browser)


@dataclass(frozen=True)
class Way:
    """A language or tool, with what it is good for."""

    name: str
    title: Text
    note: Text
    recipes: Sequence[Recipe]


@dataclass(frozen=True)
class Snippet:
    """A recipe filled in for one experiment."""

    recipe: Recipe
    text: str
    has_key: bool


@dataclass(frozen=True)
class FilledWay:
    way: Way
    snippets: list[Snippet]


_GET = _("Get a variant")
_VISITS = _("Get a variant and count what visitors do")
_COUNTS_SELF = _("Each visitor counts once a day; clicks count on the day of the impression.")

WAYS = (
    Way(
        "curl",
        "curl",
        _("Try a call from the command line, or translate it to any language."),
        (
            Recipe("evaluate.sh", _GET, _("The same visitor always gets the same variant."), Scope.SERVE),
            Recipe(
                "shares.sh",
                _("Get today's traffic shares"),
                _("For software that assigns visitors by itself."),
                Scope.WRITE,
            ),
            Recipe(
                "count.sh",
                _("Count visitors as they come"),
                _("Adds to the totals of the day. Send sums every few seconds, not each visit."),
                Scope.SERVE,
            ),
            Recipe(
                "day.sh",
                _("Send the totals of a day"),
                _("Replaces the totals of that day. Put your own numbers in."),
                Scope.WRITE,
            ),
        ),
    ),
    Way(
        "javascript",
        "JavaScript",
        _("For pages in a browser. The variant is computed on the visitor's device."),
        (Recipe("page.html", _VISITS, _COUNTS_SELF, Scope.SERVE, in_browser=True),),
    ),
    Way(
        "python",
        "Python",
        _("For servers. The variant is computed in your process, without a request."),
        (
            Recipe("client.py", _VISITS, _COUNTS_SELF, Scope.SERVE),
            Recipe(
                "day.py",
                _("Send the totals of a day"),
                _("Replaces the totals of that day. Put your own numbers in."),
                Scope.WRITE,
            ),
        ),
    ),
    Way(
        "openfeature",
        "OpenFeature",
        _("The open standard for feature flags. The experiment is a flag, its value the variant."),
        (
            Recipe(
                "openfeature.js",
                _("Get a variant in a browser"),
                _("An evaluation counts nothing: send counts when the visitor has seen the variant."),
                Scope.SERVE,
                in_browser=True,
            ),
            Recipe(
                "openfeature.py",
                _("Get a variant on a server, in Python"),
                _("This provider counts the visitor when the flag is evaluated."),
                Scope.SERVE,
            ),
        ),
    ),
)


def filled_ways(
    experiment: Experiment,
    *,
    url: str,
    today: dt.date,
    secret: str = "",
    scope: Scope | None = None,
    no_key: str = PLACEHOLDER,
) -> list[FilledWay]:
    """Fill in every recipe; ``secret`` is a key of this scope that was made a moment ago, ``no_key`` stands where
    none was made: if it is empty, the calls name no key.
    """
    values = _values(experiment, url, today)

    def snippet(recipe: Recipe) -> Snippet:
        fits = scope is not None and recipe.takes(scope)
        context = values | {"key": secret if fits else no_key}
        text = render_to_string(f"dashboard/experiment/integrate/snippets/{recipe.name}.txt", context)
        return Snippet(recipe, text.strip(), fits)

    return [FilledWay(way, [snippet(recipe) for recipe in way.recipes]) for way in WAYS]


def _values(experiment: Experiment, url: str, today: dt.date) -> dict[str, Any]:
    shown, fallback = _two_variants([v for v in experiment.variants.all() if v.is_active])
    place = {"experiment_id": experiment.key, "date": today.isoformat()}
    rows = [
        {**place, "variant_name": name, "impressions": 1000, "clicks": clicks, "conversions": 5}
        for name, clicks in ((fallback, 50), (shown, 60))
    ]
    increment = {"experiment": experiment.key, "variant": shown, "day": today.isoformat(), "impressions": 1}
    return {
        "url": url,
        "sdk": f"{url}{settings.STATIC_URL}sdk/bandit.js",
        "experiment": experiment.key,
        "fallback": _literal(fallback),
        "visitor": _VISITOR,
        "context": _shell({"context": {"targetingKey": _VISITOR}}),
        "increments": _shell({"increments": [increment]}),
        "rows": _shell({"rows": rows}),
        "python_rows": _literal(rows, indent=4),
    }


def _two_variants(active: Sequence[Variant]) -> tuple[str, str]:
    """Choose a variant that is shown and the fallback, the control; invent them where there are none yet."""
    control = next((v.key for v in active if v.is_control), _LATE_NAMES[1])
    return next((v.key for v in active if v.key != control), _LATE_NAMES[0]), control


def _literal(value: object, indent: int | None = None) -> str:
    """Write a literal of JavaScript and of Python; a name cannot end the page's script element."""
    return json.dumps(value, ensure_ascii=False, indent=indent).replace("<", "\\u003c")


def _shell(body: object) -> str:
    return shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))
