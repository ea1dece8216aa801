"""What the classic API takes and answers, field for field as its clients know it."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from experiments.api.fields import (
    BoundedListField,
    CountField,
    DayField,
    ExperimentReferenceField,
    NameField,
    StrictSerializer,
    TextField,
)
from experiments.models import MAX_VARIANTS, Experiment
from experiments.selectors import DailyRow


class CreateExperimentSerializer(StrictSerializer):
    name = NameField()
    description = TextField(required=False, allow_blank=True, default="", max_length=5000)


class VariantEventSerializer(StrictSerializer):
    variant_name = NameField()
    impressions = CountField()
    clicks = CountField()
    conversions = CountField(required=False, default=0)


class EventsSerializer(StrictSerializer):
    """One day of an experiment. One variant's fields may stand beside the date instead of in a list."""

    experiment_id = ExperimentReferenceField()
    date = DayField()
    variants = BoundedListField(child=VariantEventSerializer(), max_length=MAX_VARIANTS)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and "variants" not in data and "variant_name" in data:
            return FlatEventSerializer(context=self.context).run_validation(data)
        return super().to_internal_value(data)


class FlatEventSerializer(VariantEventSerializer):
    """A day of one variant."""

    experiment_id = ExperimentReferenceField()
    date = DayField()

    def to_internal_value(self, data: Any) -> Any:
        values = super().to_internal_value(data)
        place = {name: values.pop(name) for name in ("experiment_id", "date")}
        return {**place, "variants": [values]}


class PageSerializer(serializers.Serializer[Any]):
    """Of the plain list; a page stays small enough to answer at once."""

    limit = serializers.IntegerField(min_value=1, max_value=1000, default=100)
    offset = serializers.IntegerField(min_value=0, max_value=10**9, default=0)


class ClassicMetricSerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    variant_name = serializers.CharField()
    impressions = serializers.IntegerField()
    clicks = serializers.IntegerField()
    conversions = serializers.IntegerField()
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


# "errors" is the answer's own field here, which a class attribute of that name would hide from DRF.
UploadAnswerSerializer = inline_serializer(
    "UploadAnswer",
    {
        "status": serializers.CharField(help_text="success, or partial_success where rows were skipped."),
        "processed_rows": serializers.IntegerField(),
        "total_rows": serializers.IntegerField(),
        "errors": serializers.ListField(child=serializers.CharField(), help_text="The first 10."),
        "total_errors": serializers.IntegerField(),
        "experiment_ids": serializers.ListField(child=serializers.IntegerField()),
    },
)


class MessageSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()


def experiment_body(experiment: Experiment, rows: Iterable[DailyRow]) -> dict[str, object]:
    """Written by hand: a list of experiments with all their days goes through here."""
    return {
        "id": experiment.pk,
        "name": experiment.name,
        "description": experiment.description,
        "status": experiment.status,
        "created_at": experiment.created_at.isoformat(),
        "metrics": [
            {
                "date": date,
                "variant_name": name,
                "impressions": impressions,
                "clicks": clicks,
                "conversions": conversions,
                "ctr": clicks / impressions if impressions else 0.0,
            }
            for date, name, impressions, clicks, conversions in rows
        ],
    }
