"""Requests and answers of /api/v1/ about experiments and their data."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from experiments.api.fields import (
    BoundedListField,
    CountField,
    DayField,
    ExperimentReferenceField,
    NameField,
    StrictSerializer,
    TextField,
    TrueOrFalseField,
)
from experiments.metrics import COUNT_NAMES, COUNTS, Count, Reward
from experiments.models import MAX_VARIANTS, DailyMetric, Experiment, Status, Variant
from experiments.settings_schema import ALGORITHM_SETTINGS, AlgorithmSetting

MAX_BATCH_ROWS = 10_000


class SettingField(serializers.Field[Any, Any, Any, Any]):
    """One algorithm setting; null follows the installation's default."""

    def __init__(self, setting: AlgorithmSetting, **kwargs: Any) -> None:
        super().__init__(help_text=f"{setting.meaning}; {setting.range_text}.", **kwargs)
        self.setting = setting

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, float) and self.setting.is_whole and data.is_integer():
            data = int(data)
        if problem := self.setting.problem(data):
            raise serializers.ValidationError(f"{self.setting.name} {problem}.", code="out_of_range")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


def _setting_schema(setting: AlgorithmSetting) -> dict[str, Any]:
    if setting.is_switch:
        return {"type": "boolean"}
    schema: dict[str, Any] = {"type": "integer" if setting.is_whole else "number"}
    schema |= {"minimum": setting.low, "maximum": setting.high}
    if setting.low_open:
        schema["exclusiveMinimum"] = True
    if setting.default is None:
        schema["nullable"] = True
    return schema


def _settings_fields(**options: Any) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """Return a field for each setting, documented with its own range."""
    fields: dict[str, serializers.Field[Any, Any, Any, Any]] = {}
    for name, setting in ALGORITHM_SETTINGS.items():
        documented = extend_schema_field(_setting_schema(setting))(type(f"{name}_field", (SettingField,), {}))
        fields[name] = documented(setting, **options)
    return fields


SettingsSerializer = type(
    "SettingsSerializer",
    (StrictSerializer,),
    {"__doc__": "The experiment's own settings.", **_settings_fields(required=False, allow_null=True)},
)
SettingsInForceSerializer = type(
    "SettingsInForceSerializer",
    (serializers.Serializer,),
    {"__doc__": "What is used: its own where set, else the installation's.", **_settings_fields()},
)


class NewVariantSerializer(StrictSerializer):
    name = NameField()
    is_control = TrueOrFalseField(required=False, default=False)


class VariantChangeSerializer(StrictSerializer):
    name = NameField(required=False)
    is_active = TrueOrFalseField(required=False, help_text="false retires the variant; its data stays.")
    is_control = TrueOrFalseField(required=False, help_text="true moves the control here, in a draft.")


class VariantSerializer(serializers.ModelSerializer[Variant]):
    class Meta:
        model = Variant
        fields = ("id", "key", "name", "is_control", "is_active", "created_at")


class NewExperimentSerializer(StrictSerializer):
    name = NameField()
    description = TextField(required=False, allow_blank=True, default="", max_length=5000)
    reward = serializers.ChoiceField(Reward.choices, required=False, default=Reward.CTR)
    status = serializers.ChoiceField(
        [(Status.DRAFT.value, "Draft"), (Status.ACTIVE.value, "Active")], required=False, default=Status.DRAFT
    )
    variants = NewVariantSerializer(many=True, required=False, default=list)
    settings = SettingsSerializer(required=False, default=dict)


class ExperimentChangeSerializer(StrictSerializer):
    name = NameField(required=False)
    description = TextField(required=False, allow_blank=True, max_length=5000)
    reward = serializers.ChoiceField(Reward.choices, required=False, help_text="Changes only in a draft.")
    settings = SettingsSerializer(required=False)


class ExperimentReplacementSerializer(ExperimentChangeSerializer):
    name = NameField()


class CompleteSerializer(StrictSerializer):
    winner = NameField(required=False, allow_null=True, default=None, help_text="A variant's name or key.")


class ExperimentSerializer(serializers.ModelSerializer[Experiment]):
    winner = serializers.SerializerMethodField(
        help_text="The winning variant's key, once completed with one."
    )
    variants = VariantSerializer(many=True)
    settings = serializers.SerializerMethodField()
    settings_in_force = serializers.SerializerMethodField()

    class Meta:
        model = Experiment
        fields = (
            "id",
            "key",
            "name",
            "description",
            "status",
            "reward",
            "winner",
            "variants",
            "settings",
            "settings_in_force",
            "archived_at",
            "created_at",
            "updated_at",
        )

    def get_winner(self, experiment: Experiment) -> str | None:
        return next((v.key for v in experiment.variants.all() if v.pk == experiment.winner_id), None)

    @extend_schema_field(SettingsSerializer)
    def get_settings(self, experiment: Experiment) -> dict[str, Any]:
        return experiment.own_settings()

    @extend_schema_field(SettingsInForceSerializer)
    def get_settings_in_force(self, experiment: Experiment) -> dict[str, Any]:
        return experiment.merged_settings()


class MetricSerializer(serializers.ModelSerializer[DailyMetric]):
    variant_key = serializers.CharField(source="variant.key")
    variant_name = serializers.CharField(source="variant.name")

    class Meta:
        model = DailyMetric
        fields = ("date", "variant_key", "variant_name", *COUNT_NAMES, "updated_at")


def _count_field(count: Count) -> CountField:
    return CountField(required=False, default=0) if count.optional else CountField()


class VariantCountsSerializer(StrictSerializer):
    variant_name = NameField()
    # a class body's fields are its variables
    vars().update({count.name: _count_field(count) for count in COUNTS})


class EventRowSerializer(VariantCountsSerializer):
    experiment_id = ExperimentReferenceField()
    date = DayField()


class NewVariantsField(serializers.ChoiceField):
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

    mode = serializers.ChoiceField(["set", "add"], required=False, default="set")
    new_variants = NewVariantsField()
    rows = BoundedListField(child=EventRowSerializer(), max_length=MAX_BATCH_ROWS)


class EventDaySerializer(StrictSerializer):
    """One day of one experiment. ``add`` needs an Idempotency-Key."""

    mode = serializers.ChoiceField(["set", "add"], required=False, default="set")
    new_variants = NewVariantsField()
    experiment_id = ExperimentReferenceField()
    date = DayField()
    variants = BoundedListField(child=VariantCountsSerializer(), max_length=MAX_VARIANTS)


class RecordedSerializer(serializers.Serializer[Any]):
    rows = serializers.IntegerField()
    new_variants = serializers.IntegerField(help_text="How many variants were made.")
    experiments = serializers.IntegerField()
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
    encoding = serializers.CharField(help_text="The encoding, where it had to be guessed; else empty.")


class CsvOptionsSerializer(serializers.Serializer[Any]):
    """Choices of an upload, in the query or as fields of the form."""

    on_error = serializers.ChoiceField(
        ["reject", "skip"],
        required=False,
        default="reject",
        help_text="reject: a bad row rejects the file; skip: the good rows are recorded.",
    )
    blank = serializers.ChoiceField(
        ["refuse", "skip", "zero"],
        required=False,
        default="refuse",
        help_text="A blank cell in a column that the file has: a problem, a row that is left out, or 0.",
    )
    repeated = serializers.ChoiceField(
        ["refuse", "sum"],
        required=False,
        default="refuse",
        help_text="Rows of one experiment, date and variant: a problem, or parts to be added up.",
    )
    new_variants = NewVariantsField()
    sheet = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=100,
        help_text="A sheet of a workbook; without it the first.",
    )
