import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from experiments.models import DailyMetric, Experiment
from tests.conftest import ROOT
from tests.factory import make_running

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
