"""Requests and answers of /api/v1/ about experiments and their data."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from experiments.api.fields import (
    AmountField,
    DayField,
    MomentField,
    NameField,
    NumberField,
    OneOfField,
    StrictSerializer,
    TagsField,
    TextField,
    TrueOrFalseField,
)
from experiments.campaign.ending import undo_until
from experiments.campaign.models import (
    CAMPAIGN_FIELDS,
    CURRENCY_LENGTH,
    NOTE_LENGTH,
    OWNER_LENGTH,
    REASON_LENGTH,
    End,
    Guard,
    GuardAction,
    Note,
)
from experiments.metrics import Reward
from experiments.models import Experiment, Status, Variant
from experiments.settings_schema import ALGORITHM_SETTINGS, AlgorithmSetting


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
    is_active = TrueOrFalseField(required=False, help_text="false deactivates the variant; its data stay.")
    is_control = TrueOrFalseField(required=False, help_text="true moves the control here, in a draft.")


class VariantSerializer(serializers.ModelSerializer[Variant]):
    class Meta:
        model = Variant
        fields = ("id", "key", "name", "is_control", "is_active", "created_at")


class CampaignSerializer(StrictSerializer):
    """Who owns an experiment, how it is found, and when it starts and ends."""

    owner = TextField(
        required=False, allow_blank=True, max_length=OWNER_LENGTH, help_text="The person or team to ask."
    )
    tags = TagsField(required=False)
    currency = TextField(
        required=False,
        allow_blank=True,
        max_length=CURRENCY_LENGTH,
        help_text="A word for what values are counted in, such as EUR.",
    )
    value_cap = AmountField(
        required=False,
        allow_null=True,
        help_text="Single values above it count as this much, for every variant; null: none.",
    )
    fixed_variants = TrueOrFalseField(
        required=False, help_text="true: rows of a variant that is not known yet are refused."
    )
    starts_at = MomentField(required=False, allow_null=True)
    ends_at = MomentField(required=False, allow_null=True, help_text="After `starts_at`.")
    on_end = OneOfField(
        End.choices, required=False, help_text="What happens at `ends_at`; `variant` needs `on_end_variant`."
    )
    on_end_variant = NameField(required=False, allow_null=True, help_text="A variant's name or key.")
    complete_when_decided = TrueOrFalseField(required=False)


class NewExperimentSerializer(CampaignSerializer):
    name = NameField()
    description = TextField(required=False, allow_blank=True, default="", max_length=5000)
    reward = OneOfField(Reward.choices, required=False, default=Reward.CTR)
    status = OneOfField(
        [(Status.DRAFT.value, "Draft"), (Status.ACTIVE.value, "Active")], required=False, default=Status.DRAFT
    )
    variants = NewVariantSerializer(
        many=True, required=False, default=list, error_messages={"not_a_list": "Must be a list of objects."}
    )
    settings = SettingsSerializer(required=False, default=dict)


class ExperimentChangeSerializer(CampaignSerializer):
    name = NameField(required=False)
    description = TextField(required=False, allow_blank=True, max_length=5000)
    reward = OneOfField(Reward.choices, required=False, help_text="Changes only in a draft.")
    settings = SettingsSerializer(required=False)


class ExperimentReplacementSerializer(ExperimentChangeSerializer):
    name = NameField()


class CompleteSerializer(StrictSerializer):
    winner = NameField(required=False, allow_null=True, default=None, help_text="A variant's name or key.")
    decision_reason = TextField(
        required=False,
        allow_blank=True,
        default="",
        max_length=REASON_LENGTH,
        help_text="Why it ends like this.",
    )


class ExperimentSerializer(serializers.ModelSerializer[Experiment]):
    winner = serializers.SerializerMethodField(
        help_text="The winning variant's key, once completed with one."
    )
    tags = serializers.ListField(source="tag_list", child=serializers.CharField())
    value_cap = AmountField(allow_null=True)
    on_end_variant = serializers.SerializerMethodField(help_text="The variant's key.")
    completed_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was ended; null while it is not."
    )
    completed_by = serializers.CharField(
        help_text="A login or an API key, `no login` where neither was asked for; blank where it ended by itself or "
        "by a command."
    )
    undo_until = serializers.SerializerMethodField(help_text="Until then its end can be undone.")
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
            "decision_reason",
            "completed_at",
            "completed_by",
            "undo_until",
            *CAMPAIGN_FIELDS,
            "variants",
            "settings",
            "settings_in_force",
            "archived_at",
            "created_at",
            "updated_at",
        )

    def get_winner(self, experiment: Experiment) -> str | None:
        return _key_of(experiment, experiment.winner_id)

    def get_on_end_variant(self, experiment: Experiment) -> str | None:
        return _key_of(experiment, experiment.on_end_variant_id)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_undo_until(self, experiment: Experiment) -> str | None:
        until = undo_until(experiment)
        return None if until is None else serializers.DateTimeField().to_representation(until)

    @extend_schema_field(SettingsSerializer)
    def get_settings(self, experiment: Experiment) -> dict[str, Any]:
        return experiment.own_settings()

    @extend_schema_field(SettingsInForceSerializer)
    def get_settings_in_force(self, experiment: Experiment) -> dict[str, Any]:
        return experiment.merged_settings()


def _key_of(experiment: Experiment, variant_id: int | None) -> str | None:
    return next((v.key for v in experiment.variants.all() if v.pk == variant_id), None)


class NewNoteSerializer(StrictSerializer):
    date = DayField(help_text="The day that the note is about; past or coming.")
    text = TextField(max_length=NOTE_LENGTH, help_text="Such as: the summer sale begins.")


class NoteSerializer(serializers.ModelSerializer[Note]):
    class Meta:
        model = Note
        fields = ("id", "date", "text", "author", "created_at")


class GuardChangeSerializer(StrictSerializer):
    metric = OneOfField(Reward.choices, required=False, help_text="The ratio that must not fall.")
    max_fall = NumberField(
        min_value=0,
        max_value=100,
        required=False,
        help_text="Percent of the control's, above 0 and below 100.",
    )
    action = OneOfField(
        GuardAction.choices, required=False, help_text="`act` gives the control all traffic, `tell` notifies."
    )


class NewGuardSerializer(GuardChangeSerializer):
    metric = OneOfField(Reward.choices, help_text="The ratio that must not fall.")
    max_fall = NumberField(
        min_value=0, max_value=100, help_text="Percent of the control's, above 0 and below 100."
    )
    action = OneOfField(
        GuardAction.choices,
        required=False,
        default=GuardAction.TELL,
        help_text="`act` gives the control all traffic, `tell` notifies.",
    )


class GuardSerializer(serializers.ModelSerializer[Guard]):
    class Meta:
        model = Guard
        fields = ("id", "metric", "max_fall", "action", "created_at")
