"""Requests and answers of the classic API, field for field as its clients know them."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from experiments.api.fields import (
    AmountField,
    BoundedListField,
    DayField,
    ExperimentReferenceField,
    NameField,
    QueryNumberField,
    StrictSerializer,
    TextField,
    amount_as_json,
)
from experiments.api.v1.event_schemas import VariantCountsSerializer
from experiments.metrics import COUNT_NAMES, DailyCounts, Reward
from experiments.models import MAX_VARIANTS, Experiment

_PLAIN_FIELDS = ("date", "variant_name", *COUNT_NAMES)


class CreateExperimentSerializer(StrictSerializer):
    name = NameField()
    description = TextField(required=False, allow_blank=True, default="", max_length=5000)


class VariantEventSerializer(VariantCountsSerializer):
    """One variant's day."""


class EventsSerializer(StrictSerializer):
    """One day of an experiment."""

    experiment_id = ExperimentReferenceField()
    date = DayField()
    variants = BoundedListField(child=VariantEventSerializer(), max_length=MAX_VARIANTS)


class FlatEventSerializer(VariantEventSerializer):
    """A day of one variant."""

    experiment_id = ExperimentReferenceField()
    date = DayField()


class PageSerializer(serializers.Serializer[Any]):
    """Limits of the plain list: a page stays small enough to answer at once."""

    limit = QueryNumberField(min_value=1, max_value=1000, default=100)
    offset = QueryNumberField(min_value=0, max_value=10**9, default=0)


class ClassicMetricSerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    variant_name = serializers.CharField()
    vars().update({name: serializers.IntegerField() for name in COUNT_NAMES})
    value_sum = AmountField(required=False, help_text="Only where the experiment has values.")
    value_squares = serializers.FloatField(required=False, help_text="Only where the experiment has values.")
    ctr = serializers.FloatField(help_text="Clicks per impression; 0 without impressions.")


class ClassicExperimentSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    status = serializers.CharField()
    created_at = serializers.DateTimeField()
    metrics = ClassicMetricSerializer(many=True)


class EventsAnswerSerializer(serializers.Serializer[Any]):
    status = serializers.CharField(help_text="Always success.")
    variants_processed = serializers.IntegerField()
    new_variants = serializers.ListField(
        child=serializers.CharField(), help_text="Names of the variants that were made."
    )


# A class attribute named "errors", a field of this answer, would hide DRF's own.
UploadAnswerSerializer = inline_serializer(
    "UploadAnswer",
    {
        "status": serializers.CharField(
            help_text="success; partial_success where rows were skipped; error where nothing was loaded."
        ),
        "processed_rows": serializers.IntegerField(),
        "total_rows": serializers.IntegerField(),
        "errors": serializers.ListField(child=serializers.CharField(), help_text="The first 10."),
        "total_errors": serializers.IntegerField(),
        "experiment_ids": serializers.ListField(child=serializers.IntegerField()),
        "new_variants": serializers.ListField(
            child=serializers.CharField(), help_text="Names of the variants that were made."
        ),
        "values_capped": serializers.IntegerField(
            help_text="Single orders above the experiment's value_cap, which count as the cap."
        ),
        "ignored_columns": serializers.ListField(
            child=serializers.CharField(), help_text="Columns of the file that are not needed."
        ),
    },
)


class MessageSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()


def experiment_body(experiment: Experiment, rows: Iterable[DailyCounts]) -> dict[str, object]:
    """Build the answer by hand: a list of experiments with all their days goes through here.

    Values are in it only where the experiment has some: older clients see what they always saw.
    """
    days = list(rows)
    has_values = any(day.value_sum or day.value_squares for day in days)
    return {
        "id": experiment.pk,
        "name": experiment.name,
        "description": experiment.description,
        "status": experiment.status,
        "created_at": experiment.created_at.isoformat(),
        "metrics": [_metric(row, has_values) for row in days],
    }


def _metric(row: DailyCounts, has_values: bool) -> dict[str, object]:
    values = {"value_sum": amount_as_json(row.totals.value_sum), "value_squares": row.totals.value_squares}
    plain: dict[str, object] = dict(zip(_PLAIN_FIELDS, row, strict=False))
    return plain | (values if has_values else {}) | {"ctr": _ctr(row)}


def _ctr(row: DailyCounts) -> float:
    trials = Reward.CTR.trials(row)
    return Reward.CTR.successes(row) / trials if trials else 0.0
