"""Experiments as files name them: by id, key or name."""

import datetime as dt
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import NamedTuple

from django.utils.translation import gettext as _

from experiments.exceptions import ExperimentNotFoundError
from experiments.models import Experiment, Variant
from experiments.selectors import find_experiment
from experiments.services import create_experiment, key_from_name
from experiments.tables.issues import shown
from experiments.tables.reading.bounds import Bounds
from experiments.text import Text
from experiments.variants import plain_name

# A larger id would use up the database's own numbering; it is taken as a name, as Google's ids of campaigns are.
_LARGEST_NEW_ID = 10**9
# Suggestions come from the newest experiments.
_MOST_COMPARED = 1000
# A comparison with all of them takes long; as many unknown names get suggestions.
_MOST_SUGGESTED = 20
# After so many the names of all experiments are read at once: a file may have another unknown one on every line.
_MOST_LOOKED_UP = 100


class Identity(NamedTuple):
    """An experiment under whichever of its names a file has it, with the keys of its variants by name and key.

    ``has_fixed_variants``: it takes no variants that come with data.
    """

    experiment: int | str
    variants: Mapping[str, str]
    variant_names: Sequence[str] = ()
    has_fixed_variants: bool = False


class References:
    """Finds each experiment that a file names, once. ``create``: those that are missing can be made; ``advice`` ends
    the message about one that is not.
    """

    def __init__(
        self, *, default: Experiment | None, create: bool, advice: Text = "", bounds: Bounds | None = None
    ) -> None:
        self._create, self._advice, self._bounds = create, advice, bounds
        self._known = set[int]()
        self._found: dict[str, Experiment | None] = {"": default}
        self._problems: dict[str, str | None] = {"": None}
        # Experiments of one name, where that name is no help.
        self._several: dict[str, list[Experiment]] = {}
        self._identities: dict[str, Identity] = {}
        self._suggested = 0

    @property
    def count(self) -> int:
        """Number of experiments that were looked up, whatever the names that a file has for each."""
        return len(self._known)

    def find(self, reference: str) -> Experiment | None:
        """Return the experiment of this id, key or name; None where there is none, or the name is that of several."""
        if reference not in self._found:
            self._look_up(
                reference, is_unknown=len(self._found) > _MOST_LOOKED_UP and not self._names(reference)
            )
        return self._found[reference]

    def may_know(self, reference: str) -> bool:
        """Tell if a row of this experiment may be taken: it is there, or can be made."""
        return not reference or self._create or self.find(reference) is not None

    def problem(self, reference: str) -> str | None:
        """Say why rows of this experiment cannot be recorded, and what to do; None where they can."""
        if reference not in self._problems:
            found = self.find(reference)
            self._problems[reference] = None if found else self._problem(reference, self._several[reference])
        return self._problems[reference]

    def identity(self, reference: str) -> Identity:
        """Return what an experiment and its variants are known by, whichever of their names a row has."""
        if (known := self._identities.get(reference)) is None:
            found = self.find(reference)
            known = _identity_of(found) if found else Identity(reference, {})
            self._identities[reference] = known
        return known

    def find_or_create(self, reference: str, now: dt.datetime) -> Experiment:
        """Return the experiment, made now if need be; call it for references without a problem."""
        if reference and self.find(reference) is None:
            self._look_up(reference)  # another request may have made it since
        found = self._found[reference]
        if found is None:
            found = self._found[reference] = _create(reference, now)
        return found

    def _look_up(self, reference: str, *, is_unknown: bool = False) -> None:
        named = [] if is_unknown else list(_by_reference(reference))
        self._found[reference] = named[0] if len(named) == 1 else None
        self._several[reference] = named
        self._known.update(experiment.pk for experiment in named[:1])
        if self._bounds:
            self._bounds.refuse_many_experiments(0, self.count)

    def _names(self, reference: str) -> bool:
        """Tell if any experiment had this id, key or name when all were read."""
        text = reference.replace("\x00", "")
        return text in self._all_names or (text.isdigit() and text.lstrip("0") in self._all_names)

    @cached_property
    def _all_names(self) -> frozenset[str]:
        rows = Experiment.objects.values_list("pk", "key", "name")
        return frozenset(str(text) for row in rows for text in row)

    def _problem(self, reference: str, named: list[Experiment]) -> str | None:
        if named:
            message = _("%(count)s experiments are called %(name)s; name one by its key: %(keys)s")
            keys = ", ".join(experiment.key for experiment in named[:3])
            return message % {"count": len(named), "name": shown(reference), "keys": keys}
        if self._create and not self._is_nearly_known(reference):
            return _creation_problem(reference)
        likest = self._likest(reference)
        said = _("There is no experiment %(name)s.") % {"name": shown(reference)}
        if likest:
            return f"{said} " + _("The nearest keys: %(keys)s.") % {"keys": ", ".join(likest)}
        return f"{said} {self._advice}" if self._advice and not self._create else said

    @cached_property
    def _by_form(self) -> dict[str, Experiment]:
        """Experiments by the plain forms of their names and keys."""
        known = Experiment.objects.only("key", "name")[:_MOST_COMPARED]
        return {
            plain_name(text): experiment for experiment in known for text in (experiment.name, experiment.key)
        }

    def _is_nearly_known(self, reference: str) -> bool:
        """Say whether a name differs from a known one only by case, spaces or width."""
        form = plain_name(reference)
        return form in self._by_form and plain_name(self._by_form[form].name) == form

    def _likest(self, reference: str) -> list[str]:
        """Return the keys of the experiments whose key or name is most like this."""
        forms = [plain_name(reference), key_from_name(reference)]
        near = forms[:1]
        if self._suggested < _MOST_SUGGESTED:
            self._suggested += 1
            near += [like for form in forms for like in get_close_matches(form, self._by_form, n=3)]
        found = (self._by_form[form].key for form in near if form in self._by_form)
        return list(dict.fromkeys(found))[:3]


def _by_reference(reference: str) -> list[Experiment]:
    """Find by id or key, else by name."""
    try:
        return [find_experiment(reference)]
    except ExperimentNotFoundError:
        return list(Experiment.objects.filter(name=reference.replace("\x00", "")).order_by("pk")[:4])


def _identity_of(experiment: Experiment) -> Identity:
    """Map each variant's key and name to its key, as events find it: a name goes before a key."""
    rows = list(Variant.objects.filter(experiment=experiment).values_list("key", "name"))
    keys = {key: key for key, _name in rows} | {name: key for key, name in rows}
    return Identity(experiment.pk, keys, [name for _key, name in rows], experiment.fixed_variants)


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
