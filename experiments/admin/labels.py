"""Words of the admin for models and their fields, translated. They belong to pages, not to the schema: a changed word
needs no migration, and the API's document does not change with it.
"""

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from experiments.campaign.models import Guard, Note
from experiments.metrics import MEASURES
from experiments.models import DailyMetric, Experiment, Variant
from experiments.settings_schema import ALGORITHM_SETTINGS
from experiments.text import Text


def name_in_admin(model: type[models.Model], one: Text, many: Text, fields: Mapping[str, Text]) -> None:
    """Name a model and its fields."""
    meta: Any = model._meta
    meta.verbose_name, meta.verbose_name_plural = one, many
    for name, label in fields.items():
        field: Any = meta.get_field(name)
        field.verbose_name = label


name_in_admin(
    Experiment,
    _("experiment"),
    _("experiments"),
    {
        "key": _("key"),
        "name": _("name"),
        "description": _("hypothesis"),
        "status": _("stage"),
        "reward": _("goal metric"),
        "winner": _("winner"),
        "decision_reason": _("reason of the decision"),
        "data_version": _("data version"),
        "created_at": _("created"),
        "updated_at": _("last changed"),
        "owner": _("owner"),
        "tags": _("tags"),
        "currency": _("currency"),
        "value_cap": _("value cap"),
        "fixed_variants": _("variants are fixed"),
        "starts_at": _("starts"),
        "ends_at": _("ends"),
        "on_end": _("at the end"),
        "on_end_variant": _("variant at the end"),
        "complete_when_decided": _("end once ready to decide"),
        **{name: setting.label for name, setting in ALGORITHM_SETTINGS.items()},
    },
)
name_in_admin(
    Variant,
    _("variant"),
    _("variants"),
    {
        "key": _("key"),
        "name": _("name"),
        "is_control": _("is the control"),
        "is_active": _("is active"),
    },
)
name_in_admin(
    DailyMetric,
    _("daily total"),
    _("daily totals"),
    {"variant": _("variant"), "date": _("date"), **{measure.name: measure.label for measure in MEASURES}},
)
name_in_admin(Note, _("note"), _("notes"), {"date": _("date"), "text": _("text"), "author": _("author")})
name_in_admin(
    Guard,
    _("guard"),
    _("guards"),
    {
        "metric": _("metric"),
        "max_fall": _("largest fall"),
        "action": _("what it does"),
    },
)
