"""Requests and answers of /api/v1/ about simulations and backtests."""

from typing import Any

from rest_framework import serializers

from allocation.engine.lab.orders import LARGEST_CV, LARGEST_WORTH, LEAST_WORTH
from allocation.engine.lab.policies import POLICIES
from allocation.engine.lab.simulation import SCENARIOS
from allocation.lab.past_tests import GOALS
from experiments.api.fields import (
    AmountField,
    BoundedListField,
    CountField,
    NameField,
    NumberField,
    OneOfField,
    SquaresField,
    StrictSerializer,
    WholeNumberField,
)
from experiments.api.v1.schemas import SettingsSerializer
from experiments.metrics import Reward
from experiments.models import MAX_VARIANTS


class _RunSerializer(StrictSerializer):
    policies = BoundedListField(
        child=OneOfField(list(POLICIES)),
        required=False,
        max_length=len(POLICIES),
    )
    settings = SettingsSerializer(required=False, default=dict)
    seed = WholeNumberField(min_value=0, max_value=2**63 - 1, required=False, default=1)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {**attrs, "policies": list(dict.fromkeys(attrs.get("policies", ["thompson", "even"])))}


class SimulationSerializer(_RunSerializer):
    rates = BoundedListField(
        child=NumberField(min_value=0, max_value=1), min_length=2, max_length=MAX_VARIANTS
    )
    daily_traffic = WholeNumberField(min_value=1, max_value=10**9, required=False, default=1000)
    days = WholeNumberField(min_value=1, max_value=3650, required=False, default=60)
    runs = WholeNumberField(min_value=1, max_value=100_000, required=False, default=50)
    scenario = OneOfField(list(SCENARIOS), required=False, default="constant")
    stop = OneOfField(["value-remaining"], required=False, allow_null=True, default=None)
    order_values = BoundedListField(
        child=NumberField(min_value=LEAST_WORTH, max_value=LARGEST_WORTH),
        required=False,
        min_length=2,
        max_length=MAX_VARIANTS,
        help_text="Where value is the goal: what a success of each variant brings on average, 1 by default.",
    )
    value_cv = NumberField(
        min_value=0,
        max_value=LARGEST_CV,
        required=False,
        help_text="Where value is the goal: standard deviation over mean of single values, log-normal, 1 by default.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        worths = attrs.get("order_values")
        if worths is not None and len(worths) != len(attrs["rates"]):
            message = f"{len(worths)} for {len(attrs['rates'])} rates; one each is needed"
            raise serializers.ValidationError({"order_values": message}, code="wrong_length")
        return super().validate(attrs)


class PastVariantSerializer(StrictSerializer):
    variant = NameField()
    impressions = CountField()
    clicks = CountField(required=False, help_text="For the goal ctr.")
    conversions = CountField(required=False, help_text="For a value: the orders that brought it.")
    value_sum = AmountField(required=False, help_text="What the conversions were worth together.")
    value_squares = SquaresField(required=False, help_text="The squares of the single values, added up.")


class PastTestSerializer(StrictSerializer):
    experiment = NameField()
    variants = BoundedListField(child=PastVariantSerializer(), min_length=2, max_length=MAX_VARIANTS)


class BacktestSerializer(_RunSerializer):
    tests = BoundedListField(child=PastTestSerializer(), max_length=10_000)
    goal = OneOfField(
        [goal.value for goal in GOALS],
        required=False,
        default=Reward.CTR.value,
        help_text="value_per_impression: regret is in value; send conversions, value_sum and value_squares.",
    )
    repeated = OneOfField(
        ["refuse", "sum"],
        required=False,
        default="refuse",
        help_text="A variant that a test lists several times: a problem, or parts to be added up.",
    )
    days = WholeNumberField(min_value=1, max_value=365, required=False, default=14)
    runs = WholeNumberField(min_value=1, max_value=1000, required=False, default=1)


class SimulatedPolicySerializer(serializers.Serializer[Any]):
    regret_mean = serializers.FloatField()
    regret_p10 = serializers.FloatField()
    regret_p90 = serializers.FloatField()
    gain_over_even_mean = serializers.FloatField()
    best_in_front = serializers.FloatField()
    stopped = serializers.FloatField()
    stop_day_mean = serializers.FloatField()
    stop_day_median = serializers.FloatField()
    mean_shares_by_day = BoundedListField(child=BoundedListField(child=serializers.FloatField()))


class SimulationReportSerializer(serializers.Serializer[Any]):
    policies = serializers.DictField(child=SimulatedPolicySerializer())


class BacktestedPolicySerializer(serializers.Serializer[Any]):
    regret = serializers.FloatField()
    regret_ratio = serializers.FloatField(allow_null=True)
    gain_over_even = serializers.FloatField()
    best_in_front = serializers.FloatField()


class BacktestReportSerializer(serializers.Serializer[Any]):
    tests = serializers.IntegerField()
    policies = serializers.DictField(child=BacktestedPolicySerializer())
