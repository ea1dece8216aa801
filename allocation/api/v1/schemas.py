"""Requests and answers of /api/v1/ about allocations."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from pydantic_core import SchemaValidator, core_schema
from rest_framework import serializers

from allocation.api.schemas import AsOfSerializer
from allocation.campaigns.schedule import expires_at
from allocation.models import Allocation, AllocationShare, State
from experiments.api.fields import (
    BoundedListField,
    StrictSerializer,
    TextField,
)
from experiments.campaign.models import GuardAction
from experiments.metrics import Reward
from experiments.selectors import today

MAX_UNITS = 1000
_MOMENT = serializers.DateTimeField()


_RATE = "Posterior mean, day-adjusted: successes per trial, or value per trial where that is the goal."
_VALUE_SUM = "The value in the window; null where the goal is no value."
_EFFECTIVE_ORDERS = (
    "The value's weight as evidence: as many orders of equal worth; null where the goal is no value."
)
_LARGEST_PART = "The most that one order can make of value_sum, a fraction; null where the goal is no value."


class ShareSerializer(serializers.ModelSerializer[AllocationShare]):
    """A variant's share, and the way from its counts to it."""

    variant_key = serializers.CharField(source="variant.key")
    variant_name = serializers.CharField(source="variant.name")
    share = serializers.DecimalField(max_digits=5, decimal_places=4, coerce_to_string=False)
    previous_share = serializers.DecimalField(max_digits=5, decimal_places=4, coerce_to_string=False)

    class Meta:
        model = AllocationShare
        fields = (
            "variant_key",
            "variant_name",
            "share",
            "previous_share",
            "trials",
            "successes",
            "effective_trials",
            "evidence_kept",
            "posterior_alpha",
            "posterior_beta",
            "rate",
            "rate_low",
            "rate_high",
            "probability_best",
            "expected_loss",
            "missing_trials",
            "target",
            "bound",
            "value_sum",
            "effective_orders",
            "largest_part",
        )
        extra_kwargs: ClassVar = {
            "successes": {"help_text": "In the window; where the goal is a value, the conversions."},
            "rate": {"help_text": _RATE},
            "expected_loss": {"help_text": "In the unit of the rate."},
            "posterior_beta": {
                "help_text": "Of the rate; where the goal is a value, in units of 100,000 times the largest mean."
            },
            "value_sum": {"help_text": _VALUE_SUM},
            "effective_orders": {"help_text": _EFFECTIVE_ORDERS},
            "largest_part": {"help_text": _LARGEST_PART},
            "missing_trials": {
                "help_text": "Effective trials that it lacks to be judged, 0 with enough; null for engine 1."
            },
        }


class HarmSerializer(serializers.Serializer[Any]):
    metric = serializers.ChoiceField(Reward.choices)
    variant = serializers.CharField(help_text="The key of the variant that harms it.")
    max_fall = serializers.FloatField(help_text="The guard's, in percent of the control's.")
    action = serializers.ChoiceField(GuardAction.choices)


class AllocationSerializer(serializers.ModelSerializer[Allocation]):
    """A decision: shares that sum to 1, with what explains each of them."""

    experiment_key = serializers.CharField(source="experiment.key")
    as_of = AsOfSerializer(help_text="The moment that the numbers hold for.")
    harms = HarmSerializer(
        many=True, allow_null=True, help_text="What its guards found; null where it has none."
    )
    shares = ShareSerializer(many=True)

    class Meta:
        model = Allocation
        fields: tuple[str, ...] = (
            "id",
            "as_of",
            "experiment_id",
            "experiment_key",
            "target_date",
            "revision",
            "kind",
            "state",
            "reason",
            "engine_version",
            "window_start",
            "window_end",
            "data_through",
            "window_impressions",
            "window_clicks",
            "value_remaining",
            "dispersion",
            "rates_changed_on",
            "gained_over_even",
            "given_up",
            "gain_error",
            "harms",
            "inputs_digest",
            "created_at",
            "shares",
        )
        extra_kwargs: ClassVar = {
            "dispersion": {
                "help_text": "How much counts vary beyond chance, 1 if not at all; null for engine 1."
            },
            "rates_changed_on": {
                "help_text": "Since when the variants compare differently, if that is recent."
            },
            "gained_over_even": {
                "help_text": "Up to data_through, over an even split, in expected successes or value."
            },
            "given_up": {"help_text": "Up to data_through, against serving the best variant alone."},
            "gain_error": {"help_text": "Standard deviation of gained_over_even."},
        }


class AllocationInForceSerializer(AllocationSerializer):
    """The decision in force now, and until when to rely on it."""

    expires_at = serializers.SerializerMethodField(
        help_text="Ask again then: the next midnight, or ends_at if that is earlier; null once completed."
    )

    class Meta(AllocationSerializer.Meta):
        fields = (*AllocationSerializer.Meta.fields, "expires_at")

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_expires_at(self, allocation: Allocation) -> str | None:
        moment = expires_at(allocation, allocation.experiment, today())
        return None if moment is None else _MOMENT.to_representation(moment)


@extend_schema_field(
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^\u0000]*[^\u0000\s][^\u0000]*$"}
)
class UnitField(TextField):
    """An id as it is: nothing is trimmed, for two clients must hash the same text."""

    exact = core_schema.str_schema(
        strict=True, min_length=1, max_length=255, pattern=r"^[^\x00]*[^\x00\s\x1c-\x1f][^\x00]*$"
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=255, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        unit: str = super().to_internal_value(data)
        if not unit.strip():
            raise serializers.ValidationError(
                "Must not be blank: give the visitor's or the account's id.", "blank"
            )
        return unit


class AssignmentQuerySerializer(serializers.Serializer[Any]):
    unit = UnitField(help_text="Who is assigned: a visitor's or an account's id.")


# Tells of a text, without a serializer, if it is a unit.
is_unit = SchemaValidator(UnitField.exact).isinstance_python


class UnitsSerializer(StrictSerializer):
    units = BoundedListField(child=UnitField(), max_length=MAX_UNITS)


class AssignmentSerializer(serializers.Serializer[Any]):
    unit = serializers.CharField()
    variant_key = serializers.CharField()
    variant_name = serializers.CharField()


class AssignmentsSerializer(serializers.Serializer[Any]):
    allocation_id = serializers.IntegerField()
    assignments = AssignmentSerializer(many=True)


class LedgerEntrySerializer(AllocationSerializer):
    inputs = serializers.JSONField(
        source="recorded_inputs",
        help_text="All that the engine was given. Counts are columns: dates once, a list for each count and variant.",
    )

    class Meta(AllocationSerializer.Meta):
        fields = (*AllocationSerializer.Meta.fields, "inputs")


class AlwaysValidUpliftSerializer(serializers.Serializer[Any]):
    low = serializers.FloatField(help_text="-1: the data allow any uplift downward.")
    high = serializers.FloatField(allow_null=True, help_text="null: the data allow any uplift upward.")
    p_value = serializers.FloatField()


class VariantStatisticsSerializer(serializers.Serializer[Any]):
    variant_key = serializers.CharField()
    variant_name = serializers.CharField()
    is_control = serializers.BooleanField()
    is_active = serializers.BooleanField()
    trials = serializers.IntegerField(help_text="In the window, as are the successes.")
    successes = serializers.IntegerField(help_text="Where the goal is a value, the conversions.")
    rate = serializers.FloatField(help_text=_RATE)
    rate_low = serializers.FloatField(help_text="95% credible interval.")
    rate_high = serializers.FloatField()
    probability_best = serializers.FloatField()
    expected_loss = serializers.FloatField(help_text="In the unit of the rate.")
    enough_data = serializers.BooleanField(
        help_text="false: its rates, its chance and its uplift say little yet."
    )
    missing_trials = serializers.FloatField(help_text="Effective trials that it lacks to be judged.")
    uplift = serializers.FloatField(
        allow_null=True,
        help_text="Over the control, relative; null for the control, and for all where there is no control.",
    )
    uplift_low = serializers.FloatField(allow_null=True)
    uplift_high = serializers.FloatField(allow_null=True)
    beats_control = serializers.FloatField(allow_null=True)
    uplift_always_valid = AlwaysValidUpliftSerializer(
        allow_null=True, help_text="The uplift in an interval that may be looked at every day."
    )
    value_sum = serializers.FloatField(allow_null=True, help_text=_VALUE_SUM)
    effective_orders = serializers.FloatField(allow_null=True, help_text=_EFFECTIVE_ORDERS)
    largest_part = serializers.FloatField(allow_null=True, help_text=_LARGEST_PART)


class SecondaryVariantSerializer(serializers.Serializer[Any]):
    variant_key = serializers.CharField()
    variant_name = serializers.CharField()
    is_control = serializers.BooleanField()
    is_active = serializers.BooleanField()
    trials = serializers.IntegerField(help_text="In the window, as are the successes.")
    successes = serializers.IntegerField()
    rate = serializers.FloatField(help_text="Posterior mean, day-adjusted.")
    rate_low = serializers.FloatField(help_text="95% credible interval.")
    rate_high = serializers.FloatField()
    enough_data = serializers.BooleanField(help_text="false: its rate and its uplift say little yet.")
    uplift = serializers.FloatField(allow_null=True, help_text="Over the control; null for the control.")
    uplift_low = serializers.FloatField(allow_null=True)
    uplift_high = serializers.FloatField(allow_null=True)
    uplift_always_valid = AlwaysValidUpliftSerializer(
        allow_null=True, help_text="The uplift in an interval that may be looked at every day."
    )


class SecondaryMetricSerializer(serializers.Serializer[Any]):
    metric = serializers.ChoiceField(Reward.choices)
    variants = SecondaryVariantSerializer(many=True)


class SampleRatioSerializer(serializers.Serializer[Any]):
    mismatch = serializers.BooleanField(help_text="p below 0.001 with enough data: something loses visitors.")
    p_value = serializers.FloatField()
    chi_square = serializers.FloatField()
    degrees_of_freedom = serializers.IntegerField()
    observed = serializers.DictField(child=serializers.FloatField())
    expected = serializers.DictField(child=serializers.FloatField())


class LeaderShareSerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    share = serializers.FloatField()


class LeaderChanceSerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    probability_best = serializers.FloatField()


class ConvergenceSerializer(serializers.Serializer[Any]):
    leader_share = LeaderShareSerializer(many=True, help_text="Today's leader's share, by target date.")
    leader_probability_best = LeaderChanceSerializer(
        many=True,
        help_text="Its chance of being the best, by target date, where it was computed: not in warm-up.",
    )
    first_passed_95_percent = serializers.DateField(
        allow_null=True, help_text="The first of these dates on which that chance was at least 95%."
    )


class DailyRewardsSerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    given_up = serializers.FloatField(help_text="Cumulative, against always serving the best variant.")
    gained_over_even = serializers.FloatField(help_text="Cumulative, over an even split.")
    gained_low = serializers.FloatField(help_text="The 95% interval of gained_over_even.")
    gained_high = serializers.FloatField(help_text="The upper end of that interval.")


class RewardsSerializer(serializers.Serializer[Any]):
    given_up = serializers.FloatField()
    gained_over_even = serializers.FloatField()
    gained_low = serializers.FloatField(help_text="The 95% interval of gained_over_even.")
    gained_high = serializers.FloatField(help_text="The upper end of that interval.")
    by_day = DailyRewardsSerializer(many=True)


class StatisticsSerializer(serializers.Serializer[Any]):
    experiment_id = serializers.IntegerField()
    date = serializers.DateField()
    as_of = AsOfSerializer(help_text="The moment that the numbers hold for.")
    state = serializers.ChoiceField(State.choices)
    sentence = serializers.CharField()
    leader = serializers.CharField(help_text="The leading variant's key.")
    value_remaining = serializers.FloatField()
    days_with_data = serializers.IntegerField()
    dispersion = serializers.FloatField(help_text="How much counts vary beyond chance, 1 if not at all.")
    rates_changed_on = serializers.DateField(
        allow_null=True, help_text="Since when the variants compare differently, if that is recent."
    )
    comparable = serializers.BooleanField(help_text="false: variants were never shown on the same day.")
    variants = VariantStatisticsSerializer(many=True)
    secondary = SecondaryMetricSerializer(
        many=True, help_text="The other metrics that the data has. They do not decide."
    )
    sample_ratio = SampleRatioSerializer(allow_null=True)
    convergence = ConvergenceSerializer()
    rewards = RewardsSerializer()
