"""The algorithm's settings: what each means, where its values may lie, and the variable that sets its default.

An experiment stores only what differs from the installation; the installation's defaults come from the
environment. One table serves both, and the forms, the pages, the API, the commands and the checks at start.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from experiments.exceptions import InvalidError, Issue
from experiments.text import Text

SettingValue = float | int | bool

# control_floor + min_explore_rate must leave room for every variant's floor after rounding up.
HIGHEST_FLOOR_SUM = 0.99
SHARE_STEP = 0.0001


@dataclass(frozen=True)
class AlgorithmSetting:
    """One setting. ``low_open`` says that the lower end itself is not allowed.

    ``meaning`` is for commands and the API, in English. On pages ``label`` names the setting, ``help`` is beside its
    field, ``details`` in the handbook, and ``unit`` behind its number; a fraction of the traffic has the unit "%" and
    is shown as percent, or as percentage points where ``is_difference``: between two shares. ``blank`` says what the
    setting does where its default is None.
    """

    name: str
    variable: str
    kind: type[float] | type[int] | type[bool]
    default: SettingValue | None
    low: float
    high: float
    meaning: str
    label: Text
    help: Text
    details: Text
    unit: Text = ""
    blank: Text = ""
    low_open: bool = False
    step: float | None = None
    is_difference: bool = False

    @property
    def is_switch(self) -> bool:
        return self.kind is bool

    @property
    def is_whole(self) -> bool:
        return self.kind is int

    @property
    def range_text(self) -> str:
        if self.is_switch:
            return "true or false"
        start = f"above {self.low:,.10g}" if self.low_open else f"{self.low:,.10g}"
        kind = "a whole number " if self.is_whole else ""
        step = f", a multiple of {self.step:g}" if self.step else ""
        return f"{kind}{'' if self.low_open else 'from '}{start} to {self.high:,.10g}{step}"

    def problem(self, value: object) -> str | None:
        """Explain why ``value`` is refused, as the end of a sentence that begins with the setting's name; or None."""
        return None if self._allows(value) else f"must be {self.range_text}"

    def _allows(self, value: object) -> bool:
        if value is None:
            return self.default is None
        if self.is_switch or isinstance(value, bool):
            return self.is_switch and isinstance(value, bool)
        if not isinstance(value, int | float) or (self.is_whole and not isinstance(value, int)):
            return False
        above = value > self.low if self.low_open else value >= self.low
        return above and value <= self.high and self._on_step(value)

    def _on_step(self, value: float) -> bool:
        # only values inside the range come here: NaN and infinities do not
        return self.step is None or math.isclose(value / self.step, round(value / self.step), rel_tol=1e-9)


ALGORITHM_SETTINGS: dict[str, AlgorithmSetting] = {
    setting.name: setting
    for setting in (
        AlgorithmSetting(
            name="alpha_prior",
            variable="ALPHA_PRIOR",
            kind=float,
            default=1.0,
            low=0,
            high=1e6,
            low_open=True,
            meaning="Successes assumed before any data",
            label=_("Prior alpha"),
            help=_("Successes assumed before any data."),
            details=_(
                "Alpha of the Beta prior: the successes assumed before any data. Together with beta "
                "it sets the starting rate; small numbers are quickly outweighed by data."
            ),
        ),
        AlgorithmSetting(
            name="beta_prior",
            variable="BETA_PRIOR",
            kind=float,
            default=None,
            low=0,
            high=1e6,
            low_open=True,
            meaning="Failures assumed before any data; blank: those that centre the prior on the experiment's rate",
            label=_("Prior beta"),
            help=_("Failures assumed before any data. Blank: centred on the experiment's own rate."),
            details=_(
                "Beta of the Beta prior: the failures assumed before any data. Alpha 5 and beta 95 "
                "mean about 5%. Blank: it follows the experiment's own rate, so that a variant "
                "without data counts as neither better nor worse than the others."
            ),
            blank=_("the experiment's own rate"),
        ),
        AlgorithmSetting(
            name="min_explore_rate",
            variable="MIN_EXPLORE_RATE",
            kind=float,
            default=0.05,
            low=0,
            high=0.5,
            meaning="Traffic always spread evenly over all variants",
            label=_("Exploration share"),
            help=_("Share always spread evenly over all variants."),
            details=_(
                "Share of the traffic that is always spread evenly over all variants. More of it "
                "keeps learning about weak variants, at the cost of what they lose."
            ),
            unit="%",
        ),
        AlgorithmSetting(
            name="control_floor",
            variable="CONTROL_FLOOR",
            kind=float,
            default=0.10,
            low=0,
            high=0.5,
            meaning="The least share the control ever gets",
            label=_("Minimum control share"),
            help=_("The control always gets at least this share."),
            details=_(
                "The control always gets at least this share, so that there is always something to "
                "compare with. It costs as much as the control falls behind."
            ),
            unit="%",
        ),
        AlgorithmSetting(
            name="max_daily_shift",
            variable="MAX_DAILY_SHIFT",
            kind=float,
            default=0.20,
            low=SHARE_STEP,
            high=1,
            step=SHARE_STEP,
            meaning="The most a share moves from one day to the next",
            label=_("Maximum daily change"),
            help=_("Largest change of a variant's share per day (percentage points)."),
            details=_(
                "Largest change of a variant's share per day, in percentage points. A small maximum "
                "protects from surprises but is slow to leave a bad variant."
            ),
            unit="%",
            is_difference=True,
        ),
        AlgorithmSetting(
            name="window_days",
            variable="DEFAULT_WINDOW_DAYS",
            kind=int,
            default=None,
            low=1,
            high=365,
            meaning="Days of data a decision looks at, at most; blank: all of the last 365",
            label=_("Lookback window"),
            help=_("Older days never count. Blank: all data; how much the past counts is learned."),
            details=_(
                "A hard limit on the days of data used. Blank: the last 365 days can count, and their"
                " weight is learned (see Detect changes)."
            ),
            unit=_("days"),
            blank=_("all data"),
        ),
        AlgorithmSetting(
            name="maturity_days",
            variable="MATURITY_DAYS",
            kind=int,
            default=0,
            low=0,
            high=90,
            meaning="Latest days left out, as their outcomes still arrive",
            label=_("Conversion delay (ignore latest days)"),
            help=_("Ignore the latest days until late conversions have arrived."),
            details=_(
                "The latest days are ignored until their conversions have arrived, such as orders "
                "days after a click. Set it where conversions come late."
            ),
            unit=_("days"),
        ),
        AlgorithmSetting(
            name="min_impressions",
            variable="MIN_IMPRESSIONS_FOR_OPTIMIZATION",
            kind=int,
            default=1000,
            low=0,
            high=10**9,
            meaning="Impressions before traffic is optimized",
            label=_("Warm-up"),
            help=_("Impressions needed before traffic starts to move."),
            details=_(
                "Impressions an experiment needs before traffic starts to move. Until then it is "
                "split evenly."
            ),
            unit=_("impressions"),
        ),
        AlgorithmSetting(
            name="day_adjustment",
            variable="DAY_ADJUSTMENT",
            kind=bool,
            default=True,
            low=0,
            high=1,
            meaning="Whether day-to-day swings of all rates are taken out",
            label=_("Adjust for day effects"),
            help=_("Removes effects shared by all variants, such as weekends."),
            details=_(
                "Removes effects shared by all variants, such as weekends, so that a variant does not"
                " look better because it was shown on better days."
            ),
        ),
        AlgorithmSetting(
            name="memory",
            variable="MEMORY",
            kind=bool,
            default=True,
            low=0,
            high=1,
            meaning="Whether days from before a change of rates count less",
            label=_("Detect changes"),
            help=_(
                "Give older days less weight once the variants compare differently. Off: every day "
                "counts fully."
            ),
            details=_(
                "Looks for days since when the variants compare differently, and lets days from before such a "
                "change count less. While nothing changes, all data count."
            ),
        ),
        AlgorithmSetting(
            name="dispersion",
            variable="DISPERSION",
            kind=bool,
            default=True,
            low=0,
            high=1,
            meaning="Whether counts that vary more than chance allows count for less",
            label=_("Adjust for overdispersion"),
            help=_("Widen intervals where daily counts vary more than chance explains."),
            details=_(
                "Measures how much more the counts vary from day to day than independent visits would, as they do "
                "where one visitor is counted several times, and trusts them that much less."
            ),
        ),
        AlgorithmSetting(
            name="exploitation",
            variable="EXPLOITATION",
            kind=float,
            default=1.0,
            low=0,
            high=20,
            low_open=True,
            meaning="Power of probability_best: 1 is Thompson Sampling, more is greedier",
            label=_("Aggressiveness"),
            help=_("1 = Thompson Sampling. Higher values favour the leader sooner."),
            details=_(
                "1 gives each variant as much traffic as it is likely to be the best. More is "
                "greedier: faster to the leader, slower to notice a mistake."
            ),
        ),
    )
}


@dataclass(frozen=True)
class SettingGroup:
    """Settings that are together on a page, in its order. ``is_folded`` hides those that few people need."""

    legend: Text
    names: tuple[str, ...]
    is_folded: bool = False

    @property
    def settings(self) -> tuple[AlgorithmSetting, ...]:
        return tuple(ALGORITHM_SETTINGS[name] for name in self.names)


SETTING_GROUPS = (
    SettingGroup(_("Limits"), ("control_floor", "min_explore_rate", "max_daily_shift")),
    SettingGroup(
        _("Evidence"),
        ("min_impressions", "maturity_days", "memory", "dispersion", "day_adjustment", "window_days"),
    ),
    SettingGroup(_("For experts"), ("exploitation", "alpha_prior", "beta_prior"), is_folded=True),
)
# What is set most often comes first.
SETTINGS_ON_PAGES = tuple(setting for group in SETTING_GROUPS for setting in group.settings)


def with_defaults(own: Mapping[str, SettingValue | None]) -> dict[str, Any]:
    """Lay given settings over the installation's defaults; None follows the installation.

    A setting that may stay blank is None where neither sets it.
    """
    defaults: dict[str, Any] = django_settings.ALGORITHM_DEFAULTS
    return defaults | {name: value for name, value in own.items() if value is not None}


def checked_settings(own: Mapping[str, SettingValue | None]) -> dict[str, Any]:
    """Lay settings over the defaults; raise InvalidError where they clash, as they may once a default has changed."""
    values = with_defaults(own)
    if not _are_fine(tuple(values.items()), tuple(map(type, values.values()))):
        problems = setting_problems(values)
        raise InvalidError(
            [Issue(f"settings.{name}", "out_of_range", f"{name} {why}") for name, why in problems.items()]
        )
    return values


@lru_cache(maxsize=512)
def _are_fine(values: tuple[tuple[str, object], ...], _types: tuple[type, ...]) -> bool:
    """Remember what was checked: most experiments of an installation have one of a few sets of settings.

    Their types tell True from 1, which is equal to it.
    """
    return not setting_problems(dict(values))


def setting_problems(values: Mapping[str, object]) -> dict[str, str]:
    """Explain each setting in ``values`` that is refused. Floors are checked together where both are given."""
    problems = {
        name: problem
        for name, value in values.items()
        if (problem := ALGORITHM_SETTINGS[name].problem(value)) is not None
    }
    floors = [values.get("control_floor"), values.get("min_explore_rate")]
    if not problems and all(isinstance(f, int | float) for f in floors):
        total = sum(f for f in floors if isinstance(f, int | float))
        if total > HIGHEST_FLOOR_SUM + 1e-12:
            problems["control_floor"] = (
                f"and min_explore_rate must not exceed {HIGHEST_FLOOR_SUM} together, they are {total:g}"
            )
    return problems


def setting_constraints() -> list[models.BaseConstraint]:
    """Build a CHECK for the range of each setting; blank follows the installation's default."""
    ranges = [
        models.CheckConstraint(
            name=f"experiment_{s.name}_range",
            condition=Q((f"{s.name}__isnull", True))
            | Q((f"{s.name}__{'gt' if s.low_open else 'gte'}", s.low), (f"{s.name}__lte", s.high)),
            violation_error_message=f"{s.name} must be {s.range_text}.",
        )
        for s in ALGORITHM_SETTINGS.values()
        if not s.is_switch
    ]
    floors = models.CheckConstraint(
        name="experiment_floors_fit",
        condition=Q(control_floor__isnull=True)
        | Q(min_explore_rate__isnull=True)
        # the sum of two floats that are 0.99 on paper may be a hair more
        | Q(control_floor__lte=HIGHEST_FLOOR_SUM + 1e-9 - F("min_explore_rate")),
        violation_error_message=f"control_floor and min_explore_rate must not exceed {HIGHEST_FLOOR_SUM} together.",
    )
    return [*ranges, floors]
