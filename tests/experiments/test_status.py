import itertools

import pytest
from django.utils.translation import override

from experiments.exceptions import InvalidError, StatusConflictError
from experiments.models import TRANSITIONS, Status
from experiments.services import change_status
from tests.factory import NOW, make_experiment, make_running

pytestmark = pytest.mark.django_db

ALL_MOVES = list(itertools.product(Status, Status))


@pytest.mark.parametrize(("start", "to"), [(a, b) for a, b in ALL_MOVES if b in TRANSITIONS[a]])
def test_change_status__allowed_move__happens(start: Status, to: Status) -> None:
    experiment = make_experiment(status=start)

    assert change_status(experiment_id=experiment.pk, to=to, now=NOW).status == to


@pytest.mark.parametrize(("start", "to"), [(a, b) for a, b in ALL_MOVES if b not in TRANSITIONS[a]])
def test_change_status__other_move__is_a_conflict_that_names_the_next_states(
    start: Status, to: Status
) -> None:
    experiment = make_experiment(status=start)

    with pytest.raises(StatusConflictError) as caught:
        change_status(experiment_id=experiment.pk, to=to, now=NOW)

    assert caught.value.members["allowed"] == sorted(TRANSITIONS[start])
    experiment.refresh_from_db()
    assert experiment.status == start


@pytest.mark.parametrize(
    ("language", "word"), [("en", "is ended (completed)"), ("pt-br", "encerrado (completed)")]
)
def test_change_status__refusal__names_the_status_value_beside_the_word_of_the_pages(
    language: str, word: str
) -> None:
    experiment = make_experiment(status=Status.COMPLETED)

    with override(language), pytest.raises(StatusConflictError) as refused:
        change_status(experiment_id=experiment.pk, to=Status.ACTIVE, now=NOW)

    assert word in str(refused.value)


def test_change_status__complete_with_winner__keeps_the_winner() -> None:
    experiment = make_running()
    winner = experiment.variants.get(name="variant_b")

    done = change_status(experiment_id=experiment.pk, to=Status.COMPLETED, now=NOW, winner_id=winner.pk)

    assert done.winner == winner


def test_change_status__winner_of_another_experiment__is_refused() -> None:
    experiment, other = make_running("One"), make_running("Two")
    stranger = other.variants.get(name="control")

    with pytest.raises(InvalidError, match="winner"):
        change_status(experiment_id=experiment.pk, to=Status.COMPLETED, now=NOW, winner_id=stranger.pk)
