"""Requests and answers of the rule set, of counting and of OFREP."""

from typing import Any

from pydantic_core import core_schema
from rest_framework import serializers

from experiments.api.fields import (
    AmountsField,
    BoundedListField,
    CountField,
    DayField,
    ExperimentReferenceField,
    NameField,
    StrictSerializer,
    TextField,
)
from experiments.metrics import COUNTS
from serving.ofrep import LONGEST_TARGETING_KEY

MAX_INCREMENTS = 1_000


class _MemberField(TextField):
    """A header's value as a member of the body."""

    exact = core_schema.str_schema(strict=True, max_length=255)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=255, **kwargs)


class IncrementSerializer(StrictSerializer):
    experiment = ExperimentReferenceField(help_text="The experiment's key, or its id.")
    variant = NameField(help_text="The variant's key, or its name; an unknown one is refused.")
    day = DayField(help_text="The day of the visitor's exposure, in the rule set's time zone.")
    # a class body's fields are its variables
    vars().update({count.name: CountField(required=False, default=0) for count in COUNTS})
    values = AmountsField(
        required=False,
        help_text="Single values, which the service adds up. Without `conversions` each is one.",
    )


class CountsSerializer(StrictSerializer):
    """Increments to add, one for each experiment, variant and day."""

    increments = BoundedListField(
        child=IncrementSerializer(), max_length=MAX_INCREMENTS, help_text="All are added, or none."
    )
    # sendBeacon sets no headers; the view has moved them there before the body is read.
    api_key = _MemberField(
        required=False, help_text="A key, where the request can have no headers (sendBeacon)."
    )
    idempotency_key = _MemberField(
        required=False, help_text="The Idempotency-Key, where there can be no headers."
    )


class CountedSerializer(serializers.Serializer[Any]):
    increments = serializers.IntegerField(help_text="How many were added.")
    experiments = serializers.IntegerField()
    values_capped = serializers.IntegerField(help_text="Single values that were above the experiment's cap.")


class ServedExperimentSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="The experiment's key.")
    status = serializers.ChoiceField(["active", "paused", "completed"])
    allocation = serializers.IntegerField(
        allow_null=True, help_text="The decision's id; null before the first, the split is then even."
    )
    shares = serializers.DictField(
        child=serializers.IntegerField(), help_text="By variant key, in 1/10,000 of the traffic."
    )
    target_date = serializers.DateField(allow_null=True, help_text="The day that was decided for.")
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="When a newer decision is due. The shares may be used after it."
    )
    fallback = serializers.CharField(
        allow_null=True, help_text="The variant to show where the shares cannot be used."
    )
    counts = serializers.BooleanField(help_text="Whether counts are taken.")


class RuleSetSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="Of this format: 1.")
    date = serializers.DateField(help_text="Today, in the time zone: exposures of now count on it.")
    time_zone = serializers.CharField(help_text="The installation's, as IANA names it.")
    experiments = ServedExperimentSerializer(many=True)


class ContextSerializer(serializers.Serializer[Any]):
    """Any other attributes are taken and ignored."""

    targetingKey = serializers.RegexField(  # noqa: N815 (the protocol's name)
        r"\S", min_length=1, max_length=LONGEST_TARGETING_KEY, help_text="The visitor's id; not blank."
    )


class EvaluationRequestSerializer(serializers.Serializer[Any]):
    # a class body's fields are its variables; serializers have a context of their own
    vars().update({"context": ContextSerializer(help_text="Who is to be served.")})


class EvaluationMetadataSerializer(serializers.Serializer[Any]):
    """Facts that are not known are left out: before the first decision only `experiment` and `share` are there."""

    experiment = serializers.CharField(help_text="The experiment's key.")
    allocation = serializers.IntegerField(required=False, help_text="The decision's id.")
    share = serializers.FloatField(help_text="The chance that a visitor had of this variant.")
    targetDate = serializers.DateField(  # noqa: N815 (the protocol's way)
        required=False, help_text="The day that was decided for."
    )
    expiresAt = serializers.DateTimeField(  # noqa: N815 (the protocol's way)
        required=False, help_text="When the next decision is due. The answer may be used after it."
    )


class EvaluationSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="The flag: the experiment's key.")
    value = serializers.CharField(help_text="The variant's key.")
    variant = serializers.CharField(help_text="The variant's key.")
    reason = serializers.ChoiceField(["SPLIT", "STATIC"], help_text="STATIC: everybody gets this variant.")
    metadata = EvaluationMetadataSerializer(help_text="Where the answer comes from.")


class EvaluationsSerializer(serializers.Serializer[Any]):
    flags = EvaluationSerializer(many=True, help_text="One for each live experiment.")
