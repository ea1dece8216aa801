"""Reasons of the decision log: recorded in English, read back in the reader's language and in the words of pages."""

import datetime as dt
import re
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from django.test import Client
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from allocation.ledger.reasons import _FORMS, _SEVERAL_ORDERS, _read, end_sentence, in_words
from allocation.limits import LIMITS
from experiments.metrics import DailyCounts
from experiments.text import NAME_LENGTH
from tests.factory import TODAY, allocate, counts, make_experiment, make_running, record

LEADS = LIMITS["none"].reason


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        (
            "b leads: 84.4% likely to be the best. The daily cap limits how fast its share grows.",
            "b lidera: 84,4% de probabilidade de ser a melhor. A parcela dela é limitada pelo aumento diário máximo.",
        ),
        (
            "b leads: more than 99.9% likely to be the best.",
            "b lidera: mais de 99,9% de probabilidade de ser a melhor.",
        ),
        (
            "Warm-up: 1,600 of 12,000 impressions so far; traffic moves toward an even split.",
            "Aquecimento: 1.600 de 12.000 impressões até agora; o tráfego vai para a divisão igual.",
        ),
        (
            "Guard: b is more than 2.5% below the control in conversion rate; "
            "the control gets all traffic until a person resumes. 2 guarded comparisons show harm.",
            "Proteção: b está mais de 2,5% abaixo do controle em taxa de conversão; "
            "o controle recebe todo o tráfego até que uma pessoa retome. 2 comparações protegidas mostram dano.",
        ),
    ],
)
def test_in_words__recorded_reason__is_said_in_portuguese(recorded: str, shown: str) -> None:
    with override("pt-br"):
        assert in_words(recorded) == shown


def test_in_words__wording_of_another_version__stays_as_it_is() -> None:
    with override("pt-br"):
        assert (
            in_words("b is in front. It is what was measured.") == "b is in front. It is what was measured."
        )


@pytest.mark.parametrize(
    ("key", "limit"),
    [
        ("control_floor", "minimum control share"),
        ("exploration_floor", "minimum exploration share"),
        ("cap_up", "maximum daily increase"),
        ("cap_down", "maximum daily decrease"),
    ],
)
def test_in_words__limit__is_named_as_pages_name_it(key: str, limit: str) -> None:
    recorded = LIMITS[key].reason.format(name="b", chance="84.4%")

    with override("en"):
        assert (
            in_words(recorded)
            == f"b leads: 84.4% likely to be the best. Its share is limited by the {limit}."
        )


@pytest.mark.django_db
def test_reason__large_orders_of_many_variants_with_long_names__fits_into_its_column() -> None:
    """SQLite takes a text of any length; PostgreSQL refused the decision, and with it every request."""
    experiment = make_experiment(reward="value_per_impression")
    for age in range(20):
        day = counts("a", 10**6, 50_000, 5000, date=TODAY - dt.timedelta(days=age))
        # one order of 150,000 beside those of 10
        extra = 0 if age else 150_000
        day = day._replace(value_sum=Decimal(50_000 + extra), value_squares=750_000.0 + extra**2)
        record(experiment, *(day._replace(variant_name=letter * 200) for letter in "abcdefghi"))

    reason = allocate(experiment).reason

    several = _SEVERAL_ORDERS.format(part="10%", count=9)
    assert reason == f"No variant leads: 9 are equally likely to be the best (11.1% each). {several}"
    with override("en"):
        assert in_words(reason) == reason


_HOSTILE = [
    "Guard: x is more than ",
    "Guard: a is more than 1% below the control in ",
    "One order may make more than 1% of the value of b. ",
    "b leads: 1.0% likely to be the best. ",
    "b leads: ",
    " leads: 1% likely to be the best. The daily",
]


@dataclass
class _Counting:
    """A pattern that counts how often it is tried."""

    pattern: re.Pattern[str]
    places: list[int] = field(default_factory=list)

    def match(self, text: str, start: int) -> re.Match[str] | None:
        self.places.append(start)
        return self.pattern.match(text, start)


@pytest.mark.parametrize("part", _HOSTILE)
def test_reading__names_made_to_look_like_sentences__tries_each_place_once(part: str) -> None:
    forms = [form._replace(pattern=_Counting(form.pattern)) for form in _FORMS]  # type: ignore[arg-type]

    _read((part * 100)[:999] + "x", forms)

    for form in forms:
        tried = form.pattern.places  # type: ignore[attr-defined]
        assert len(tried) == len(set(tried))


def test_reading__any_sentence__has_no_fact_without_a_bound() -> None:
    """A pattern tries at most as many ends of a name as names are long, and no two facts of a sentence are names."""
    for form in _FORMS:
        assert not re.search(r"[^\\][+*]", re.sub(r"\[.*?\]", "", form.pattern.pattern)), form.sentence
        assert form.pattern.pattern.count(f".{{1,{NAME_LENGTH}}}?") <= 1


def test_reading__text_longer_than_any_reason__stays_as_it_is() -> None:
    text = "b leads: 1.0% likely to be the best. " * 1000

    assert in_words(text) == text


_NAMES = st.text(min_size=1, max_size=40) | st.sampled_from(
    ["{name}", "a. b", "b leads: 1.0% likely to be the best."]
)


@given(_NAMES, st.sampled_from(["none", "low_evidence"]), st.sampled_from(["84.4%", "more than 99.9%"]))
def test_in_words__in_english__is_what_was_recorded(name: str, limit: str, chance: str) -> None:
    recorded = (
        LIMITS[limit].reason.format(name=name, chance=chance) + " " + end_sentence(name, on_schedule=True)
    )

    with override("en"):
        assert in_words(recorded) == recorded


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
def test_decision_log__in_portuguese__says_the_reason_in_portuguese(admin_client: Client) -> None:
    allocate(make_running())

    html = admin_client.get(
        "/admin/allocation/allocation/", headers={"accept-language": "pt-br"}
    ).content.decode()

    assert "variant_b lidera: mais de 99,9% de probabilidade de ser a melhor." in html
    assert "likely" not in html


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
@pytest.mark.parametrize(
    ("control", "b", "reason"),
    [
        (
            counts("control", 2000, 0),
            counts("b", 1500, 0),
            "No variant has a success yet; there is nothing to compare.",
        ),
        (
            counts("control", 2000, 100),
            counts("b", 2000, 100),
            "No variant leads: 2 are equally likely to be the best (50.0% each).",
        ),
    ],
)
def test_reason__nothing_sets_one_above_the_others__names_no_leader(
    control: DailyCounts, b: DailyCounts, reason: str
) -> None:
    experiment = make_experiment()
    record(experiment, control, b)

    assert allocate(experiment).reason == reason
