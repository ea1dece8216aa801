"""The database itself refuses what must never be stored, whatever the code above it does."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from experiments.exceptions import InvalidError
from experiments.models import DailyMetric, Experiment, Variant
from experiments.settings_schema import ALGORITHM_SETTINGS, checked_settings
from tests.factory import TODAY, make_experiment

pytestmark = pytest.mark.django_db


def _variant(experiment: Experiment, name: str, **fields: bool) -> Variant:
    return Variant.objects.create(experiment=experiment, key=name, name=name, **fields)


@pytest.mark.parametrize(
    "values",
    [(1, 2, 0), (2, 1, 3), (-1, -1, -1), (10**12 + 1, 0, 0)],
    ids=["clicks", "conversions", "negative", "huge"],
)
def test_daily_metric__impossible_counts__violate_a_constraint(values: tuple[int, int, int]) -> None:
    variant = _variant(make_experiment(), "control")
    fields = dict(zip(("impressions", "clicks", "conversions"), values, strict=True))

    with pytest.raises(IntegrityError), transaction.atomic():
        DailyMetric.objects.create(variant=variant, date=TODAY, **fields)


def test_daily_metric__more_conversions_than_clicks__are_stored() -> None:
    variant = _variant(make_experiment(), "control")

    DailyMetric.objects.create(variant=variant, date=TODAY, impressions=10, clicks=2, conversions=3)

    assert DailyMetric.objects.get().conversions == 3


@pytest.mark.parametrize(
    ("value_sum", "value_squares", "conversions"),
    [("-1", 1, 1), ("1", -1, 1), ("30", 449, 2), ("30", 0, 2), ("30", 899, 0), ("1000000000000001", 1e30, 1)],
    ids=["negative sum", "negative squares", "less than equal ones", "none", "as if one", "huge"],
)
def test_daily_metric__impossible_values__violate_a_constraint(
    value_sum: str, value_squares: float, conversions: int
) -> None:
    variant = _variant(make_experiment(), "control")
    values = {"value_sum": Decimal(value_sum), "value_squares": value_squares, "conversions": conversions}

    with pytest.raises(IntegrityError), transaction.atomic():
        DailyMetric.objects.create(variant=variant, date=TODAY, impressions=10, clicks=5, **values)


def test_daily_metric__values__are_stored_with_four_places() -> None:
    variant = _variant(make_experiment(), "control")
    counts = {"impressions": 10, "clicks": 5, "conversions": 2}

    # two equal values have the least squares: 2 x 6.1728^2
    DailyMetric.objects.create(
        variant=variant, date=TODAY, **counts, value_sum=Decimal("12.3456"), value_squares=76.20692 + 1e-5
    )

    assert DailyMetric.objects.get().value_sum == Decimal("12.3456")


def test_daily_metric__largest_counts__are_stored_exactly() -> None:
    variant = _variant(make_experiment(), "control")

    DailyMetric.objects.create(
        variant=variant, date=TODAY, impressions=10**12, clicks=10**12, conversions=10**12
    )

    assert DailyMetric.objects.get().conversions == 10**12


def test_variant__second_control__violates_a_constraint() -> None:
    experiment = make_experiment()
    _variant(experiment, "a", is_control=True)

    with pytest.raises(IntegrityError), transaction.atomic():
        _variant(experiment, "b", is_control=True)


def test_variant__retired_control__violates_a_constraint() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        _variant(make_experiment(), "a", is_control=True, is_active=False)


def test_variant__same_name_in_two_experiments__is_fine() -> None:
    _variant(make_experiment(), "control")
    _variant(make_experiment(), "control")

    assert Variant.objects.filter(name="control").count() == 2


@pytest.mark.parametrize("name", [n for n, s in ALGORITHM_SETTINGS.items() if not s.is_switch])
def test_experiment__setting_outside_its_range__violates_a_constraint(name: str) -> None:
    setting = ALGORITHM_SETTINGS[name]
    experiment = make_experiment()

    for value in (setting.low - 1, setting.high + 1):
        with pytest.raises(IntegrityError), transaction.atomic():
            Experiment.objects.filter(pk=experiment.pk).update(**{name: value})


def test_experiment__floors_that_do_not_fit__violate_a_constraint() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_experiment(control_floor=0.5, min_explore_rate=0.5)


def test_experiment__floors_at_their_limit__are_stored() -> None:
    assert make_experiment(control_floor=0.5, min_explore_rate=0.49).control_floor == 0.5


def test_experiment__shift_between_two_steps__is_refused_by_name() -> None:
    experiment = make_experiment()
    experiment.max_daily_shift = 0.12345

    with pytest.raises(ValidationError, match=r"multiple of 0\.0001"):
        experiment.full_clean()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Button colour", "button-colour"),
        ("2024", "experiment-2024"),
        ("按钮", "experiment"),
        ("A" * 200, "a" * 70),
        ("1" * 200, "experiment-" + "1" * 59),
    ],
)
def test_create_experiment__key__is_made_from_the_name_and_never_a_number(name: str, key: str) -> None:
    assert make_experiment(name).key == key


def test_create_experiment__same_name_again__gets_a_numbered_key() -> None:
    assert [make_experiment("Same").key for _ in range(3)] == ["same", "same-2", "same-3"]


@pytest.mark.parametrize("number", ["9" * 9, "9" * 10, "9" * 60])
def test_create_experiment__name_taken_beside_a_long_number__ends_with_a_free_key(number: str) -> None:
    make_experiment(f"Sale {number}")

    keys = [make_experiment("Sale").key for _ in range(3)]

    assert len({*keys, f"sale-{number}"}) == 4
    assert all(len(key) <= 80 for key in keys)


def test_create_experiment__longest_name_beside_the_largest_number__stays_within_the_keys_length() -> None:
    name = "x" * 70
    make_experiment(name)
    Experiment.objects.filter(pk=make_experiment(name).pk).update(key=f"{name}-999999999")

    assert make_experiment(name).key == f"{name}-2"


@pytest.mark.parametrize(
    ("name", "key"), [("New", "experiment-new"), ("2024", "experiment-2024"), ("New one", "new-one")]
)
def test_experiment__name_like_a_page_or_an_id__gets_another_key(name: str, key: str) -> None:
    assert make_experiment(name).key == key


def test_settings__true_after_the_1_that_it_equals__are_refused() -> None:
    """Remembered checks tell types apart."""
    assert checked_settings({"alpha_prior": 1})["alpha_prior"] == 1

    with pytest.raises(InvalidError):
        checked_settings({"alpha_prior": True})
