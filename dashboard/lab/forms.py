"""What the simulator, the backtest and the planner ask for, checked once. Everything fits into a query string.

A setting that is left blank is the installation's own, so that a link means the same to everyone who opens it
there.
"""

import io
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.engine import Settings
from allocation.engine.lab.simulation import SCENARIOS
from allocation.exceptions import PastTestsError
from allocation.lab.past_tests import NamedTest, read_past_tests
from allocation.lab.work import MOST_MICROSECONDS, work
from dashboard.lab.contenders import OTHER_RULES
from dashboard.lab.fields import LabForm, RatesField, SettingsColumns
from experiments.settings_schema import with_defaults
from experiments.tables.rows import RowIssue

SCENARIO_NAMES: dict[str, str | Promise] = {
    "constant": gettext_lazy("Nothing: rates stay"),
    "weekend": gettext_lazy("Rates double at weekends"),
    "trend": gettext_lazy("Rates rise threefold"),
    "shock": gettext_lazy("Rates triple on one day"),
    "new-variant": gettext_lazy("The last variant comes late"),
    "delayed": gettext_lazy("Outcomes come late"),
    "swap": gettext_lazy("The best becomes the worst"),
    "drift": gettext_lazy("Each rate drifts, day by day"),
    "noisy": gettext_lazy("Each rate is unsteady"),
    "weekday": gettext_lazy("Weekends favour the second variant"),
}


class SimulatorForm(SettingsColumns):
    prefixes = ("a", "b")
    template_fields = ("rates", "daily_traffic", "days", "runs", "scenario", "seed")

    rates = RatesField(
        label=gettext_lazy("True rates, percent"),
        help_text=gettext_lazy("One for each variant, the control first, separated by spaces."),
        initial="4 5",
        max_length=200,
    )
    daily_traffic = forms.IntegerField(
        label=gettext_lazy("Visits a day, all variants"), min_value=1, max_value=10**9, initial=1000
    )
    days = forms.IntegerField(label=gettext_lazy("Days"), min_value=1, max_value=365, initial=30)
    scenario = forms.ChoiceField(
        label=gettext_lazy("What happens"),
        help_text=gettext_lazy(
            "Halfway through: the late variant, the best that becomes the worst. Late outcomes: over three days. "
            "The last four change how the variants compare."
        ),
        choices=[(name, SCENARIO_NAMES[name]) for name in SCENARIOS],
        initial="constant",
    )
    policies = forms.MultipleChoiceField(
        label=gettext_lazy("Other rules beside it"),
        help_text=gettext_lazy(
            "The even split is always there. Other rules have no floors and no daily cap."
        ),
        choices=[(rule.key, rule.label) for rule in OTHER_RULES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    stop = forms.BooleanField(
        label=gettext_lazy("Stop once it is decided"),
        help_text=gettext_lazy("From then on the leader gets all traffic."),
        required=False,
    )
    runs = forms.IntegerField(
        label=gettext_lazy("Runs"),
        help_text=gettext_lazy("Each plays all days anew. More runs, steadier numbers."),
        min_value=1,
        max_value=5000,
        initial=200,
    )
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        help_text=gettext_lazy("The same seed gives the same visitors, and so the same numbers."),
        min_value=0,
        max_value=2**63 - 1,
        initial=1,
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if _has(cleaned, "rates", "days", "runs"):
            most = max(int(MOST_MICROSECONDS / self._work_of_a_run(cleaned)), 1)
            if cleaned["runs"] > most:
                message = _(
                    "A page computes at most %(most)s runs of so many days, rates and columns. "
                    "The command has no such bound."
                )
                self.add_error("runs", message % {"most": number_format(most, 0, force_grouping=True)})
        return cleaned

    def _work_of_a_run(self, cleaned: Mapping[str, Any]) -> float:
        """Add up the columns: settings A, settings B where there are any, the even split and the other rules."""
        own = [self.own_settings(prefix) for prefix in self.prefixes]
        columns = [own[0], *filter(None, own[1:]), *[{}] * (1 + len(cleaned.get("policies", [])))]
        stop = bool(cleaned.get("stop"))
        return sum(
            work(
                Settings(**with_defaults(column)),
                len(cleaned["rates"]),
                cleaned["days"],
                watch=True,
                stop=stop,
            )
            for column in columns
        )


class BacktestForm(SettingsColumns):
    """``file`` is missing where the sample is played."""

    prefixes = ("a",)
    template_fields = ("days", "runs", "seed")

    file = forms.FileField(
        label=gettext_lazy("Past tests, CSV"),
        help_text=gettext_lazy(
            "Columns experiment, variant, impressions, clicks. Empty: the sample is played."
        ),
        required=False,
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
    )
    days = forms.IntegerField(
        label=gettext_lazy("Days of each test"),
        help_text=gettext_lazy("Its traffic comes again in equal parts."),
        min_value=2,
        max_value=90,
        initial=14,
    )
    policies = forms.MultipleChoiceField(
        label=gettext_lazy("Other rules beside it"),
        choices=[(rule.key, rule.label) for rule in OTHER_RULES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    runs = forms.IntegerField(label=gettext_lazy("Runs of each test"), min_value=1, max_value=200, initial=1)
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        help_text=gettext_lazy("The same seed gives the same visitors, and so the same numbers."),
        min_value=0,
        max_value=2**63 - 1,
        initial=1,
    )

    def clean_file(self) -> list[NamedTest]:
        """The tests of the file, of the sample without one."""
        try:
            if upload := self.cleaned_data.get("file"):
                with io.TextIOWrapper(upload, encoding="utf-8-sig", newline="") as lines:
                    return read_past_tests(lines)
            with sample_file().open(encoding="utf-8", newline="") as lines:
                return read_past_tests(lines)
        except OSError as error:
            raise ValidationError(_("The sample is not part of this installation: choose a file.")) from error
        except PastTestsError as error:
            raise ValidationError([_line_words(issue) for issue in error.row_issues]) from error

    def is_sample(self) -> bool:
        return not self.files.get("file")


def sample_file() -> Path:
    return Path(django_settings.BASE_DIR, "benchmarks", "data", "upworthy_tests.csv")


def _line_words(issue: RowIssue) -> str:
    if not issue.line:
        return issue.message
    return _("Line %(line)s, %(column)s: %(message)s") % issue._asdict()


class PlannerForm(LabForm):
    template_fields = ("base_rate", "uplift", "daily_traffic", "variants", "seed")

    base_rate = forms.DecimalField(
        label=gettext_lazy("Rate today, percent"),
        help_text=gettext_lazy("Of the control: of 100 visits, how many succeed."),
        min_value=Decimal("0.01"),
        max_value=Decimal("90"),
        max_digits=8,
        decimal_places=4,
        initial=Decimal("5"),
    )
    uplift = forms.DecimalField(
        label=gettext_lazy("Smallest uplift worth having, percent"),
        help_text=gettext_lazy("Relative: 20 makes 6 out of 5. What is smaller you would not miss."),
        min_value=Decimal("1"),
        max_value=Decimal("500"),
        max_digits=7,
        decimal_places=2,
        initial=Decimal("20"),
    )
    daily_traffic = forms.IntegerField(
        label=gettext_lazy("Visits a day, all variants"), min_value=1, max_value=10**9, initial=1000
    )
    variants = forms.IntegerField(
        label=gettext_lazy("Variants, with the control"), min_value=2, max_value=10, initial=2
    )
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        help_text=gettext_lazy("The same seed gives the same visitors, and so the same numbers."),
        min_value=0,
        max_value=2**63 - 1,
        initial=1,
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if _has(cleaned, "base_rate", "uplift") and better_rate(cleaned) >= 1:
            self.add_error("uplift", _("With this uplift the better rate would reach 100%."))
        return cleaned


def better_rate(values: Mapping[str, Any]) -> float:
    return float(values["base_rate"] / 100 * (1 + values["uplift"] / 100))


def _has(cleaned: Mapping[str, Any], *names: str) -> bool:
    return all(name in cleaned for name in names)
