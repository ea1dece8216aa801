"""One line of health: whether the numbers can be trusted, and whether traffic follows them."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from allocation.explanations import is_dispersed
from allocation.statistics.results import Results
from dashboard.experiment.summary import Summary
from dashboard.formatting import format_date
from dashboard.templatetags.formats import p_value
from experiments.text import format_number
from experiments.variants import is_control_name


@dataclass(frozen=True)
class Check:
    """One finding; ``tab`` is where to read more."""

    ok: bool
    text: str
    tab: str = ""


def health_of(summary: Summary, results: Results) -> list[Check]:
    """List the checks, the bad ones first."""
    checks = [
        *_control(results),
        *_traffic(results),
        _missing(results),
        *_late(summary),
        _enough(results),
        *_allocation(summary, results),
        *_dispersion(results),
    ]
    return sorted(checks, key=lambda check: check.ok)


def _control(results: Results) -> list[Check]:
    """Tell of a variant that is only named control: the first one that came is it, and stays so."""
    variants = results.analysis.inputs.variants
    control = next((variant.name for variant in variants if variant.is_control), "")
    if is_control_name(control):
        return []
    named = [variant.name for variant in variants if is_control_name(variant.name)]
    said = _("The control is '%(control)s': it came first. '%(name)s' is another variant")
    return [Check(False, said % {"control": control, "name": name}, "settings") for name in named]


def _traffic(results: Results) -> list[Check]:
    ratio = results.analysis.statistics.sample_ratio
    if results.is_mismatched and not (ratio and ratio.mismatch):
        text = _("Traffic did not match the allocation (SRM) at the last decision")
        return [Check(False, text, "traffic")]
    if ratio is None:
        return []
    p = p_value(ratio.p_value)
    if ratio.mismatch:
        return [Check(False, _("Traffic does not match the allocation (SRM %(p)s)") % {"p": p}, "traffic")]
    return [Check(True, _("Traffic matches the allocation (SRM %(p)s)") % {"p": p}, "traffic")]


def _missing(results: Results) -> Check:
    missing = len(results.days.missing)
    if not missing:
        return Check(True, _("No missing days"), "data")
    said = ngettext("%(n)s day without data", "%(n)s days without data", missing)
    return Check(False, said % {"n": format_number(missing, 0)}, "data")


def _late(summary: Summary) -> list[Check]:
    if not summary.is_stale or summary.latest is None:
        return []
    return [Check(False, _("Data is late (last: %(date)s)") % {"date": format_date(summary.latest)}, "data")]


def _enough(results: Results) -> Check:
    low = len(results.low_variants)
    if not low:
        return Check(True, _("All variants have enough data"))
    said = ngettext("%(n)s variant lacks data", "%(n)s variants lack data", low)
    return Check(False, said % {"n": low})


def _allocation(summary: Summary, results: Results) -> list[Check]:
    if results.allocation is None or summary.experiment.status != "active":
        return []
    return [
        Check(False, _("Settings changed after this allocation"), "traffic")
        if results.settings_changed
        else Check(True, _("Settings unchanged since this allocation"), "traffic"),
        Check(False, _("New data not used for traffic yet"), "traffic")
        if results.newer_data
        else Check(True, _("Traffic uses all data"), "traffic"),
    ]


def _dispersion(results: Results) -> list[Check]:
    decision = results.analysis.decision
    if not is_dispersed(decision):
        return []
    said = _("Counts vary more than chance allows (%(times)s times): visits may be counted more than once")
    return [Check(False, said % {"times": format_number(decision.dispersion, 1)}, "explore")]
