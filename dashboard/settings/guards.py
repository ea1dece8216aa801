"""The form of a guard: a metric, how far it may fall, and what happens then."""

import datetime as dt
from typing import Any, NamedTuple

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy

from experiments.campaign.models import Guard, GuardAction
from experiments.metrics import Reward
from experiments.models import Experiment
from experiments.tables.number_fields import PlainFloatField
from experiments.text import format_exact


class GuardForm(forms.Form):
    """One guard, new or known."""

    metric = forms.ChoiceField(
        choices=Reward.choices,
        label=gettext_lazy("Metric"),
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    max_fall = PlainFloatField(
        label=gettext_lazy("Largest fall (%)"),
        widget=forms.NumberInput(attrs={"class": "form-control", "step": "any"}),
    )
    action = forms.ChoiceField(
        choices=GuardAction.choices,
        label=gettext_lazy("Then"),
        initial=GuardAction.TELL,
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    def values(self) -> dict[str, Any]:
        """Return the arguments of the service."""
        now: dt.datetime = timezone.now()
        return {**{name: self.cleaned_data[name] for name in ("metric", "max_fall", "action")}, "now": now}


class GuardRow(NamedTuple):
    """A guard in words, and its form."""

    guard: Guard
    fall: str
    form: GuardForm


def guard_rows(experiment: Experiment, refused: tuple[int, GuardForm] | None = None) -> list[GuardRow]:
    """List the guards; at most one query. ``refused``: the id and the form of one that could not be saved."""
    guards = experiment.guards.all() if getattr(experiment, "has_guards", True) else []
    return [
        GuardRow(
            guard,
            f"{format_exact(guard.max_fall)}%",
            refused[1] if refused and refused[0] == guard.pk else _form(guard),
        )
        for guard in guards
    ]


def _form(guard: Guard) -> GuardForm:
    initial = {name: getattr(guard, name) for name in ("metric", "max_fall", "action")}
    return GuardForm(prefix=f"guard-{guard.pk}", initial=initial)
