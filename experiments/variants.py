"""Variants: choice of the control, and changes that are allowed while traffic flows."""

import datetime as dt
import unicodedata
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from experiments.exceptions import ControlConflictError, InvalidError, Issue, VariantNotFoundError
from experiments.models import MAX_VARIANTS, Experiment, Status, Variant
from experiments.selectors import find_experiment
from experiments.text import visible

CONTROL_NAME = "control"
# Names of a control, the plainest first: of several that come together, the first of these is it.
CONTROL_NAMES = (CONTROL_NAME, "controle", "control group", "grupo de controle", "baseline", "original")
# Alone it may stand for anything; beside other new names it is the first of them.
_LETTER_OF_CONTROL = "a"
_IDS_END = 2**63
# Names that are listed in a refusal.
MOST_LISTED = 20


def plain_name(name: str) -> str:
    """Reduce a name to what tells it from others: case, width, the number of spaces and what is not seen do not."""
    return " ".join(visible(unicodedata.normalize("NFKC", name)).casefold().split())


def looks_alike(name: str, known: str) -> str:
    """Say that a name cannot stand beside a known one, which it looks like, and what to write instead."""
    message = _("'%(name)s' differs from '%(known)s' only by case, spaces or width; write '%(known)s'")
    return message % {"name": name, "known": known}


def is_control_name(name: str) -> bool:
    return plain_name(name).replace("_", " ") in CONTROL_NAMES


def control_among(names: Sequence[str]) -> str:
    """Choose the control of variants that come together: the one named so, else A, else the first."""
    by_form = {plain_name(name).replace("_", " "): name for name in reversed(names)}
    known = (*CONTROL_NAMES, _LETTER_OF_CONTROL)
    return next((by_form[name] for name in known if name in by_form), names[0])


def new_variants(
    experiment_id: int,
    names: Sequence[str],
    *,
    has_control: bool,
    now: dt.datetime,
    control: str | None = None,
) -> list[Variant]:
    """Build unsaved variants. Without a control so far, it is ``control``, else the one that control_among chooses."""
    chosen = None if has_control else control or control_among(names)
    return [
        Variant(experiment_id=experiment_id, key=name, name=name, is_control=name == chosen, created_at=now)
        for name in names
    ]


def add_variant(*, experiment_id: int, name: str, now: dt.datetime, is_control: bool = False) -> Variant:
    """Add a variant; in a running experiment it starts from a share of 0. The first one becomes the control."""
    with transaction.atomic():
        experiment = open_for_change(experiment_id, now, _("is %(status)s; its variants stay as they are."))
        known = list(experiment.variants.all())
        _refuse_taken(name, known)
        if len(known) >= MAX_VARIANTS:
            message = _("an experiment has at most %(most)s variants") % {"most": MAX_VARIANTS}
            raise InvalidError([Issue("name", "too_many_variants", message)])
        has_control = any(variant.is_control for variant in known)
        variant = new_variants(experiment_id, [name], has_control=has_control, now=now)[0]
        variant.save()
        if is_control and not variant.is_control:
            _move_control(experiment, variant)
    return variant


def change_variant(
    *,
    experiment_id: int,
    variant_id: int,
    now: dt.datetime,
    name: str | None = None,
    is_active: bool | None = None,
    is_control: bool | None = None,
) -> Variant:
    """Rename, deactivate or reactivate a variant, or make it the control; None leaves a field unchanged."""
    with transaction.atomic():
        experiment = open_for_change(experiment_id, now, _("is %(status)s; its variants stay as they are."))
        variant = find_variant(experiment, variant_id)
        if name is not None and name != variant.name:
            _refuse_taken(name, list(experiment.variants.exclude(pk=variant.pk)))
            variant.name = name
        if is_control is not None and is_control != variant.is_control:
            _refuse_control_away(is_control)
            _move_control(experiment, variant)
        if is_active is not None:
            variant.is_active = is_active
        if variant.is_control and not variant.is_active:
            raise ControlConflictError(
                _(
                    "The control cannot be deactivated. In a draft, make another variant the control first; "
                    "once started, end the experiment."
                )
            )
        variant.save(update_fields=["name", "is_active"])
    return variant


def find_variant(experiment: Experiment, variant_id: int) -> Variant:
    found = experiment.variants.filter(pk=variant_id).first() if variant_id < _IDS_END else None
    if found is None:
        raise VariantNotFoundError(
            _("Experiment %(key)r has no variant %(id)s.") % {"key": experiment.key, "id": variant_id}
        )
    return found


def find_winner(experiment: Experiment, name: str, *, field: str = "winner") -> Variant:
    """Return a variant of the experiment by name or key; raise InvalidError for the ``field`` that names it."""
    found = next((v for v in experiment.variants.all() if name in {v.name, v.key}), None)
    if found is None:
        raise InvalidError([Issue(field, "unknown_variant", must_be_one_of(experiment.variants.all()))])
    return found


def must_be_one_of(variants: Iterable[Variant]) -> str:
    """Say which variants there are, where a name or key is none of them."""
    names = [variant.name for variant in variants]
    listed = ", ".join(names[:MOST_LISTED]) + (", …" if len(names) > MOST_LISTED else "") if names else "–"
    return _("must be one of the experiment's variants: %(known)s") % {"known": listed}


def open_for_change(experiment_id: int, now: dt.datetime, refusal: str) -> Experiment:
    """Lock the experiment and raise its data version; refuse completed and archived ones, with ``refusal``."""
    changeable = Experiment.objects.filter(pk=experiment_id, archived_at=None).exclude(
        status=Status.COMPLETED
    )
    changed = changeable.update(data_version=F("data_version") + 1, updated_at=now)
    experiment = find_experiment(experiment_id)
    if changed != 1:
        raise experiment.status_conflict(refusal % {"status": experiment.state_word})
    return experiment


def _refuse_taken(name: str, others: Sequence[Variant]) -> None:
    """Refuse a name that is, or looks like, a name or key of another variant: events find a variant by either."""
    form = plain_name(name)
    if any(form in {plain_name(variant.name), plain_name(variant.key)} for variant in others):
        message = _("%(name)r is or was the name of another variant") % {"name": name}
        raise InvalidError([Issue("name", "taken", message)])


def _refuse_control_away(is_control: bool) -> None:
    if not is_control:
        raise ControlConflictError(
            _("An experiment keeps a control: make another variant the control instead.")
        )


def _move_control(experiment: Experiment, variant: Variant) -> None:
    if experiment.status != Status.DRAFT:
        raise ControlConflictError(
            _("The control moves only while the experiment is a draft. Start a copy with another control.")
        )
    for other in experiment.variants.filter(is_control=True):
        other.is_control = False
        other.save(update_fields=["is_control"])
    variant.is_control = True
    variant.save(update_fields=["is_control"])
