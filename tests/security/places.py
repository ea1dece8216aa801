"""Read every path of the service from its URL configuration, and make a small world to try them in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.apps import apps
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.urls import URLPattern, URLResolver, get_resolver

from bandit_project.api.errors import not_found
from bandit_project.models import ApiKey, Scope
from experiments.campaign.models import GuardAction
from experiments.campaign.watch import add_guard, add_note
from experiments.metrics import Reward
from experiments.models import Experiment
from notifications.events import EventKind
from notifications.models import Alarm, Endpoint
from notifications.outbox import queue_test
from tests.factory import NOW, allocate, make_running

# <str:name>, (?P<name>pattern) and (pattern), as they come in routes and in regular expressions.
_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
_NAMED_GROUP = re.compile(r"\(\?P<(\w+)>[^)]*\)")


def all_places() -> set[str]:
    """Every path, such as ``api/v1/experiments/{reference}/``."""
    return set(_places(get_resolver(), ""))


def _places(resolver: URLResolver, before: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        place = before + _spelt(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from _places(pattern, place)
        elif isinstance(pattern, URLPattern) and pattern.callback is not not_found:
            yield place


def _spelt(pattern: str) -> str:
    named = _CONVERTER.sub(r"{\1}", _NAMED_GROUP.sub(r"{\1}", pattern))
    return named.replace("([^/]+)", "{object_id}").removeprefix("^").removesuffix("$")


@dataclass(frozen=True)
class World:
    """One experiment with two variants, a day's counts and a decision."""

    experiment: Experiment
    allocation_id: int

    @classmethod
    def make(cls) -> "World":
        """Make the world. Callers must exist before: a login that succeeds deletes the failed attempts made here."""
        experiment = make_running()
        make_one_of_each(experiment)
        return cls(experiment, allocate(experiment).pk)

    def path(self, place: str) -> str:
        """The path of a place, with existing ids filled in."""
        return "/" + place.format(**self.parts(place))

    def parts(self, place: str) -> dict[str, object]:
        """Values for the names that a path may have."""
        return {**self._ids, "object_id": self._object_id(place)}

    @cached_property
    def _ids(self) -> dict[str, object]:
        """The values that are the same in every path: hundreds of paths ask for them."""
        return {
            "reference": self.experiment.key,
            "key": self.experiment.key,
            "note_id": self.experiment.notes.get().pk,
            "guard_id": self.experiment.guards.get().pk,
            "variant_id": self.experiment.variants.order_by("id")[1].pk,
            "allocation_id": self.allocation_id,
            "id": 1,
            "token": "none",
            "user_id": get_user_model().objects.get(username="someone").pk,
            "prefix": ApiKey.objects.get(name="shop").prefix,
            "channel_id": Endpoint.objects.get(name="ops").pk,
            "delivery_id": 1,
            "link_id": 1,
            "uidb64": "MQ",
            "content_type_id": ContentType.objects.get_for_model(Experiment).pk,
            "app_label": "experiments",
            "url": "nothing",
        }

    def _object_id(self, place: str) -> str:
        """The id of the first row of the model that a page of the admin shows."""
        if "{object_id}" not in place or place.startswith("admin/r/"):
            return str(self.experiment.pk)
        _admin, app, model, *_rest = place.split("/")
        first = apps.get_model(app, model)._default_manager.order_by("pk").first()
        assert first is not None, place
        return str(quote(first.pk))


def make_one_of_each(experiment: Experiment) -> None:
    """Make one row of each model that the admin shows besides the experiment, and a note and a guard of that."""
    add_note(experiment_id=experiment.pk, date=NOW.date(), text="Sale", now=NOW)
    add_guard(experiment_id=experiment.pk, metric=Reward.CTR, max_fall=5, action=GuardAction.TELL, now=NOW)
    ApiKey.objects.create_key(name="shop", scope=Scope.READ)
    get_user_model().objects.create_user("someone")
    # Those of a migration are gone after a test that empties all tables.
    Group.objects.get_or_create(name="shop")
    endpoint = Endpoint.objects.create(name="ops", address="https://hooks.example.com/x")
    queue_test(endpoint, NOW)
    Alarm.objects.create(experiment=experiment, kind=EventKind.NO_DATA, raised_at=NOW)
    seen = {"username": "ann", "ip_address": "192.0.2.1"}
    AccessAttempt.objects.create(**seen, failures_since_start=1)
    AccessLog.objects.create(**seen)
    AccessFailureLog.objects.create(**seen)
