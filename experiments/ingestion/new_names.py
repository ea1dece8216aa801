"""Names of variants that an experiment does not know: which of them may become variants."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from django.utils.translation import gettext as _

from experiments.exceptions import Issue
from experiments.ingestion.upsert import PlacedCounts, VariantRow
from experiments.models import Experiment
from experiments.variants import MOST_LISTED, looks_alike, plain_name

NewVariants = Literal["create", "refuse"]


class NewNames:
    """Judges the names that an experiment does not know, in their order: one that is taken is known from then on.

    ``known`` are the names of its variants, ``keys`` their keys; data find a variant by either. ``is_closed``: no new
    ones are taken.
    """

    def __init__(self, known: Sequence[str], keys: Sequence[str], *, is_closed: bool) -> None:
        self._known, self._is_closed = known, is_closed
        self._by_form = {plain_name(name): name for name in (*keys, *known)}

    def like(self, name: str) -> str:
        """Return the known name that this one looks like; the name itself where there is none."""
        return self._by_form.get(plain_name(name), name)

    def take(self, name: str) -> None:
        self._by_form.setdefault(plain_name(name), name)

    def problem(self, name: str) -> Issue | None:
        """Say why a name cannot become a variant; None where it can."""
        if (like := self.like(name)) != name:
            return Issue("variant_name", "similar_variant", looks_alike(name, like))
        if self._is_closed:
            message = _("'%(name)s' is not a variant here, and new ones are refused; known: %(known)s")
            listed = ", ".join(self._known[:MOST_LISTED]) or "–"
            return Issue("variant_name", "unknown_variant", message % {"name": name, "known": listed})
        return None


def new_name_issues(
    rows: Sequence[PlacedCounts],
    missing: Mapping[int, Collection[str]],
    known: Iterable[VariantRow],
    policy: NewVariants,
) -> list[tuple[int, Issue]]:
    """Find the rows of a new name where no new variants are taken, or where it looks like a known one.

    ``missing`` are the new names by experiment id, in the order of the rows.
    """
    names: defaultdict[int, list[str]] = defaultdict(list)
    keys: defaultdict[int, list[str]] = defaultdict(list)
    for experiment_id, _pk, key, name, _is_control in known:
        names[experiment_id].append(name)
        keys[experiment_id].append(key)
    closed = missing.keys() if policy == "refuse" else _with_fixed_variants(missing.keys())
    refused: dict[tuple[int, str], Issue] = {}
    for experiment_id, new in missing.items():
        judge = NewNames(names[experiment_id], keys[experiment_id], is_closed=experiment_id in closed)
        for name in new:
            if issue := judge.problem(name):
                refused[experiment_id, name] = issue
            else:
                judge.take(name)
    places = enumerate((experiment_id, row.variant_name) for experiment_id, row in rows)
    return [(index, refused[place]) for index, place in places if place in refused]


def _with_fixed_variants(experiment_ids: Collection[int]) -> Collection[int]:
    """Find which of these experiments take no variants that come with data."""
    fixed = Experiment.objects.filter(pk__in=experiment_ids, fixed_variants=True)
    return frozenset(fixed.values_list("pk", flat=True))
