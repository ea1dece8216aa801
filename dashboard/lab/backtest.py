"""The backtest's page: its form, several settings on tests that are over, and what is shown of their numbers."""

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.engine.lab.backtest import PolicyResult, by_size, true_orders, true_rates
from allocation.engine.lab.recommendation import Estimate, ratio, recommend, total
from allocation.engine.lab.tape import Tape
from allocation.engine.posterior.beta import Floats
from allocation.exceptions import PastTestsError
from allocation.lab.compare import compare_on_past_tests
from allocation.lab.past_tests import GOALS, NamedTest, Repeated, read_past_tests, sample_of_past_tests
from allocation.lab.work import MOST_MICROSECONDS, MOST_OF_A_STEP, Work, together, work
from dashboard.charts import Chart, Interval, Series, single_bars
from dashboard.file_types import FILE_TYPES
from dashboard.lab.backtest_words import Results, sentences_of
from dashboard.lab.columns import Column, rule_columns, service_column
from dashboard.lab.fields import SettingsColumns, rules_field, seed_field
from dashboard.lab.tool import Tool
from dashboard.settings.labels import format_value
from experiments.exceptions import InvalidError
from experiments.metrics import Reward
from experiments.settings_schema import ALGORITHM_SETTINGS, SettingValue
from experiments.tables.issues import RowIssue
from experiments.tables.number_fields import WholeNumberField
from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.opening import open_table
from experiments.text import format_number

_SHOWN_TESTS = 8
# Twice what a page computes. Each of its requests reads them, in less than half a second.
_BOUNDS = Bounds(20_000, gettext_lazy("the command backtest has no such limit"))
# From careful to bold; the installation's own stand between.
_CAUTIOUS: dict[str, SettingValue] = {"control_floor": 0.2, "min_explore_rate": 0.1, "max_daily_shift": 0.1}
_BOLDER: dict[str, SettingValue] = {"control_floor": 0.05, "min_explore_rate": 0.02, "exploitation": 2.0}
_BOLDEST: dict[str, SettingValue] = {"control_floor": 0.0, "min_explore_rate": 0.01, "exploitation": 4.0}


class BacktestForm(SettingsColumns):
    """Past tests and the columns that play them; without a ``file`` the sample is played, and fits into an address."""

    prefixes = ("a",)
    template_fields = ("days", "runs", "seed")

    file = forms.FileField(
        label=gettext_lazy("Past tests (CSV or Excel)"),
        help_text=gettext_lazy(
            "Columns: experiment, variant, impressions, clicks. For a value: conversions, value_sum and value_squares "
            "in place of clicks. Without a file the sample is used."
        ),
        required=False,
        widget=forms.FileInput(attrs={"accept": FILE_TYPES}),
    )
    goal = forms.ChoiceField(
        label=gettext_lazy("Goal"),
        choices=[(goal.value, goal.label) for goal in GOALS],
        initial=Reward.CTR.value,
        required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    repeated = forms.ChoiceField(
        label=gettext_lazy("Repeated rows of one variant"),
        choices=[("refuse", gettext_lazy("Reject them")), ("sum", gettext_lazy("Add them up"))],
        required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    days = WholeNumberField(
        label=gettext_lazy("Days of each test"),
        help_text=gettext_lazy("Each test's traffic is spread evenly over these days."),
        min_value=2,
        max_value=90,
        initial=14,
    )
    policies = rules_field()
    runs = WholeNumberField(
        label=gettext_lazy("Simulations of each test"), min_value=1, max_value=200, initial=1
    )
    seed = seed_field()

    field_order = ("goal", "repeated", "file")

    def clean_goal(self) -> Reward:
        return Reward(self.cleaned_data.get("goal") or Reward.CTR)

    def clean_file(self) -> list[NamedTest]:
        """Read the tests of the file, or of the sample without one, for the goal that was cleaned before."""
        goal = self.cleaned_data.get("goal", Reward.CTR)
        repeated: Repeated = "sum" if self.cleaned_data.get("repeated") == "sum" else "refuse"
        try:
            if upload := self.cleaned_data.get("file"):
                content = upload.read()
                table = open_table(lambda: io.BytesIO(content), bounds=_BOUNDS)
                return read_past_tests(table, goal, repeated)
            if goal.is_value:
                raise ValidationError(_("The sample has clicks and no values: choose a file of your own."))
            return list(sample_of_past_tests())
        except OSError as error:
            raise ValidationError(_("The sample is not part of this installation: choose a file.")) from error
        except PastTestsError as error:
            raise ValidationError([_issue_message(issue) for issue in error.row_issues]) from error
        except InvalidError as error:
            raise ValidationError(error.issues[0].message) from error

    def clean(self) -> dict[str, Any]:
        """Refuse more than a page computes of the first test alone; of more tests it plays the first."""
        cleaned = super().clean()
        if {"file", "goal", "policies", "days", "runs"} <= cleaned.keys() and not self.errors:
            variants, days = len(cleaned["file"][0].variants), cleaned["days"]
            most = _work(_columns(self), variants, days, cleaned["goal"].is_value).runs_of_a_page()
            if cleaned["runs"] > most:
                message = _(
                    "A page computes at most %(most)s simulations of so many variants and days."
                    " The command backtest has no such limit."
                )
                self.add_error("runs" if most else "days", message % {"most": format_number(most, 0)})
        return cleaned

    def is_sample(self) -> bool:
        return not self.files.get("file")


def _issue_message(issue: RowIssue) -> str:
    if not issue.line:
        return issue.message
    return _("Line %(line)s, %(column)s: %(message)s") % issue._asdict()


@dataclass(frozen=True)
class Backtest:
    """Everything that a run depends on. ``tests``: those played, the first of all ``given`` where that is too many."""

    values: Mapping[str, Any]
    columns: Sequence[Column]
    tests: Sequence[NamedTest]
    given: int
    is_sample: bool

    @property
    def steps(self) -> int:
        groups = by_size([test.counts for test in self.tests])
        return int(self.values["days"]) * len(self.columns) * len(groups)

    @property
    def by_value(self) -> bool:
        return bool(self.values["goal"].is_value)

    @property
    def is_single(self) -> bool:
        """True where one test was played, which says little of those to come."""
        return len(self.tests) == 1

    @property
    def variants(self) -> int:
        return sum(len(test.variants) for test in self.tests)

    def run(self, on_day: Callable[[], object], tape: Tape | None = None) -> Results:
        return compare_on_past_tests(
            [column.contender for column in self.columns],
            [test.counts for test in self.tests],
            self.values["seed"],
            days=self.values["days"],
            runs=self.values["runs"],
            on_day=on_day,
            tape=tape,
        )


def backtest_of(form: BacktestForm) -> Backtest:
    """Read a valid form, and as many tests as a page computes."""
    values, columns = form.cleaned_data, _columns(form)
    tests = values["file"]
    played = _that_fit(tests, columns, values["days"], values["runs"], by_value=values["goal"].is_value)
    return Backtest(values, columns, played, len(tests), form.is_sample())


def _columns(form: BacktestForm) -> list[Column]:
    return [*_service_columns(form.own_settings("a")), *rule_columns(form.cleaned_data["policies"])]


def _service_columns(own: Mapping[str, SettingValue]) -> list[Column]:
    columns = [
        service_column(0, "cautious", _("Cautious"), _CAUTIOUS),
        service_column(1, "installed", _("Current"), {}),
        service_column(2, "bolder", _("Aggressive"), _BOLDER),
        service_column(3, "boldest", _("Most aggressive"), _BOLDEST),
    ]
    return columns + ([service_column(4, "own", _("Custom settings"), own)] if own else [])


def _that_fit(
    tests: Sequence[NamedTest], columns: Sequence[Column], days: int, runs: int, *, by_value: bool
) -> list[NamedTest]:
    """Take the first tests that are within a page's bound, at least one: the form has seen that it is no more.

    Tests of as many variants are played together.
    """
    by_variants = {
        variants: _work(columns, variants, days, by_value) for variants in {len(t.variants) for t in tests}
    }
    sums, side_by_side = 0.0, Counter[int]()
    for place, test in enumerate(tests):
        variants = len(test.variants)
        estimate = by_variants[variants]
        sums += estimate.each * runs + (0 if side_by_side[variants] else estimate.once)
        side_by_side[variants] += runs
        if sums > MOST_MICROSECONDS or side_by_side[variants] * estimate.day > MOST_OF_A_STEP:
            return list(tests[: max(place, 1)])
    return list(tests)


def _work(columns: Sequence[Column], variants: int, days: int, by_value: bool) -> Work:
    contenders = [column.contender for column in columns]
    return together(work(c.settings, variants, days, policy=c.policy, values=by_value) for c in contenders)


def result_context(backtest: Backtest, results: Results) -> dict[str, Any]:
    service = [column for column in backtest.columns if column.is_service]
    found = recommend(np.stack([results[column.key].regret_by_test for column in service]))
    best, others = service[found.best], [column for column in backtest.columns if column.key != "even"]
    level = [service[place] for place in found.level]
    return {
        "backtest": backtest,
        "rows": _rows(backtest.columns, results, best, level),
        "best": best,
        "played": len(backtest.tests),
        "one_variant_a_day": any(column.one_variant_a_day for column in backtest.columns),
        "sentences": sentences_of(
            results, service, found, by_value=backtest.by_value, is_single=backtest.is_single
        ),
        "settings": _settings_table(service, best),
        "chart": gains(
            others,
            {c.key: total(results[c.key].gain_by_test) for c in others},
            by_value=backtest.by_value,
        ),
        "best_tests": _tests(backtest, results[best.key], slice(None, -_SHOWN_TESTS - 1, -1)),
        "worst_tests": _tests(backtest, results[best.key], slice(0, _SHOWN_TESTS)),
        "every_test": every_test(backtest, results),
    }


@dataclass(frozen=True)
class Row:
    """One column's line in the table of results; ``is_level``: not clearly worse than the best."""

    column: Column
    result: PolicyResult
    ratio: Estimate | None
    gain: Estimate
    is_best: bool
    is_level: bool


def _rows(columns: Sequence[Column], results: Results, best: Column, level: Sequence[Column]) -> list[Row]:
    even = results["even"].regret_by_test
    is_single = len(even) == 1
    return [
        Row(
            column=column,
            result=results[column.key],
            ratio=ratio(results[column.key].regret_by_test, even),
            gain=total(results[column.key].gain_by_test),
            is_best=column is best and not is_single,
            is_level=column in level and not is_single,
        )
        for column in columns
    ]


@dataclass(frozen=True)
class SettingsTable:
    """The settings in which any of the columns differ, side by side; each value with whether it is the best's."""

    columns: Sequence[Column]
    best: Column
    rows: Sequence[tuple[str, Sequence[tuple[str, bool]]]]


def _settings_table(service: Sequence[Column], best: Column) -> SettingsTable:
    names = [name for name in ALGORITHM_SETTINGS if len({getattr(c.settings, name) for c in service}) > 1]
    rows = [
        (
            str(ALGORITHM_SETTINGS[name].label),
            [(format_value(name, getattr(c.settings, name)), c is best) for c in service],
        )
        for name in names
    ]
    return SettingsTable(service, best, rows)


@dataclass(frozen=True)
class PlayedTest:
    """One past test, and what the recommended settings gained and lost in it, in clicks or in value."""

    test: NamedTest
    gain: float
    regret: float

    @property
    def impressions(self) -> float:
        return float(self.test.counts.impressions.sum())

    @property
    def _rates(self) -> Floats:
        """Clicks per impression, or what an impression is worth."""
        orders = true_orders(self.test.counts)
        rates = true_rates(self.test.counts)
        if self.test.counts.values is None:
            return rates
        return np.zeros(len(rates)) if orders is None else np.asarray(rates * orders.mean)

    @property
    def best_rate(self) -> float:
        return float(self._rates.max())

    @property
    def mean_rate(self) -> float:
        return float(self._rates.mean())


def _tests(backtest: Backtest, result: PolicyResult, which: slice) -> list[PlayedTest]:
    """List tests by what was gained in them, the smallest first."""
    order = np.argsort(result.gain_by_test, kind="stable")[which]
    return [
        PlayedTest(
            backtest.tests[place], float(result.gain_by_test[place]), float(result.regret_by_test[place])
        )
        for place in order
    ]


def gains(columns: Sequence[Column], estimates: Mapping[str, Estimate], *, by_value: bool = False) -> Chart:
    """Draw one bar a column, with the 95% interval over the tests."""
    return Chart(
        id="gains",
        title=_("Extra value vs even split") if by_value else _("Extra clicks vs even split"),
        note=_("All tests together, with 95% intervals."),
        kind="bars",
        unit="number" if by_value else "count",
        y_title=_("Value") if by_value else _("Clicks"),
        x=[column.name for column in columns],
        y_min=None,
        series=single_bars(
            [(column.name, column.colour, _interval(estimates[column.key])) for column in columns]
        ),
    )


def _interval(estimate: Estimate) -> Interval:
    """Take the 95% interval; a single test has none, and its bar goes without whiskers."""
    if not np.isfinite(estimate.standard_error):
        return Interval(estimate.value, estimate.value, estimate.value)
    return Interval(estimate.value, estimate.low, estimate.high)


def every_test(backtest: Backtest, results: Results) -> Chart:
    """Collect what each column gained in all tests, for a table and a file; it is not drawn."""
    title = _("Extra clicks vs even split, by test")
    if by_value := backtest.by_value:
        title = _("Extra value vs even split, by test")
    return Chart(
        id="every-test",
        title=title,
        kind="bars",
        unit="number" if by_value else "count",
        x_title=_("Experiment"),
        y_title=_("Value") if by_value else _("Clicks"),
        x=[test.name for test in backtest.tests],
        series=[
            Series(_("Variants"), "variant-control", [len(test.variants) for test in backtest.tests]),
            Series(
                _("Impressions"),
                "variant-control",
                [float(test.counts.impressions.sum()) for test in backtest.tests],
            ),
            Series(_("Regret of an even split"), "variant-control", results["even"].regret_by_test.tolist()),
            *(
                Series(column.name, column.colour, results[column.key].gain_by_test.tolist())
                for column in backtest.columns
                if column.key != "even"
            ),
        ],
    )


TOOL = Tool("backtest", BacktestForm, backtest_of, result_context, takes_file=True)
