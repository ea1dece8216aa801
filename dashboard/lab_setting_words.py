"""The algorithm's settings in words for pages: a short name, and what it does for whoever sets it."""

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from experiments.algorithm_settings import AlgorithmSetting, SettingValue

Words = str | Promise

SETTING_WORDS: dict[str, tuple[Words, Words]] = {
    "alpha_prior": (
        _("Prior successes"),
        _(
            "What is believed of a rate before any data, as if so many successes had been seen. With prior failures it "
            "makes the rate one starts from; small numbers give way to data at once."
        ),
    ),
    "beta_prior": (
        _("Prior failures"),
        _("As if so many failures had been seen. Successes 5 and failures 95 say: about 5%, give or take."),
    ),
    "min_explore_rate": (
        _("Exploration"),
        _(
            "The part of the traffic that is always spread evenly over all variants. More of it keeps learning about "
            "losers; it costs what they lose."
        ),
    ),
    "control_floor": (
        _("Control floor"),
        _(
            "The least share the control ever gets, so that there is always something to compare with. It costs as "
            "much as the control falls behind."
        ),
    ),
    "max_daily_shift": (
        _("Daily cap"),
        _(
            "The most a share moves from one day to the next. A small cap protects from surprises and is slow to leave "
            "a bad variant."
        ),
    ),
    "window_days": (
        _("Window, days"),
        _(
            "How many days of data a decision looks at. A short window follows rates that change; a long one is surer "
            "where they do not."
        ),
    ),
    "maturity_days": (
        _("Maturity, days"),
        _(
            "The latest days that are left out because their outcomes still arrive, such as orders after a click. Set "
            "it where conversions come late."
        ),
    ),
    "min_impressions": (
        _("Warm-up, impressions"),
        _(
            "How many impressions an experiment needs before traffic moves at all. Until then the split is even."
        ),
    ),
    "day_adjustment": (
        _("Day adjustment"),
        _(
            "Takes out swings that all variants share, such as weekends, so that a variant does not look better for "
            "having been shown on better days."
        ),
    ),
    "exploitation": (
        _("Exploitation"),
        _(
            "1 gives each variant as much traffic as it is likely to be the best. More is greedier: faster to the "
            "leader, slower to notice a mistake."
        ),
    ),
}


def range_words(setting: AlgorithmSetting) -> str:
    """Where its values may lie, in the reader's language; a part of a sentence."""
    if isinstance(setting.default, bool):
        return gettext("on or off")
    ends = {"low": value_words(setting.low), "high": value_words(setting.high)}
    words = (
        gettext("more than %(low)s, up to %(high)s") if setting.low_open else gettext("%(low)s to %(high)s")
    )
    if setting.step:
        words += gettext(", in steps of %(step)s") % {"step": value_words(setting.step)}
    return words % ends


def value_words(value: SettingValue) -> str:
    if isinstance(value, bool):
        return pgettext("setting", "on") if value else pgettext("setting", "off")
    # through its shortest spelling: 1e-05 and 1000000.0 are nothing to read
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return number_format(text, len(text.partition(".")[2]) or None, force_grouping=True)
