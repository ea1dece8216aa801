"""Checks of an experiment's health below its results."""

import pytest
from django.test import Client

from experiments.services import update_experiment
from experiments.variants import add_variant
from tests.dashboard.experiment.test_results import DAY, add_days, context, make_decided
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


def test_health__all_well__says_so_in_one_line(client: Client) -> None:
    experiment = make_decided()

    checks = context(client, experiment)["health"]

    assert [check.text for check in checks if not check.ok] == []
    assert "No missing days" in [check.text for check in checks]


def test_health__gaps_changed_settings_and_newer_data__come_first(client: Client) -> None:
    experiment = make_experiment()
    add_days(experiment, 20, skip=4)
    allocate(experiment)
    add_days(experiment, 1)
    update_experiment(experiment_id=experiment.pk, now=NOW, settings={"control_floor": 0.25})

    checks = context(client, experiment)["health"]

    assert [check.text for check in checks if not check.ok] == [
        "3 days without data",
        "Settings changed after this allocation",
        "New data not used for traffic yet",
    ]


def test_health__a_day_corrected_or_added_late__is_new_data(client: Client) -> None:
    experiment = make_experiment()
    add_days(experiment, 20, skip=1)
    allocate(experiment)
    before = [check.text for check in context(client, experiment)["health"] if not check.ok]
    record(experiment, counts("b", 1000, 140, 26, date=TODAY - 5 * DAY))
    corrected = [check.text for check in context(client, experiment)["health"] if not check.ok]
    allocate(experiment)
    record(experiment, counts("b", 1000, 140, date=TODAY - 30 * DAY))
    late = [check.text for check in context(client, experiment)["health"] if not check.ok]

    assert before == []
    assert corrected == ["New data not used for traffic yet"]
    assert "New data not used for traffic yet" in late


def test_health__counts_given_to_the_other_variant__are_new_data(client: Client) -> None:
    experiment = make_experiment()
    day = TODAY - DAY
    record(experiment, counts("control", 1000, 90, date=day), counts("b", 1000, 120, date=day))
    allocate(experiment)
    record(experiment, counts("control", 1000, 120, date=day), counts("b", 1000, 90, date=day))

    texts = [check.text for check in context(client, experiment)["health"] if not check.ok]

    assert "New data not used for traffic yet" in texts


def test_health__variant_named_control_that_came_later__is_distinguished_from_the_control(
    client: Client,
) -> None:
    experiment = make_experiment()
    for names in (["b"], ["control", "b"]):
        record(experiment, *(counts(name, 2000, 100) for name in names))
    allocate(experiment)

    checks = context(client, experiment)["health"]

    warning = "The control is 'b': it came first. 'control' is another variant"
    assert [check.tab for check in checks if check.text == warning and not check.ok] == ["settings"]


def test_health__a_variant_more__is_a_change_too(client: Client) -> None:
    experiment = make_decided()
    add_variant(experiment_id=experiment.pk, name="late", now=NOW)

    texts = [check.text for check in context(client, experiment)["health"] if not check.ok]

    assert "Settings changed after this allocation" in texts


def test_health__another_name_of_a_control_beside_the_control__is_no_warning(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, *(counts(name, 2000, 100) for name in ("baseline", "control")))
    allocate(experiment)

    assert [check for check in context(client, experiment)["health"] if "came first" in check.text] == []
