"""Imports of blanks, repetitions, names and new variants."""

import datetime as dt
from typing import Any

import pytest

from experiments.models import DailyMetric, Experiment, Variant
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.mapping import remember_columns, remembered_columns
from tests.factory import NOW, TODAY, make_experiment, make_running, make_table

pytestmark = pytest.mark.django_db

HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions\n"


def _import(text: str, *, target: Target | None = None, **options: Any) -> ImportReport:
    return import_table(
        make_table(text), today=TODAY, now=NOW, options=ImportOptions(**options), target=target
    )


def _rows(experiment: Experiment, *rows: str) -> str:
    return HEADER + "".join(f"{experiment.key},{row}\n" for row in rows)


def _stored() -> list[tuple[Any, ...]]:
    fields = ("variant__name", "impressions", "clicks", "conversions")
    return sorted(DailyMetric.objects.values_list(*fields))


BLANK = ("2025-08-14,a,100,10,1", "2025-08-15,a,100,10,", "2025-08-16,a,100,,--")


def test_blank__by_default__is_refused_as_not_known_yet() -> None:
    report = _import(_rows(make_experiment(), *BLANK))

    assert [(issue.line, issue.column) for issue in report.issues] == [
        (3, "conversions"), (4, "clicks"), (4, "conversions"),
    ]  # fmt: skip
    assert "outcome not known yet" in report.issues[0].message
    assert (report.kinds["blank"], _stored()) == (2, [])


def test_blank__skip__leaves_the_rows_out_and_counts_them() -> None:
    report = _import(_rows(make_experiment(), *BLANK), blank="skip")

    assert (report.processed_rows, report.blank_skipped, report.refused_rows) == (1, 2, 0)
    assert _stored() == [("a", 100, 10, 1)]


def test_blank__zero__is_0() -> None:
    report = _import(_rows(make_experiment(), *BLANK), blank="zero")

    assert report.processed_rows == 3
    assert _stored() == [("a", 100, 0, 0), ("a", 100, 10, 0), ("a", 100, 10, 1)]


PLACEMENTS = ("2025-08-14,a,1000,10,1", "2025-08-14,b,7,0,0", "2025-08-14,a,500,20,2", "2025-08-14,a,1,0,0")


def test_repeated__by_default__every_row_is_refused_and_skipping_keeps_none() -> None:
    experiment = make_experiment()

    report = _import(_rows(experiment, *PLACEMENTS), on_error="skip")

    assert [issue.line for issue in report.issues] == [2, 4, 5]
    assert "repeated=sum" in report.issues[0].message
    assert (report.processed_rows, report.kinds["repeated"]) == (1, 3)
    assert _stored() == [("b", 7, 0, 0)]


def test_repeated__sum__adds_them_up() -> None:
    report = _import(_rows(make_experiment(), *PLACEMENTS), repeated="sum")

    assert (report.processed_rows, report.total_issues) == (4, 0)
    assert _stored() == [("a", 1501, 30, 3), ("b", 7, 0, 0)]


@pytest.mark.parametrize(
    "bad",
    [
        "2025-08-14,a,5,9,0",
        "2025-08-14,a,x,0,0",
        "2025-08-14,a,5,,0",
        "2025-08-14,a,12,000,50,3",
        "2025-08-14,a,5",
    ],
)
@pytest.mark.parametrize("repeated", ["refuse", "sum"])
@pytest.mark.parametrize("parts", [PLACEMENTS, PLACEMENTS[:2]], ids=["several", "one"])
@pytest.mark.parametrize("is_first", [True, False])
def test_repeated__with_a_row_that_is_not_taken__no_part_of_the_day_is_kept(
    bad: str, repeated: str, parts: tuple[str, ...], is_first: bool
) -> None:
    rows = (bad, *parts) if is_first else (*parts, bad)

    report = _import(_rows(make_experiment(), *rows), repeated=repeated, on_error="skip", blank="skip")

    assert _stored() == [("b", 7, 0, 0)]
    assert (report.processed_rows, report.total_rows) == (1, len(rows))
    assert {issue.line for issue in report.issues} >= {
        line for line, row in enumerate(rows, 2) if row in PLACEMENTS and ",a," in row
    }


def test_repeated__a_blank_row_beside_a_good_one__rejects_the_file() -> None:
    report = _import(_rows(make_experiment(), "2025-08-14,a,500,20,2", "2025-08-14,a,500,20,"), blank="skip")

    [issue] = report.issues
    assert (issue.line, issue.message[:26], _stored()) == (2, "is only a part of the day:", [])


def test_repeated__under_the_name_and_the_key_of_one_variant__are_one_place() -> None:
    experiment = make_running()
    Variant.objects.filter(key="variant_b").update(name="Azul")
    rows = _rows(experiment, "2025-08-14,variant_b,6,1,0", "2025-08-14,Azul,700,3,1")

    refused, summed = _import(rows), _import(rows, repeated="sum")

    assert [issue.line for issue in refused.issues] == [2, 3]
    assert (summed.processed_rows, ("Azul", 706, 4, 1) in _stored()) == (2, True)


def test_repeated__under_id_and_key__are_the_same_experiment() -> None:
    experiment = make_experiment()
    text = HEADER + "".join(f"{ref},2025-08-14,a,5,1,0\n" for ref in (experiment.pk, experiment.key))

    assert [issue.line for issue in _import(text).issues] == [2, 3]


@pytest.mark.parametrize(
    ("name", "said"),
    [("Control", "write 'control'"), ("control ", ""), ("ｃontrol", "write 'control'"), ("con trol", "")],
)
def test_new_variant__that_looks_like_a_known_one__is_refused_with_it_named(name: str, said: str) -> None:
    experiment = make_running()

    report = _import(_rows(experiment, f"2025-08-14,{name},5,1,0"))

    assert [issue.message.endswith(said) for issue in report.issues] == [True] * bool(said)
    assert (report.processed_rows == 0) is bool(said)


@pytest.mark.parametrize("name", ["VARIANT_B", "AZUL ", "con\u00adtrol"])
def test_new_variant__that_looks_like_a_key_or_hides_a_hyphen__is_refused(name: str) -> None:
    experiment = make_running()
    Variant.objects.filter(key="variant_b").update(name="Azul")

    report = _import(_rows(experiment, f"2025-08-14,{name},5,1,0"))

    assert (len(report.issues), Variant.objects.count()) == (1, 2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("con\u00adtrol", "'control' has the invisible character U+00AD; remove it"),
        ("a\tb", "'a b' has the invisible character U+0009; remove it"),
        ("x" * 201, f"'{'x' * 40}…' has 201 characters, the most are 200; shorten it"),
    ],
)
def test_name__that_cannot_be__is_shown_with_the_sign_and_the_fix(name: str, said: str) -> None:
    [issue] = _import(_rows(make_experiment(), f"2025-08-14,{name},5,1,0")).issues

    assert issue.message == said


@pytest.mark.parametrize("name", ["(not set)", "(Other)", "(none)", "--", "–", "#N/A"])
def test_new_variant__whose_name_stands_for_none__is_refused(name: str) -> None:
    """Google Analytics has such a row for all who are not in the experiment."""
    experiment = make_running()
    text = _rows(experiment, f"2025-08-14,{name},5,1,0", "2025-08-14,control,5,1,0")

    report = _import(text, on_error="skip")

    assert [str(issue) for issue in report.issues] == [
        f"line 2, variant_name: '{name}' stands for what has no variant: remove the row, or add a variant of this name "
        "first"
    ]
    Variant.objects.filter(key="variant_b").update(name=name)
    assert _import(text).processed_rows == 2


def test_new_variants__are_named_and_can_be_refused() -> None:
    text = _rows(make_running(), "2025-08-14,green,5,1,0", "2025-08-14,control,5,1,0")

    refused = _import(text, new_variants="refuse")
    made = _import(text)

    assert [issue.line for issue in refused.issues] == [2]
    assert "known: control, variant_b" in refused.issues[0].message
    assert (list(refused.new_variants), list(made.new_variants)) == ([], ["green"])
    assert Variant.objects.count() == 3


def test_experiment__by_name__is_found_where_only_one_has_it() -> None:
    experiment = make_experiment("Ads test")
    text = HEADER + "Ads test,2025-08-14,a,5,1,0\n"

    assert _import(text).experiment_ids == [experiment.pk]
    make_experiment("Ads test")
    assert "2 experiments are called 'Ads test'" in _import(text).issues[0].message


def test_experiment__unknown__is_answered_with_the_nearest_keys() -> None:
    make_experiment("Ads test")

    [issue] = _import(HEADER + "ads-tset,2025-08-14,a,5,1,0\n").issues

    assert issue.message == "There is no experiment 'ads-tset'. The nearest keys: ads-test."


def test_experiment__unknown_and_like_none__is_answered_with_what_to_do_and_no_word_on_variants() -> None:
    make_experiment("Ads test")
    text = HEADER + "spring,2025-08-14,a,5,1,0\n"

    [issue] = _import(text, new_variants="refuse").issues

    assert issue.message == "There is no experiment 'spring'. Create it first, or correct the name."


def test_experiment__many_unknown_ones__the_first_20_get_suggestions() -> None:
    make_experiment("Ads test")
    rows = "".join(f"ads-tes{n},2025-08-14,a,5,1,0\n" for n in range(25))

    report = _import(HEADER + rows)

    suggested = ["ads-test" in issue.message for issue in report.issues]
    assert suggested == [True] * 20 + [False] * 5


def test_experiment__created_by_a_name_that_is_nearly_known__is_refused() -> None:
    make_experiment("Ads test")

    report = _import(HEADER + "ads  Test,2025-08-14,a,5,1,0\n", create=True)

    assert "The nearest keys: ads-test." in report.issues[0].message
    assert Experiment.objects.count() == 1


def test_target__no_experiment_column__rows_are_its_own() -> None:
    experiment = make_experiment()
    text = "date,variant_name,impressions,clicks\n2025-08-14,a,5,1\n"

    assert _import(text, target=Target(experiment, only=True)).experiment_ids == [experiment.pk]


def test_target__headers_that_it_remembers__are_known_and_win_over_synonyms() -> None:
    experiment = make_experiment()
    remember_columns(experiment, {"Placement": "variant_name", "Ad": "", "When?": "date"})
    remember_columns(experiment, {"Ad": ""})
    text = "When,Ad,placement,Impr.,Clicks\n2025-08-14,ad 1,top,5,1\n"

    report = _import(text, target=Target(experiment, known=remembered_columns(experiment)))

    assert (report.issues, report.ignored_columns) == ([], ["Ad"])
    assert _stored() == [("top", 5, 1, 0)]


def test_cells__more_than_the_header_names__are_refused_unless_empty() -> None:
    experiment = make_experiment()

    many = _import(_rows(experiment, "2025-08-14,a,12,000,500,5"))
    empty = _import(HEADER.strip() + ",\n" + f"{experiment.key},2025-08-14,a,5,1,0,,,\n")

    assert "has 7 cells, the header names 6 columns" in many.issues[0].message
    assert empty.processed_rows == 1


def test_issues__name_the_column_as_the_file_has_it() -> None:
    experiment = make_experiment()
    text = f"Campaign,Day,Ad,Impr.,Clicks\n{experiment.key},2025-08-14,a,5,6\nx,14/08,,z,1\n"

    assert [(issue.line, issue.column) for issue in _import(text).issues] == [
        (2, "Clicks"), (3, "Ad"), (3, "Day"), (3, "Impr."),
    ]  # fmt: skip


def test_import__one_number_with_two_readings__the_rest_of_the_file_decides() -> None:
    experiment = make_experiment()
    first = _rows(experiment, "2025-08-14,a,10.000,1,0")

    refused = _import(first)
    read = _import(first + f"{experiment.key},2025-08-15,a,12.345,1,0\n")

    assert "can be read as 10000 or as 10" in refused.issues[0].message
    assert read.processed_rows == 2
    assert DailyMetric.objects.get(date=dt.date(2025, 8, 14)).impressions == 10_000


def test_new_variant__that_looks_like_a_known_one__is_reported_with_all_other_problems() -> None:
    rows = (
        "2025-08-14,Control,5,1,0",
        "2025-08-14,blue,5,6,0",
        "2025-08-14,VARIANT_B,x,1,0",
        "2025-08-14,control,7,1,0",
    )

    report = _import(_rows(make_running(), *rows))

    said = [(issue.line, issue.column, issue.message.split()[0]) for issue in report.issues]
    assert said == [
        (2, "variant_name", "'Control'"),
        (3, "clicks", "clicks"),
        (4, "impressions", "'x'"),
        (4, "variant_name", "'VARIANT_B'"),
        (5, "variant_name", "is"),  # a part of control's day
    ]


def test_new_variants__two_of_one_file_that_look_alike__the_second_is_refused() -> None:
    rows = ("2025-08-14,Blue,5,6,0", "2025-08-14,blue,5,1,0", "2025-08-15,BLUE,5,1,0")

    report = _import(_rows(make_running(), *rows), on_error="skip")

    # a row that is refused makes no name known
    assert [(issue.line, issue.column) for issue in report.issues] == [(2, "clicks"), (4, "variant_name")]
    assert report.issues[-1].message.endswith("write 'blue'")


@pytest.mark.parametrize(
    ("way_in", "said"),
    [
        ("v1", ["(blank=skip)", "(repeated=sum)"]),
        ("command", ["(--blank skip)", "(--repeated sum)"]),
        ("page", ["choose above", "choose above"]),
        ("classic", ["remove the row", "in one row"]),
    ],
)
def test_advice__names_the_choice_as_the_way_in_calls_it(way_in: Any, said: list[str]) -> None:
    rows = ("2025-08-14,control,,1,0", "2025-08-15,control,5,1,0", "2025-08-15,control,5,1,0")

    report = _import(_rows(make_running(), *rows), way_in=way_in)

    messages = [report.issues[0].message, report.issues[1].message]
    assert [words in message for words, message in zip(said, messages, strict=True)] == [True, True]
    own = "".join(said)
    for foreign in ("blank=", "repeated=", "--", "above"):
        assert (foreign in "".join(messages)) is (foreign in own)


def test_import__blank_variant_in_a_file_of_one_experiment__is_refused() -> None:
    experiment = make_experiment()
    text = "date,variant_name,impressions,clicks,conversions\n2025-08-14,control,100,10,1\n2025-08-14,,100,10,1\n"

    report = _import(text, target=Target(experiment))

    assert [str(issue) for issue in report.issues] == ["line 3, variant_name: is empty; give a name"]
    assert not experiment.variants.exists()


def test_import__apostrophe_before_a_sign_of_formulas__belongs_to_an_experiment_and_not_to_a_variant() -> (
    None
):
    experiment = make_experiment("'=x")

    _import(f"{HEADER}'=x,2025-08-14,'=x,100,10,1\n")

    assert list(experiment.variants.values_list("name", flat=True)) == ["=x"]
