import datetime as dt

import pytest
from django.test import Client

from bandit_project.administration.keys import create_key
from bandit_project.models import ApiKey, Scope
from dashboard.experiment.summary import experiment_or_404, summarise_head
from dashboard.first_steps import Step, steps_of, steps_of_installation
from experiments.models import Experiment, Status
from experiments.services import archive_experiment, create_experiment
from experiments.variants import add_variant
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


def _steps(experiment: Experiment) -> list[Step]:
    read = experiment_or_404(experiment.key, TODAY)
    return steps_of(read, summarise_head(read, TODAY))


def _done(experiment: Experiment) -> list[bool]:
    return [step.is_done for step in _steps(experiment)]


def _of_installation() -> list[Step]:
    return steps_of_installation(may_edit=True, may_administer=True)


def test_steps__new_draft__are_all_to_be_done_and_start_waits_for_variants() -> None:
    steps = _steps(make_experiment(status=Status.DRAFT))

    assert [step.is_done for step in steps] == [False] * 5
    assert [bool(step.url) for step in steps] == [True, False, True, False, False]


def test_steps__draft_with_variants__can_be_started_from_the_list(client: Client) -> None:
    create_experiment(name="Hero", variants=["control", "b"], status=Status.DRAFT, now=NOW)
    page = client.get("/dashboard/experiments/hero/").content.decode()
    assert "First steps" in page

    assert client.post("/dashboard/experiments/hero/start/").status_code == 302
    assert _done(Experiment.objects.get()) == [True, True, False, False, False]


def test_steps__key_used_since_the_experiment_exists__ticks_the_call() -> None:
    experiment = create_experiment(name="Hero", variants=["control", "b"], now=NOW)
    key, _secret = create_key(name="shop", scope=Scope.SERVE, days=None, now=NOW)

    ApiKey.objects.filter(pk=key.pk).update(last_used_at=NOW - dt.timedelta(days=1))
    assert _done(experiment) == [True, True, False, False, False]
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=NOW)
    assert _done(experiment) == [True, True, True, False, False]


def test_steps__data_where_no_key_is_used__ticks_the_call_too() -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 500, 20), counts("b", 500, 30))

    assert not ApiKey.objects.exists()
    assert _done(experiment) == [True, True, True, True, False]


def test_steps__data_and_then_the_first_allocation__complete_and_vanish(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 500, 20), counts("b", 500, 30))
    assert "First steps" in client.get("/dashboard/experiments/button-colour/").content.decode()

    allocate(experiment)

    assert _steps(experiment) == []
    assert "First steps" not in client.get("/dashboard/experiments/button-colour/").content.decode()


def test_steps__even_split_of_the_night_without_data__ticks_nothing() -> None:
    experiment = create_experiment(name="Hero", variants=["control", "b"], now=NOW)

    allocate(experiment)

    assert _done(experiment) == [True, True, False, False, False]


def test_head__draft_without_variants__start_is_not_the_next_step(client: Client) -> None:
    experiment = make_experiment(status=Status.DRAFT)
    address = f"/dashboard/experiments/{experiment.key}/"

    def is_next() -> bool:
        head = client.get(address).content.decode().partition(f"{address}start/")[2]
        return "btn-primary" in head.partition("</form>")[0]

    assert not is_next()
    for name in ("control", "b"):
        add_variant(experiment_id=experiment.pk, name=name, now=NOW)
    assert is_next()


def test_steps__completed_or_archived__are_none() -> None:
    ended, archived = make_experiment("Ended"), make_experiment("Archived", status=Status.DRAFT)
    Experiment.objects.filter(pk=ended.pk).update(status=Status.COMPLETED)
    archive_experiment(experiment_id=archived.pk, now=NOW)

    assert _steps(ended) == _steps(archived) == []


def test_steps__empty_installation__are_listed_with_the_key_ticked_once_there_is_one(client: Client) -> None:
    page = client.get("/dashboard/").content.decode()
    assert "No experiments yet" in page
    assert "Create an API key" in page
    assert not any(step.is_done for step in _of_installation())

    create_key(name="shop", scope=Scope.SERVE, days=None, now=NOW)
    assert [step.is_done for step in _of_installation()] == [False, True, False, False, False]

    make_running()
    assert "No experiments yet" not in client.get("/dashboard/").content.decode()
