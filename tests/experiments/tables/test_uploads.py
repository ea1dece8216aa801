"""A CSV's dry run, and the upload that waits for its confirmation."""

import datetime as dt
from typing import Any

import pytest
from django.core.management import call_command

from experiments.audit import read_reason
from experiments.exceptions import InvalidError, NotFoundError
from experiments.ingestion.manual_edits import set_day
from experiments.metrics import DayTotals
from experiments.models import CsvUpload, DailyMetric, Experiment, Status, Variant
from experiments.tables.importing.importer import import_table
from experiments.tables.importing.report import ImportOptions
from experiments.tables.preview import CsvPreview, preview_table
from experiments.tables.uploads import KEPT_FOR, find_upload, keep_upload, record_upload
from tests.factory import NOW, TODAY, counts, make_experiment, make_running, make_table, record

pytestmark = pytest.mark.django_db

HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions\n"
# One of each: changed, the same, added, a new variant, refused by itself; and two that are refused as repetitions.
MIXED = HEADER + (
    "{id},2025-09-01,control,10000,710,0\n"
    "{id},2025-09-01,variant_b,10000,950,0\n"
    "{id},2025-08-31,control,100,10,1\n"
    "{id},2025-08-31,variant_c,100,10,1\n"
    "{id},2025-08-30,control,10,20,0\n"
    "{id},2025-08-31,control,100,10,1\n"
)


def _preview(experiment: Experiment, text: str) -> CsvPreview:
    return preview_table(
        make_table(text), experiment=experiment, known={}, options=ImportOptions(), today=TODAY, now=NOW
    )


def _keep(experiment: Experiment, text: str, now: dt.datetime = NOW) -> CsvUpload:
    return keep_upload(experiment=experiment, owner="ann", name="x.csv", content=text.encode(), now=now)


def _record(upload: CsvUpload, *, owner: str = "ann", skip: bool = False, others: bool = False) -> Any:
    done = record_upload(
        experiment=upload.experiment,
        owner=owner,
        token=upload.token,
        options=ImportOptions(on_error="skip" if skip else "reject"),
        with_others=others,
        today=TODAY,
        now=NOW,
    )
    return done.report


def _stored() -> list[tuple[Any, ...]]:
    fields = ("variant__experiment", "variant__name", "date", "impressions", "clicks", "conversions")
    return sorted(DailyMetric.objects.values_list(*fields))


def test_preview__mixed_file__tells_each_line_and_writes_nothing() -> None:
    experiment = make_running()
    before = _stored()

    preview = _preview(experiment, MIXED.format(id=experiment.pk))

    reported = {
        kind: [(line.line, line.effect.row.variant_name, line.effect.before) for line in lines]
        for kind, lines in preview.lines.items()
    }
    assert reported == {
        "changed": [(2, "control", DayTotals(10000, 700, 0))],
        "added": [(5, "variant_c", None)],
    }
    assert dict(preview.tally) == {"changed": 1, "same": 1, "added": 1}
    assert list(preview.new_variants) == ["variant_c"]
    assert [(issue.line, issue.column) for issue in preview.report.issues] == [
        (4, "variant_name"),
        (6, "clicks"),
        (7, "variant_name"),
    ]
    assert (_stored(), Variant.objects.count()) == (before, 2)


def test_preview__mixed_file__equals_what_the_import_then_does() -> None:
    experiment = make_running()
    text = MIXED.format(id=experiment.pk)

    preview = _preview(experiment, text)
    report = import_table(make_table(text), today=TODAY, now=NOW, options=ImportOptions(on_error="skip"))

    assert (preview.report.processed_rows, preview.report.issues) == (report.processed_rows, report.issues)
    assert _preview(experiment, text).tally == {"same": 3}


def test_preview__other_experiments__are_listed_apart() -> None:
    experiment, other = make_running(), make_running("Other")
    completed = make_experiment("Over", status=Status.COMPLETED)
    text = HEADER + "".join(
        f"{ref},2025-08-31,control,100,10,1\n" for ref in (experiment.key, other.pk, completed.pk)
    )

    preview = _preview(experiment, text)

    assert (preview.rows, preview.other_rows) == (1, 1)
    assert [(found.experiment, found.rows) for found in preview.others.values()] == [(other, 1)]
    assert ["is ended (completed)" in issue.message for issue in preview.report.issues] == [True]


def test_record_upload__only_this_experiment__leaves_the_others_rows_out() -> None:
    experiment, other = make_experiment(), make_experiment("Other")
    text = HEADER + f"{experiment.pk},2025-08-31,a,1,0,0\n{other.key},2025-08-31,a,1,0,0\n"

    report = _record(_keep(experiment, text))

    assert (report.processed_rows, report.left_out, report.refused_rows) == (1, 1, 0)
    assert {row[0] for row in _stored()} == {experiment.pk}


def test_record_upload__with_others__records_every_experiment() -> None:
    experiment, other = make_experiment(), make_experiment("Other")
    text = HEADER + f"{experiment.pk},2025-08-31,a,1,0,0\n{other.key},2025-08-31,a,1,0,0\n"

    report = _record(_keep(experiment, text), others=True)

    assert (report.processed_rows, report.left_out) == (2, 0)
    assert {row[0] for row in _stored()} == {experiment.pk, other.pk}


def test_record_upload__a_bad_row__writes_nothing_and_keeps_the_file() -> None:
    experiment = make_running()
    before = _stored()
    upload = _keep(experiment, MIXED.format(id=experiment.pk))

    report = _record(upload)

    assert (report.processed_rows, report.total_issues) == (0, 3)
    assert _stored() == before
    assert CsvUpload.objects.exists()


def test_record_upload__bad_rows_left_out__records_the_others_once() -> None:
    experiment = make_running()
    upload = _keep(experiment, MIXED.format(id=experiment.pk))

    report = _record(upload, skip=True)

    assert (report.processed_rows, report.refused_rows) == (3, 3)
    said = read_reason(Experiment.history.latest().history_change_reason)
    assert said == ("data.uploaded", {"file": "x.csv", "rows": 3})
    with pytest.raises(NotFoundError):
        _record(upload, skip=True)


def test_find_upload__another_person_experiment_or_an_hour_later__is_not_found() -> None:
    experiment, other = make_running(), make_running("Other")
    upload = _keep(experiment, MIXED.format(id=experiment.pk))
    mine: dict[str, Any] = {"experiment": experiment, "owner": "ann", "token": upload.token, "now": NOW}

    assert find_upload(**mine) == upload
    for change in ({"owner": "bob"}, {"experiment": other}, {"token": "x"}, {"now": NOW + KEPT_FOR}):
        with pytest.raises(NotFoundError):
            find_upload(**{**mine, **change})


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", HEADER.encode(), HEADER.encode() + b"1,2025-08-31,a,1,0,0\n" * 3 + b"\xff\xfe"],
    ids=["empty", "other columns", "no row", "not text further down"],
)
def test_keep_upload__unreadable__is_refused(content: bytes) -> None:
    with pytest.raises(InvalidError):
        keep_upload(experiment=make_experiment(), owner="ann", name="x", content=content, now=NOW)


def test_prune__uploads__forgets_those_older_than_an_hour(capsys: Any) -> None:
    experiment = make_running()
    text = MIXED.format(id=experiment.pk)
    old = _keep(experiment, text, dt.datetime.now(dt.UTC) - KEPT_FOR)
    new = _keep(experiment, text, dt.datetime.now(dt.UTC))

    call_command("prune")

    assert list(CsvUpload.objects.all()) == [new]
    assert old != new
    assert "1 uploads" in capsys.readouterr().out


def test_set_day__changed_counts__are_reported_and_kept_in_the_history() -> None:
    experiment = make_running()

    rows = [counts("control", 10000, 700), counts("variant_b", 10000, 951)]
    effects = set_day(experiment_id=experiment.pk, rows=rows, today=TODAY, now=NOW)

    assert [(e.kind, e.before, e.after) for e in effects] == [
        ("same", DayTotals(10000, 700, 0), DayTotals(10000, 700, 0)),
        ("changed", DayTotals(10000, 950, 0), DayTotals(10000, 951, 0)),
    ]
    said = read_reason(Experiment.history.latest().history_change_reason)
    assert said == ("day.edited", {"date": "2025-09-01", "names": ["variant_b"], "more": 0})


def test_set_day__a_bad_row__writes_nothing() -> None:
    experiment = make_running()
    record(experiment, counts("control", 10000, 700))
    before = _stored()

    with pytest.raises(InvalidError):
        set_day(
            experiment_id=experiment.pk,
            rows=[counts("control", 1, 1), counts("variant_b", 1, 2)],
            today=TODAY,
            now=NOW,
        )

    assert _stored() == before
    assert Experiment.history.count() == 1
