"""Experiments as files name them: by id, key or name."""

import datetime as dt
from difflib import get_close_matches

from django.utils.translation import gettext as _

from experiments.exceptions import ExperimentNotFoundError
from experiments.models import Experiment
from experiments.selectors import find_experiment
from experiments.services import create_experiment, key_from_name
from experiments.tables.issues import shown
from experiments.variants import plain_name

# A larger id would use up the database's own numbering; it is taken as a name, as Google's ids of campaigns are.
_LARGEST_NEW_ID = 10**9
# Suggestions come from the newest experiments.
_MOST_COMPARED = 1000


class References:
    """Finds each experiment that a file names, once. ``create``: those that are missing can be made."""

    def __init__(self, *, default: Experiment | None, create: bool) -> None:
        self._create = create
        self._found: dict[str, Experiment | None] = {"": default}
        self._problems: dict[str, str | None] = {"": None}

    def find(self, reference: str) -> Experiment | None:
        """Return the experiment of this id, key or name; None where there is none, or the name is that of several."""
        self._look_up(reference)
        return self._found[reference]

    def problem(self, reference: str) -> str | None:
        """Say why rows of this experiment cannot be recorded, and what to do; None where they can."""
        self._look_up(reference)
        return self._problems[reference]

    def find_or_create(self, reference: str, now: dt.datetime) -> Experiment:
        """Return the experiment, made now if need be; call it for references without a problem."""
        if reference:
            del self._found[reference]
        found = self.find(reference)
        if found is None:
            found = self._found[reference] = _create(reference, now)
        return found

    def _look_up(self, reference: str) -> None:
        if reference in self._found:
            return
        named = list(_by_reference(reference))
        self._found[reference] = named[0] if len(named) == 1 else None
        self._problems[reference] = None if len(named) == 1 else self._problem(reference, named)

    def _problem(self, reference: str, named: list[Experiment]) -> str | None:
        if named:
            message = _("%(count)s experiments are called %(name)s; name one by its key: %(keys)s")
            keys = ", ".join(experiment.key for experiment in named[:3])
            return message % {"count": len(named), "name": shown(reference), "keys": keys}
        likest = _likest(reference)
        if self._create and not any(plain_name(reference) == plain_name(name) for _key, name in likest):
            return _creation_problem(reference)
        said = _("There is no experiment %(name)s.") % {"name": shown(reference)}
        if likest:
            keys = ", ".join(key for key, _name in likest)
            said += " " + _("The nearest keys: %(keys)s.") % {"keys": keys}
        return said


def _by_reference(reference: str) -> list[Experiment]:
    """Find by id or key, else by name."""
    try:
        return [find_experiment(reference)]
    except ExperimentNotFoundError:
        return list(Experiment.objects.filter(name=reference.replace("\x00", "")).order_by("pk")[:4])


def _likest(reference: str) -> list[tuple[str, str]]:
    """Return key and name of the experiments whose key or name is most like this."""
    known = list(Experiment.objects.values_list("key", "name")[:_MOST_COMPARED])
    by_form = {plain_name(text): (key, name) for key, name in known for text in (name, key)}
    near = [plain_name(reference), *get_close_matches(plain_name(reference), by_form, n=3)]
    near += get_close_matches(key_from_name(reference), by_form, n=3)
    return list(dict.fromkeys(by_form[form] for form in near if form in by_form))[:3]


def _create(reference: str, now: dt.datetime) -> Experiment:
    if _is_new_id(reference):
        return create_experiment(name=f"Experiment {reference}", now=now, pk=int(reference))
    return create_experiment(name=reference, now=now)


def _is_new_id(reference: str) -> bool:
    return reference.isascii() and reference.isdigit() and 0 < int(reference) <= _LARGEST_NEW_ID


def _creation_problem(reference: str) -> str | None:
    if reference.isascii() and reference.isdigit() and int(reference) == 0:
        return _("0 is no experiment's id; ids begin at 1")
    return None
