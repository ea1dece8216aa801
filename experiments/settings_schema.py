"""The algorithm's settings: what each means, where its values may lie, and the variable that sets its default.

An experiment stores only what differs from the installation; the installation's defaults come from the
environment. One table serves both, and the forms, the pages, the API, the commands and the checks at start.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings as django_settings
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
    is shown as percent.
    """

    name: str
    variable: str
    default: SettingValue
    low: float
    high: float
    meaning: str
    label: Text
    help: Text
    details: Text
    unit: Text = ""
    low_open: bool = False
    step: float | None = None

    @property
    def range_text(self) -> str:
        if isinstance(self.default, bool):
            return "true or false"
        start = f"above {self.low:,.10g}" if self.low_open else f"{self.low:,.10g}"
        kind = "a whole number " if isinstance(self.default, int) else ""
        step = f", a multiple of {self.step:g}" if self.step else ""
        return f"{kind}{'' if self.low_open else 'from '}{start} to {self.high:,.10g}{step}"

    def problem(self, value: object) -> str | None:
        """Why ``value`` is refused, as the end of a sentence that begins with the setting's name; or None."""
        return None if self._allows(value) else f"must be {self.range_text}"

    def _allows(self, value: object) -> bool:
        if isinstance(self.default, bool) or isinstance(value, bool):
            return isinstance(self.default, bool) and isinstance(value, bool)
        if not isinstance(value, int | float) or (
            isinstance(self.default, int) and not isinstance(value, int)
        ):
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
            default=1.0,
            low=0,
            high=1e6,
            low_open=True,
            meaning="Successes assumed before any data",
            label=_("Prior successes"),
            help=_("Successes assumed before any data."),
            details=_(
                "What is believed of a rate before any data, as if so many successes had been "
                "seen. With prior failures it makes the rate one starts from; small numbers "
                "give way to data at once."
            ),
        ),
        AlgorithmSetting(
            name="beta_prior",
            variable="BETA_PRIOR",
            default=1.0,
            low=0,
            high=1e6,
            low_open=True,
            meaning="Failures assumed before any data",
            label=_("Prior failures"),
            help=_("Failures assumed before any data."),
            details=_(
                "As if so many failures had been seen. Successes 5 and failures 95 say: about "
                "5%, give or take."
            ),
        ),
        AlgorithmSetting(
            name="min_explore_rate",
            variable="MIN_EXPLORE_RATE",
            default=0.05,
            low=0,
            high=0.5,
            meaning="Traffic always spread evenly over all variants",
            label=_("Exploration"),
            help=_("Traffic always spread evenly over all variants, so that none is given up for good."),
            details=_(
                "The part of the traffic that is always spread evenly over all variants. More "
                "of it keeps learning about losers; it costs what they lose."
            ),
            unit="%",
        ),
        AlgorithmSetting(
            name="control_floor",
            variable="CONTROL_FLOOR",
            default=0.10,
            low=0,
            high=0.5,
            meaning="The least share the control ever gets",
            label=_("Control floor"),
            help=_("The least share the control ever gets."),
            details=_(
                "The least share the control ever gets, so that there is always something to "
                "compare with. It costs as much as the control falls behind."
            ),
            unit="%",
        ),
        AlgorithmSetting(
            name="max_daily_shift",
            variable="MAX_DAILY_SHIFT",
            default=0.20,
            low=SHARE_STEP,
            high=1,
            step=SHARE_STEP,
            meaning="The most a share moves from one day to the next",
            label=_("Daily cap"),
            help=_("The most a share moves from one day to the next."),
            details=_(
                "The most a share moves from one day to the next. A small cap protects from "
                "surprises and is slow to leave a bad variant."
            ),
            unit="%",
        ),
        AlgorithmSetting(
            name="window_days",
            variable="DEFAULT_WINDOW_DAYS",
            default=14,
            low=1,
            high=365,
            meaning="Days of data a decision looks at",
            label=_("Window"),
            help=_("Days of data a decision looks at. Fewer follow changes faster, more are surer."),
            details=_(
                "How many days of data a decision looks at. A short window follows rates that "
                "change; a long one is surer where they do not."
            ),
            unit=_("days"),
        ),
        AlgorithmSetting(
            name="maturity_days",
            variable="MATURITY_DAYS",
            default=0,
            low=0,
            high=90,
            meaning="Latest days left out, as their outcomes still arrive",
            label=_("Latest days left out"),
            help=_("For outcomes that arrive late: these days count once they are complete."),
            details=_(
                "The latest days that are left out because their outcomes still arrive, such as "
                "orders after a click. Set it where conversions come late."
            ),
            unit=_("days"),
        ),
        AlgorithmSetting(
            name="min_impressions",
            variable="MIN_IMPRESSIONS_FOR_OPTIMIZATION",
            default=1000,
            low=0,
            high=10**9,
            meaning="Impressions before traffic is optimized",
            label=_("Warm-up"),
            help=_("Impressions before traffic is moved; until then the split stays even."),
            details=_(
                "How many impressions an experiment needs before traffic moves at all. Until "
                "then the split is even."
            ),
            unit=_("impressions"),
        ),
        AlgorithmSetting(
            name="day_adjustment",
            variable="DAY_ADJUSTMENT",
            default=True,
            low=0,
            high=1,
            meaning="Whether day-to-day swings of all rates are taken out",
            label=_("Day adjustment"),
            help=_("Take out what moves all rates together, such as weekends, before variants are compared."),
            details=_(
                "Takes out swings that all variants share, such as weekends, so that a variant "
                "does not look better for having been shown on better days."
            ),
        ),
        AlgorithmSetting(
            name="exploitation",
            variable="EXPLOITATION",
            default=1.0,
            low=0,
            high=20,
            low_open=True,
            meaning="Power of probability_best: 1 is Thompson Sampling, more is greedier",
            label=_("Exploitation"),
            help=_("1 is Thompson Sampling; more is greedier and sends traffic to the leader sooner."),
            details=_(
                "1 gives each variant as much traffic as it is likely to be the best. More is "
                "greedier: faster to the leader, slower to notice a mistake."
            ),
        ),
    )
}


@dataclass(frozen=True)
class SettingGroup:
    """Settings that stand together on a page, in its order. ``is_folded``: what few people need."""

    legend: Text
    names: tuple[str, ...]
    is_folded: bool = False

    @property
    def settings(self) -> tuple[AlgorithmSetting, ...]:
        return tuple(ALGORITHM_SETTINGS[name] for name in self.names)


SETTING_GROUPS = (
    SettingGroup(_("Limits"), ("control_floor", "min_explore_rate", "max_daily_shift")),
    SettingGroup(_("Evidence"), ("window_days", "maturity_days", "min_impressions", "day_adjustment")),
    SettingGroup(_("For experts"), ("exploitation", "alpha_prior", "beta_prior"), is_folded=True),
)
# What is set most often comes first.
SETTINGS_ON_PAGES = tuple(setting for group in SETTING_GROUPS for setting in group.settings)


def with_defaults(own: Mapping[str, SettingValue | None]) -> dict[str, SettingValue]:
    """Lay settings of one's own over the installation's defaults; None follows the installation."""
    defaults: dict[str, SettingValue] = django_settings.ALGORITHM_DEFAULTS
    return defaults | {name: value for name, value in own.items() if value is not None}


def checked_settings(own: Mapping[str, SettingValue | None]) -> dict[str, SettingValue]:
    """Lay settings over the defaults; raise InvalidError where they clash, as they may once a default has changed."""
    values = with_defaults(own)
    if problems := setting_problems(values):
        raise InvalidError(
            [Issue(f"settings.{name}", "out_of_range", f"{name} {why}") for name, why in problems.items()]
        )
    return values


def setting_problems(values: Mapping[str, object]) -> dict[str, str]:
    """For each setting in ``values`` that is refused, why. Floors are checked together where both are given."""
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
