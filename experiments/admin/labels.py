"""Words of the admin for models and their fields, translated. They belong to pages, not to the schema: a changed word
needs no migration, and the API's document does not change with it.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from django.db import models
from django.utils.translation import gettext_lazy as _

from experiments.campaign.models import Guard, Note
from experiments.metrics import MEASURES
from experiments.models import DailyMetric, Experiment, Variant
from experiments.settings_schema import ALGORITHM_SETTINGS
from experiments.text import Text

# A label, or a label and a help text.
Words: TypeAlias = "Text | tuple[Text, Text]"


def name_in_admin(model: type[models.Model], one: Text, many: Text, fields: "Mapping[str, Words]") -> None:
    """Name a model, and its fields with or without a help text."""
    meta: Any = model._meta
    meta.verbose_name, meta.verbose_name_plural = one, many
    for name, words in fields.items():
        field: Any = meta.get_field(name)
        field.verbose_name, help_text = words if isinstance(words, tuple) else (words, "")
        field.help_text = help_text or field.help_text


name_in_admin(
    Experiment,
    _("experiment"),
    _("experiments"),
    {
        "key": (_("key"), _("Names the experiment in URLs; never changes.")),
        "name": _("name"),
        "description": _("hypothesis"),
        "status": _("stage"),
        "reward": _("goal metric"),
        "winner": _("winner"),
        "decision_reason": (_("reason of the decision"), _("Why it was ended as it was.")),
        "data_version": _("data version"),
        "created_at": _("created"),
        "updated_at": _("last changed"),
        "owner": (_("owner"), _("The person or team to ask.")),
        "tags": (_("tags"), _("Words, with a space between them.")),
        "currency": (_("currency"), _("What values are counted in, such as EUR.")),
        "value_cap": (_("value cap"), _("Single values above it count as this much, for every variant.")),
        "fixed_variants": (
            _("variants are fixed"),
            _("Data of a variant that is not known yet are refused."),
        ),
        "starts_at": _("starts"),
        "ends_at": _("ends"),
        "on_end": (_("at the end"), _("What happens when the end has come.")),
        "on_end_variant": (
            _("variant at the end"),
            _("Gets all traffic at the end, where a variant is chosen for it."),
        ),
        "complete_when_decided": (
            _("end once ready to decide"),
            _("Ends by itself, with the leader, once it is ready to decide."),
        ),
        **{name: (setting.label, setting.help) for name, setting in ALGORITHM_SETTINGS.items()},
    },
)
name_in_admin(
    Variant,
    _("variant"),
    _("variants"),
    {
        "key": (_("key"), _("The first name; never changes.")),
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
        "max_fall": (_("largest fall"), _("Percent of the control's, above 0 and below 100.")),
        "action": _("what it does"),
    },
)
