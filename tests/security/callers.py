"""Eight callers: one without an account, three people with a session, four programs with a key."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from bandit_project.models import ApiKey, Scope
from tests.security.access_table import Least

PEOPLE = {"viewer": Least.LOOK, "analyst": Least.EDIT, "admin": Least.OWN}
# A serve key is no step of the ladder: access_table.SERVED says what it may.
PROGRAMS = {
    "serve key": Least.ANYONE,
    "read key": Least.LOOK,
    "write key": Least.EDIT,
    "admin key": Least.OWN,
}
NAMES = ("anonymous", *PEOPLE, *PROGRAMS)


@dataclass(frozen=True)
class Caller:
    client: Client
    held: Least
    is_person: bool = False
    is_serve_key: bool = False


def caller(name: str) -> Caller:
    if name in PEOPLE:
        return Caller(person(name), PEOPLE[name], is_person=True)
    if name in PROGRAMS:
        scope = name.split()[0]
        return Caller(program(scope), PROGRAMS[name], is_serve_key=scope == "serve")
    return Caller(Client(), Least.ANYONE)


def person(group: str, *, is_staff: bool = True, **options: Any) -> Client:
    user = get_user_model().objects.create_user(group, f"{group}@example.com", is_staff=is_staff)
    user.groups.add(Group.objects.get(name=group))
    client = Client(**options)
    client.force_login(user)
    return client


def program(scope: str, **fields: Any) -> Client:
    _, key = ApiKey.objects.create_key(name=scope, scope=Scope(scope), **fields)
    return Client(headers={"Authorization": f"Api-Key {key}"})
