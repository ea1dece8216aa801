import datetime as dt
import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from psycopg.conninfo import make_conninfo
from pytest_django import Settings

from experiments.metrics import Reward
from experiments.models import DailyMetric, Experiment
from tests.conftest import ROOT
from tests.factory import counts, make_experiment, make_running, record

pytestmark = pytest.mark.django_db

SAMPLE = ROOT / "benchmarks/data/sample_daily_metrics.csv"


def test_import_events__sample_with_create__loads_37_rows_of_2_experiments(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("import_events", SAMPLE, create=True)

    said = capsys.readouterr().out
    assert "Loaded 37 of 37 rows into 2 experiments" in said
    assert "1 experiment-1: control, variant_a" in said
    assert set(Experiment.objects.values_list("pk", flat=True)) == {1, 2}
    assert DailyMetric.objects.count() == 37
    first = DailyMetric.objects.get(variant__experiment=1, variant__name="variant_a", date="2025-08-14")
    assert (first.impressions, first.clicks, first.conversions) == (10000, 950, 855)


def test_import_events__missing_experiments__fails_and_loads_nothing() -> None:
    errors = io.StringIO()

    with pytest.raises(CommandError, match=r"Problems found: 37\. Nothing was loaded"):
        call_command("import_events", SAMPLE, stderr=errors)

    assert "line 2, experiment_id" in errors.getvalue()
    assert not DailyMetric.objects.exists()


def test_import_events__no_such_file__says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_events", tmp_path / "missing.csv")


HEADER = "date,variant_name,impressions,clicks,conversions\n"


def _load(path: Path, text: str, **options: object) -> str:
    said = io.StringIO()
    path.write_text(text)
    call_command("import_events", path, stdout=said, stderr=said, **options)
    return said.getvalue()


def test_import_events__choices__are_those_of_the_api(tmp_path: Path) -> None:
    experiment = make_running()
    text = HEADER + "2025-08-14,control,9,1,\n2025-08-15,control,5,1,0\n2025-08-15,control,6,1,0\n"
    file, own = tmp_path / "own.csv", {"experiment": experiment.key}

    with pytest.raises(CommandError, match="Nothing was loaded"):
        _load(file, text, **own)
    said = _load(file, text, **own, blank="skip", repeated="sum")

    assert "Loaded 2 of 3 rows into 1 experiment." in said
    assert "Rows with a blank cell left out: 1" in said
    assert DailyMetric.objects.get(date="2025-08-15").impressions == 11


def test_import_events__many_bad_rows__names_the_first_and_counts_all(tmp_path: Path) -> None:
    own = {"experiment": make_running().key}
    text = HEADER + "2025-08-14,control,9,1,0\n" + "2025-08-15,control,5,9,0\n" * 1200

    said = _load(tmp_path / "a.csv", text, **own, skip_bad_rows=True).splitlines()

    assert [line.partition(",")[0] for line in said[:20]] == [f"line {n}" for n in range(3, 23)]
    assert said[20:24] == [
        "... and 1,180 more",
        "Loaded 1 of 1,201 rows into 1 experiment.",
        "Rows refused and left out: 1,200",
        "Problems found: 1,200",
    ]


def test_import_events__unknown_experiments__are_said_once_with_their_rows(tmp_path: Path) -> None:
    key = make_running().key
    lines = [f"{name},2025-08-{day},control,9,1,0\n" for day in range(10, 31) for name in (key, "one", "two")]
    text = f"campaign,{HEADER}" + "".join(lines[:-1])

    said = _load(tmp_path / "a.csv", text, skip_bad_rows=True).splitlines()

    assert said[:3] == [
        "line 3, campaign: There is no experiment 'one'. Make what is missing with --create. (21 rows)",
        "line 4, campaign: There is no experiment 'two'. Make what is missing with --create. (20 rows)",
        "Loaded 21 of 62 rows into 1 experiment.",
    ]


def test_import_events__column_that_a_goal_needs_and_rows_without_an_experiment__are_told_apart(
    tmp_path: Path,
) -> None:
    key = make_running(reward=Reward.CONVERSION_RATE).key
    lines = [f"{name},2025-08-{day},control,9,1\n" for day in range(10, 13) for name in (key, "")]
    errors, path = io.StringIO(), tmp_path / "a.csv"
    path.write_text("campaign,date,variant_name,impressions,clicks\n" + "".join(lines))

    with pytest.raises(CommandError, match="Problems found: 4"):
        call_command("import_events", path, stderr=errors)

    assert errors.getvalue().splitlines() == [
        f"line 1, conversions: is not in the file, and the goal of {key} needs it: add it, with 0 where there was none",
        "line 3, campaign: is empty; give a name",
        "line 5, campaign: is empty; give a name",
        "line 7, campaign: is empty; give a name",
    ]


def test_import_events__more_problems_than_are_looked_for__says_so(tmp_path: Path) -> None:
    own = {"experiment": make_running().key}
    errors, path = io.StringIO(), tmp_path / "a.csv"
    path.write_text(HEADER + "2025-08-15,control,5,9,0\n" * 10_001)

    with pytest.raises(CommandError, match=r"Problems found: 10,000 or more\. Nothing was loaded"):
        call_command("import_events", path, stderr=errors, **own)

    assert errors.getvalue().splitlines()[20:] == ["... and 9,980 more"]


def test_import_events__new_variants__are_named_or_refused(tmp_path: Path) -> None:
    own = {"experiment": make_running().key}
    text = "Cost," + HEADER + "1,2025-08-14,green,9,1,0\n"

    with pytest.raises(CommandError, match="Nothing was loaded"):
        _load(tmp_path / "a.csv", text, **own, new_variants="refuse")
    said = _load(tmp_path / "a.csv", text, **own)

    assert "New variants: green" in said
    assert "Columns not needed: Cost" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Give a file, or --sql with --url"),
        (("x.csv", "--sql", "SELECT 1", "--url", "x"), "Give a file, or --sql with --url"),
        (("--sql", "SELECT 1"), "Give --url"),
        (("--sql", "SELECT 1", "--url", "postgresql://127.0.0.1:1/none"), "The query: "),
    ],
)
def test_import_events__without_one_source__says_what_to_give(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("import_events", *arguments)


def test_import_events__unknown_experiment__is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no experiment 'none'"):
        _load(tmp_path / "a.csv", HEADER, experiment="none")


def test_import_events__file_names_an_unknown_experiment__says_how_to_make_it(tmp_path: Path) -> None:
    said = io.StringIO()
    path = tmp_path / "a.csv"
    path.write_text("experiment_id," + HEADER + "spring,2025-08-14,control,9,1,0\n")

    with pytest.raises(CommandError, match="Nothing was loaded"):
        call_command("import_events", path, stderr=said)

    assert "There is no experiment 'spring'. Make what is missing with --create." in said.getvalue()


SALES = """
SELECT date '2025-08-01' + n AS day, 'control' AS variant, 1000.0::numeric AS impressions, 50 + n AS clicks
FROM generate_series(0, 9) n
"""


@pytest.fixture
def warehouse() -> str:
    """Return the address of the PostgreSQL that the tests run on."""
    if connection.vendor != "postgresql":
        pytest.skip("needs a PostgreSQL")
    values = connection.get_connection_params()
    return make_conninfo(**{name: values[name] for name in ("host", "dbname", "user") if name in values})


def test_import_events__sql__loads_the_rows_of_a_query(warehouse: str) -> None:
    own, said = make_running(), io.StringIO()

    call_command("import_events", sql=SALES, url=warehouse, experiment=own.key, stdout=said)

    assert "Loaded 10 of 10 rows" in said.getvalue()
    assert DailyMetric.objects.get(date="2025-08-10").clicks == 59


def test_import_events__sql_without_an_order__is_executed_once(warehouse: str) -> None:
    own, said = make_running(), io.StringIO()
    sql = """
        SELECT date '2025-08-01' + n AS day, 'control' AS variant, floor(random() * 1e6)::float8 + 10 AS impressions,
            1 AS clicks
        FROM generate_series(0, 9) n ORDER BY random()
    """

    call_command("import_events", sql=sql, url=warehouse, experiment=own.key, stdout=said)

    assert "Loaded 10 of 10 rows" in said.getvalue()
    days = DailyMetric.objects.filter(variant__experiment=own, date__month=8).values_list(
        "date__day", flat=True
    )
    assert sorted(days) == list(range(1, 11))


def test_import_events__sql_of_orders__counts_each_on_the_day_of_its_moment(
    warehouse: str, settings: Settings
) -> None:
    settings.TIME_ZONE = "America/Sao_Paulo"
    own, days = make_experiment(), [dt.date(2025, 8, 1), dt.date(2025, 8, 2)]
    record(own, *(counts("control", 100, 5, date=day) for day in days))
    sql = """
        SELECT at::timestamptz AS date, 'control' AS variant, 5 AS value
        FROM unnest('{2025-08-02 00:00:00+00, 2025-08-02 00:00:01+00, 2025-08-02 03:00:00+00}'::text[]) AS orders (at)
    """

    call_command("import_events", sql=sql, url=warehouse, experiment=own.key)

    stored = DailyMetric.objects.order_by("date").values_list("date", "conversions")
    assert list(stored) == [(days[0], 2), (days[1], 1)]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM django_migrations RETURNING app", "The query: "),
        ("SELECT 1 AS n", "no line names all the columns"),
        ("SELECT", "the file is empty"),
    ],
)
def test_import_events__sql_that_writes_or_names_no_columns__is_refused(
    warehouse: str, sql: str, said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("import_events", sql=sql, url=warehouse)


def test_reset_data__confirmed__deletes_everything(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    make_running()
    monkeypatch.setattr("builtins.input", lambda prompt: "yes")

    call_command("reset_data")

    assert not Experiment.objects.exists()


def test_reset_data__not_confirmed__keeps_everything(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    make_running()
    monkeypatch.setattr("builtins.input", lambda prompt: "no")

    with pytest.raises(CommandError, match="Nothing was deleted"):
        call_command("reset_data")

    assert Experiment.objects.exists()


def test_reset_data__in_production__needs_force(settings: Settings) -> None:
    settings.DEBUG = False
    make_running()

    with pytest.raises(CommandError, match="--force"):
        call_command("reset_data", yes=True)
    assert Experiment.objects.exists()

    call_command("reset_data", yes=True, force=True)
    assert not Experiment.objects.exists()
