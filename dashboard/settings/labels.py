"""The algorithm's settings in the words, units and groups of the pages; the limits are those of the one table."""

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from experiments.models import Experiment
from experiments.settings_schema import ALGORITHM_SETTINGS, AlgorithmSetting, SettingValue

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class SettingWords(NamedTuple):
    """``help`` stands beside a field, ``more`` in the handbook; ``unit`` behind the number.

    Fractions of the traffic are written as percent.
    """

    label: "_StrPromise"
    help: "_StrPromise"
    more: "_StrPromise"
    unit: "_StrPromise | str" = ""


SETTING_WORDS: dict[str, SettingWords] = {
    "control_floor": SettingWords(
        gettext_lazy("Control floor"),
        gettext_lazy("The least share the control ever gets."),
        gettext_lazy(
            "The least share the control ever gets, so that there is always something to compare with. It costs as "
            "much as the control falls behind."
        ),
        "%",
    ),
    "min_explore_rate": SettingWords(
        gettext_lazy("Exploration"),
        gettext_lazy("Traffic always spread evenly over all variants, so that none is given up for good."),
        gettext_lazy(
            "The part of the traffic that is always spread evenly over all variants. More of it keeps learning about "
            "losers; it costs what they lose."
        ),
        "%",
    ),
    "max_daily_shift": SettingWords(
        gettext_lazy("Daily cap"),
        gettext_lazy("The most a share moves from one day to the next."),
        gettext_lazy(
            "The most a share moves from one day to the next. A small cap protects from surprises and is slow to leave "
            "a bad variant."
        ),
        "%",
    ),
    "window_days": SettingWords(
        gettext_lazy("Window"),
        gettext_lazy("Days of data a decision looks at. Fewer follow changes faster, more are surer."),
        gettext_lazy(
            "How many days of data a decision looks at. A short window follows rates that change; a long one is surer "
            "where they do not."
        ),
        gettext_lazy("days"),
    ),
    "maturity_days": SettingWords(
        gettext_lazy("Latest days left out"),
        gettext_lazy("For outcomes that arrive late: these days count once they are complete."),
        gettext_lazy(
            "The latest days that are left out because their outcomes still arrive, such as orders after a click. Set "
            "it where conversions come late."
        ),
        gettext_lazy("days"),
    ),
    "min_impressions": SettingWords(
        gettext_lazy("Warm-up"),
        gettext_lazy("Impressions before traffic is moved; until then the split stays even."),
        gettext_lazy(
            "How many impressions an experiment needs before traffic moves at all. Until then the split is even."
        ),
        gettext_lazy("impressions"),
    ),
    "day_adjustment": SettingWords(
        gettext_lazy("Day adjustment"),
        gettext_lazy(
            "Take out what moves all rates together, such as weekends, before variants are compared."
        ),
        gettext_lazy(
            "Takes out swings that all variants share, such as weekends, so that a variant does not look better for "
            "having been shown on better days."
        ),
    ),
    "exploitation": SettingWords(
        gettext_lazy("Exploitation"),
        gettext_lazy("1 is Thompson Sampling; more is greedier and sends traffic to the leader sooner."),
        gettext_lazy(
            "1 gives each variant as much traffic as it is likely to be the best. More is greedier: faster to the "
            "leader, slower to notice a mistake."
        ),
    ),
    "alpha_prior": SettingWords(
        gettext_lazy("Prior successes"),
        gettext_lazy("Successes assumed before any data."),
        gettext_lazy(
            "What is believed of a rate before any data, as if so many successes had been seen. With prior failures it "
            "makes the rate one starts from; small numbers give way to data at once."
        ),
    ),
    "beta_prior": SettingWords(
        gettext_lazy("Prior failures"),
        gettext_lazy("Failures assumed before any data."),
        gettext_lazy(
            "As if so many failures had been seen. Successes 5 and failures 95 say: about 5%, give or take."
        ),
    ),
}
LIMITS = ("control_floor", "min_explore_rate", "max_daily_shift")
EVIDENCE = ("window_days", "maturity_days", "min_impressions", "day_adjustment")
EXPERT = ("exploitation", "alpha_prior", "beta_prior")


def shown_number(name: str, value: SettingValue) -> Decimal:
    """As the pages write it: percent for fractions of the traffic. By its decimal spelling, so that 0.07 is 7."""
    exact = Decimal(str(value))
    return exact * 100 if SETTING_WORDS[name].unit == "%" else exact


def own_number(name: str, shown: Decimal) -> SettingValue:
    """What shown_number was given; whole where the setting is."""
    value = float(shown / 100 if SETTING_WORDS[name].unit == "%" else shown)
    is_whole = isinstance(ALGORITHM_SETTINGS[name].default, int) and value.is_integer()
    return int(value) if is_whole else value


def format_value(name: str, value: SettingValue) -> str:
    """A value with its unit, in the reader's language."""
    if isinstance(value, bool):
        return _("on") if value else _("off")
    unit = str(SETTING_WORDS[name].unit)
    number = localised(shown_number(name, value))
    return f"{number}{unit}" if unit == "%" else f"{number} {unit}".strip()


def in_environment(value: SettingValue) -> str:
    """As an operator writes it: fractions stay fractions."""
    return str(value).lower() if isinstance(value, bool) else f"{value:.10g}"


def default_words(name: str) -> str:
    """The installation's own value."""
    return format_value(name, settings.ALGORITHM_DEFAULTS[name])


class InForce(NamedTuple):
    """A setting to read: what is used, and whether the experiment says so itself."""

    label: "_StrPromise"
    help: "_StrPromise"
    value: str
    is_own: bool


def settings_in_words(experiment: Experiment) -> list[InForce]:
    own, merged = experiment.own_settings(), experiment.merged_settings()
    return [
        InForce(words.label, words.help, format_value(name, merged[name]), own[name] is not None)
        for name, words in SETTING_WORDS.items()
    ]


def format_range(setting: AlgorithmSetting) -> str:
    """What is allowed, in a sentence."""
    if isinstance(setting.default, bool):
        return _("On or off.")
    ends = {"low": format_value(setting.name, setting.low), "high": format_value(setting.name, setting.high)}
    if setting.low_open:
        text = _("Above %(low)s, at most %(high)s.")
    elif isinstance(setting.default, int):
        ends["low"] = localised(Decimal(str(setting.low)))
        text = _("A whole number from %(low)s to %(high)s.")
    else:
        text = _("From %(low)s to %(high)s.")
    if setting.step:
        return f"{text % ends} " + _("In steps of %(step)s.") % {
            "step": format_value(setting.name, setting.step)
        }
    return text % ends


def problem_words(setting: AlgorithmSetting) -> str:
    """What stands beside a value that is not allowed."""
    return _("Out of range. %(range)s") % {"range": format_range(setting)}


def localised(number: Decimal) -> str:
    """No digits that say nothing, thousands apart."""
    plain = number.normalize()
    decimals = max(0, -int(plain.as_tuple().exponent))
    return number_format(plain, decimals, force_grouping=True)
