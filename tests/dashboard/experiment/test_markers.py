"""Marks on charts of days, by what was changed."""

import datetime as dt

import pytest

from dashboard.charts import Chart, Mark, Series
from dashboard.experiment.markers import Marker, marked, markers_of_changes
from experiments.models import Status
from experiments.services import change_status, update_experiment
from experiments.variants import add_variant
from tests.factory import NOW, TODAY, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

DAY = dt.timedelta(days=1)


def test_markers__pause_resume_settings_and_a_variant__are_named_in_order() -> None:
    experiment = make_running()
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
    update_experiment(experiment_id=experiment.pk, control_floor=0.2, now=NOW)
    change_status(experiment_id=experiment.pk, to=Status.ACTIVE, now=NOW)
    update_experiment(experiment_id=experiment.pk, description="Of the shop.", now=NOW)
    add_variant(experiment_id=experiment.pk, name="late", now=NOW + DAY)
    experiment.refresh_from_db()

    markers = markers_of_changes(experiment)

    assert [marker.label for marker in markers] == ["paused", "settings changed", "resumed", "late added"]
    assert markers[-1] == Marker(TODAY + DAY, "late added")


def test_marked__charts_of_days__are_marked_within_their_days_alone() -> None:
    days = [TODAY - DAY, TODAY]
    chart = Chart(id="c", title="", y_title="", x=days, series=[Series("a", "variant-1", [1, 2])])
    names = Chart(id="n", title="", y_title="", x=["a"], series=[])
    markers = [
        Marker(TODAY, "First"),
        Marker(TODAY, "Second of that day, which goes on"),
        Marker(TODAY - dt.timedelta(days=2), "Too early"),
    ]

    assert marked(chart, markers).marks == [Mark("x", TODAY.isoformat(), "First; Second of that d…")]
    assert marked(names, markers).marks == []
