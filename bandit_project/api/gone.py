"""Tell a row that was deleted while a request ran from a fault of ours that looks like it.

Both raise DoesNotExist. Where the address names a row that is no longer there, that is the reason. Where all that it
names is still there, our code has looked for the wrong thing.
"""

from collections.abc import Iterator, Mapping

from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.db import DatabaseError, models
from django.http import HttpRequest

from allocation.models import Allocation
from bandit_project.models import ApiKey
from dashboard.models import ReportLink
from experiments.campaign.models import Guard, Note
from experiments.exceptions import ExperimentNotFoundError
from experiments.models import Variant
from experiments.selectors import find_experiment
from notifications.models import Delivery, Endpoint

# Parts of addresses that name a row beside ``reference``, by id; a key is named by its prefix.
NAMED: Mapping[str, type[models.Model]] = {
    "allocation_id": Allocation,
    "channel_id": Endpoint,
    "delivery_id": Delivery,
    "guard_id": Guard,
    "link_id": ReportLink,
    "note_id": Note,
    "prefix": ApiKey,
    "user_id": User,
    "variant_id": Variant,
}


def is_gone(request: HttpRequest) -> bool:
    """Tell if a row that the address names does not exist now; False where the database does not say."""
    try:
        return not all(_are_there(request))
    except DatabaseError:
        return False


def _are_there(request: HttpRequest) -> Iterator[bool]:
    match = request.resolver_match
    if match is None:
        return
    for name, value in match.kwargs.items():
        if name == "reference":
            yield _is_experiment(value)
        elif name in NAMED:
            column = "prefix" if name == "prefix" else "pk"
            yield NAMED[name]._default_manager.filter(**{column: value}).exists()
        elif name == "object_id" and isinstance(
            admin := getattr(match.func, "model_admin", None), ModelAdmin
        ):
            yield admin.get_object(request, unquote(value)) is not None


def _is_experiment(reference: str) -> bool:
    try:
        return bool(find_experiment(reference).pk)
    except ExperimentNotFoundError:
        return False
