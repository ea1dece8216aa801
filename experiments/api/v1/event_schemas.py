"""Requests and answers of /api/v1/ about the days of an experiment: events, rows and files."""

from collections.abc import Callable
from typing import Any

from rest_framework import serializers

from experiments.api.fields import (
    AmountField,
    AmountsField,
    BoundedListField,
    CountField,
    DayField,
    ExperimentReferenceField,
    NameField,
    OneOfField,
    SquaresField,
    StrictSerializer,
)
from experiments.metrics import COUNTS, MEASURE_NAMES, MEASURES, Kind, Measure
from experiments.models import MAX_VARIANTS, DailyMetric

MAX_BATCH_ROWS = 10_000
MODES = ("set", "add")
INCREMENT_MODES = ("add",)


class MetricSerializer(serializers.ModelSerializer[DailyMetric]):
    variant_key = serializers.CharField(source="variant.key")
    variant_name = serializers.CharField(source="variant.name")
    value_sum = AmountField()

    class Meta:
        model = DailyMetric
        fields = ("date", "variant_key", "variant_name", *MEASURE_NAMES, "updated_at")


_FIELDS: dict[Kind, Callable[..., serializers.Field[Any, Any, Any, Any]]] = {
    Kind.WHOLE: CountField,
    Kind.AMOUNT: AmountField,
    Kind.SQUARES: SquaresField,
}
_HELP = {
    "value_sum": "What the conversions were worth, added up; needs `value_squares`. Left out, what is stored stays.",
    "value_squares": "The sum of the squares of the single values: for 12.5 and 30 it is 1056.25.",
}


def _measure_field(
    measure: Measure, *, is_optional: bool | None = None
) -> serializers.Field[Any, Any, Any, Any]:
    """Build a number's field. Counts that are left out are 0; values that are left out stay as they are stored."""
    given: dict[str, Any] = {"help_text": _HELP.get(measure.name)}
    if measure.optional if is_optional is None else is_optional:
        given |= {"required": False, "default": 0 if measure.kind is Kind.WHOLE else None}
    return _FIELDS[measure.kind](**given)


class VariantCountsSerializer(StrictSerializer):
    variant_name = NameField()
    # a class body's fields are its variables
    vars().update({measure.name: _measure_field(measure) for measure in MEASURES})


class VariantDaySerializer(VariantCountsSerializer):
    values = AmountsField(
        required=False,
        help_text="In mode `add`: single values, which the service adds up. Without `conversions` each is one.",
    )


class EventRowSerializer(VariantDaySerializer):
    experiment_id = ExperimentReferenceField()
    date = DayField()


class VariantIncrementsSerializer(VariantDaySerializer):
    """Increments of a variant's day; a number that is left out adds nothing."""

    vars().update({count.name: _measure_field(count, is_optional=True) for count in COUNTS})


class IncrementsRowSerializer(VariantIncrementsSerializer):
    experiment_id = ExperimentReferenceField()
    date = DayField()


class NewVariantsField(OneOfField):
    """A choice: a name that is no variant of the experiment makes one, or is refused."""

    def __init__(self) -> None:
        super().__init__(
            ["create", "refuse"],
            required=False,
            default="create",
            help_text="refuse: a name that is no variant of the experiment is refused, so a slip makes none.",
        )


class EventBatchSerializer(StrictSerializer):
    """Rows of any experiments and days. ``add`` needs an Idempotency-Key."""

    mode = OneOfField(MODES, required=False, default="set")
    new_variants = NewVariantsField()
    rows = BoundedListField(child=EventRowSerializer(), max_length=MAX_BATCH_ROWS)


class EventDaySerializer(StrictSerializer):
    """One day of one experiment. ``add`` needs an Idempotency-Key."""

    mode = OneOfField(MODES, required=False, default="set")
    new_variants = NewVariantsField()
    experiment_id = ExperimentReferenceField()
    date = DayField()
    variants = BoundedListField(child=VariantDaySerializer(), max_length=MAX_VARIANTS)


class IncrementsBatchSerializer(EventBatchSerializer):
    """Increments of any experiments and days."""

    mode = OneOfField(INCREMENT_MODES)
    rows = BoundedListField(child=IncrementsRowSerializer(), max_length=MAX_BATCH_ROWS)


class IncrementsDaySerializer(EventDaySerializer):
    """Increments of one day of one experiment."""

    mode = OneOfField(INCREMENT_MODES)
    variants = BoundedListField(child=VariantIncrementsSerializer(), max_length=MAX_VARIANTS)


class RecordedSerializer(serializers.Serializer[Any]):
    rows = serializers.IntegerField()
    new_variants = serializers.IntegerField(help_text="How many variants were made.")
    experiments = serializers.IntegerField()
    values_capped = serializers.IntegerField(help_text="Single values that were above the experiment's cap.")
    new_variant_names = serializers.ListField(child=serializers.CharField(), help_text="Their names.")


class CsvIssueSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    column = serializers.CharField()
    message = serializers.CharField()


class CsvReportSerializer(serializers.Serializer[Any]):
    total_rows = serializers.IntegerField()
    processed_rows = serializers.IntegerField()
    total_issues = serializers.IntegerField()
    issues = CsvIssueSerializer(many=True)
    experiment_ids = BoundedListField(child=serializers.IntegerField())
    new_variants = serializers.ListField(
        child=serializers.CharField(), help_text="Names of the variants that were made."
    )
    ignored_columns = serializers.ListField(
        child=serializers.CharField(), help_text="Columns of the file that are not needed."
    )
    blank_rows_skipped = serializers.IntegerField(help_text="Rows left out by blank=skip.")
    date_order = serializers.CharField(
        help_text="day_first or month_first, where dates such as 01/11/2026 were read in that order; else empty."
    )
    date_order_shown_by = serializers.CharField(
        help_text="The date of the file that can be read in date_order alone, where it shows the order; else empty."
    )
    encoding = serializers.CharField(help_text="The encoding, where it had to be guessed; else empty.")
    has_orders = serializers.BooleanField(
        help_text="True for a file of single orders, which were added up by variant and day."
    )
    values_capped = serializers.IntegerField(
        help_text="Single orders above the experiment's value_cap, which count as the cap."
    )


class CsvOptionsSerializer(serializers.Serializer[Any]):
    """Choices of an upload, in the query or as fields of the form."""

    on_error = OneOfField(
        ["reject", "skip"],
        required=False,
        default="reject",
        help_text="reject: a bad row rejects the file; skip: the good rows are recorded.",
    )
    blank = OneOfField(
        ["refuse", "skip", "zero"],
        required=False,
        default="refuse",
        help_text="A blank cell in a column that the file has: a problem, a row that is left out, or 0.",
    )
    repeated = OneOfField(
        ["refuse", "sum"],
        required=False,
        default="refuse",
        help_text="Rows of one experiment, date and variant: a problem, or parts to be added up.",
    )
    new_variants = NewVariantsField()
    date_order = OneOfField(
        ["detect", "day_first", "month_first"],
        required=False,
        default="detect",
        help_text="How dates such as 01/11/2026 are meant. detect: as the file's other dates show; else refused.",
    )
    sheet = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=100,
        help_text="A sheet of a workbook; without it the first.",
    )
