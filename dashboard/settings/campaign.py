"""The campaign's fields of an experiment's form: owner, tags, schedule, how it ends, and how values are counted."""

import datetime as dt
from typing import Any, cast

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.formatting import format_moment
from experiments.campaign.models import CURRENCY_LENGTH, OWNER_LENGTH, TAGS_LENGTH, End
from experiments.metrics import VALUE_PLACES
from experiments.models import Experiment, Status
from experiments.tables.number_fields import PlainDecimalField
from experiments.text import format_exact

_GOAL_FIELDS = ("currency", "value_cap", "fixed_variants")
_CAMPAIGN_FIELDS = (
    "owner", "tags", "starts_at", "ends_at", "on_end", "on_end_variant", "complete_when_decided",
)  # fmt: skip
_MOMENTS = ("starts_at", "ends_at")
_NAMES = (*_GOAL_FIELDS, *_CAMPAIGN_FIELDS)
_MINUTES = "%Y-%m-%dT%H:%M"


def _text(label: Any, help_text: Any, length: int) -> forms.CharField:
    widget = forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"})
    return forms.CharField(required=False, max_length=length, label=label, help_text=help_text, widget=widget)


def _moment(label: Any) -> forms.DateTimeField:
    widget = forms.DateTimeInput(format=_MINUTES, attrs={"class": "form-control", "type": "datetime-local"})
    return forms.DateTimeField(
        required=False, label=label, widget=widget, input_formats=[_MINUTES, "%Y-%m-%dT%H:%M:%S"]
    )


def _check(label: Any, help_text: Any) -> forms.BooleanField:
    widget = forms.CheckboxInput(attrs={"class": "form-check-input"})
    return forms.BooleanField(required=False, label=label, help_text=help_text, widget=widget)


class CampaignFields(forms.Form):
    """The fields, blank for an experiment of which nothing has been said."""

    # A form without these fields, such as that of a new experiment, changes none of them.
    campaign = forms.CharField(required=False, initial="1", widget=forms.HiddenInput)
    currency = _text(
        gettext_lazy("Currency"), gettext_lazy("What values are counted in, such as EUR."), CURRENCY_LENGTH
    )
    value_cap = PlainDecimalField(
        required=False,
        decimal_places=VALUE_PLACES,
        max_digits=20,
        label=gettext_lazy("Value cap"),
        help_text=gettext_lazy(
            "Single values above it count as this much, for every variant. Blank: no cap."
        ),
        widget=forms.NumberInput(attrs={"class": "form-control", "step": "any"}),
    )
    fixed_variants = _check(
        gettext_lazy("Variants are fixed"),
        gettext_lazy("Data of a variant that is not known yet is refused instead of adding it."),
    )
    owner = _text(gettext_lazy("Owner"), gettext_lazy("The person or team to ask."), OWNER_LENGTH)
    tags = _text(gettext_lazy("Tags"), gettext_lazy("Words with a space between them."), TAGS_LENGTH)
    starts_at = _moment(gettext_lazy("Starts"))
    ends_at = _moment(gettext_lazy("Ends"))
    on_end = forms.ChoiceField(
        required=False,
        choices=End.choices,
        label=gettext_lazy("At the end"),
        help_text=gettext_lazy(
            "The control takes the leader's place while traffic does not match or a guard warns."
        ),
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    on_end_variant = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Variant at the end"),
        help_text=gettext_lazy("For “A chosen variant gets all traffic”."),
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    complete_when_decided = _check(
        gettext_lazy("Ends by itself once ready to decide"),
        gettext_lazy("The leader then gets all traffic, unless traffic does not match or a guard warns."),
    )

    def offer(self, experiment: Experiment) -> None:
        """Fill in what the experiment has, and offer its variants."""
        names = [(v.key, v.name) for v in experiment.variants.all() if v.is_active]
        cast(forms.ChoiceField, self.fields["on_end_variant"]).choices = [("", "–"), *names]
        self.initial.update({name: getattr(experiment, name) for name in _NAMES})
        at_end = next((v for v in experiment.variants.all() if v.pk == experiment.on_end_variant_id), None)
        self.initial["on_end_variant"] = at_end.key if at_end else ""
        for name in _MOMENTS:
            self.initial[name] = _whole_minute(getattr(experiment, name))
        self._name_zone()

    def offer_new(self) -> None:
        """Prepare the fields for an experiment that does not exist yet: a variant at its end is chosen later."""
        ways = [(value, label) for value, label in End.choices if value != End.VARIANT]
        cast(forms.ChoiceField, self.fields["on_end"]).choices = ways
        self._name_zone()

    def _name_zone(self) -> None:
        zone = _("Time zone: %(zone)s.") % {"zone": settings.TIME_ZONE}
        self.fields["starts_at"].help_text = _("A draft starts by itself then.") + f" {zone}"
        self.fields["ends_at"].help_text = zone

    def clean(self) -> dict[str, Any]:
        super().clean()
        starts, ends = (self.cleaned_data.get(name) for name in _MOMENTS)
        if starts and ends and ends <= starts:
            self.add_error("ends_at", _("Must be after the start."))
        return self.cleaned_data

    def refuse_late_start(self, now: dt.datetime) -> None:
        """Refuse to start at once what has a later start."""
        starts = self.cleaned_data.get("starts_at")
        if starts and starts > now:
            message = _("Save it as a draft: it starts by itself then. Or leave this blank to start now.")
            self.add_error("starts_at", message)

    def changed_campaign(self) -> dict[str, Any]:
        """Return what was changed, as the service takes it."""
        if not self.cleaned_data.get("campaign"):
            return {}
        changed = {name: self.cleaned_data[name] for name in _NAMES if name in self.changed_data}
        if "on_end_variant" in changed:
            changed["on_end_variant"] = changed["on_end_variant"] or None
        if changed.get("on_end") == "":
            del changed["on_end"]
        return changed

    @property
    def is_campaign_used(self) -> bool:
        """Tell if anything is said of the campaign, so that its fields are shown at once."""
        return any(self._is_said(name) for name in _CAMPAIGN_FIELDS)

    @property
    def are_values_used(self) -> bool:
        return any(self._is_said(name) for name in ("currency", "value_cap"))

    def _is_said(self, name: str) -> bool:
        field = self[name]
        return bool(field.errors) or field.value() not in (None, "", False, End.PAUSE)


def campaign_in_words(experiment: Experiment) -> list[tuple[str, str]]:
    """List what has been said of a campaign, each with its label, for those who only read."""
    cap = "" if experiment.value_cap is None else format_exact(experiment.value_cap)
    said = [
        (_("Owner"), experiment.owner),
        (_("Tags"), experiment.tags),
        *schedule_in_words(experiment),
        (_("Currency"), experiment.currency),
        (_("Value cap"), cap),
        (_("Variants are fixed"), _("yes") if experiment.fixed_variants else ""),
    ]
    return [(label, text) for label, text in said if text]


def schedule_in_words(experiment: Experiment) -> list[tuple[str, str]]:
    """List when the experiment starts and ends by itself, and what happens then, each with its label.

    Once it has ended only the start is left: the schedule may lie after the end, and nothing comes of it any more.
    """
    at_end = experiment.get_on_end_display() if experiment.ends_at else ""
    named = [v.name for v in experiment.variants.all() if v.pk == experiment.on_end_variant_id]
    starts = (_("Starts"), format_moment(experiment.starts_at) if experiment.starts_at else "")
    ending = [
        (_("Ends"), format_moment(experiment.ends_at) if experiment.ends_at else ""),
        (_("At the end"), ": ".join(filter(None, [at_end, *named]))),
        (_("Ends by itself once ready to decide"), _("yes") if experiment.complete_when_decided else ""),
    ]
    said = [starts, *([] if experiment.status == Status.COMPLETED else ending)]
    return [(label, text) for label, text in said if text]


def _whole_minute(moment: dt.datetime | None) -> dt.datetime | None:
    """Take the seconds away, which the field does not show: left alone it stays as it was."""
    return None if moment is None else timezone.localtime(moment).replace(second=0, microsecond=0)
