"""Names of variants that an experiment does not know: which of them may become variants."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from django.utils.translation import gettext as _

from experiments.exceptions import InvalidRowsError, Issue
from experiments.ingestion.upsert import PlacedCounts, VariantRow
from experiments.models import Experiment
from experiments.variants import plain_name

NewVariants = Literal["create", "refuse"]
# Names that are listed in a refusal.
_MOST_LISTED = 20


def refuse_new_names(
    rows: Sequence[PlacedCounts],
    missing: Mapping[int, Collection[str]],
    known: Iterable[VariantRow],
    policy: NewVariants,
) -> None:
    """Refuse the rows of a new name where no new variants are taken, or where it looks like a known one.

    ``missing`` are the new names by experiment id, in the order of the rows. Raises InvalidRowsError.
    """
    names: defaultdict[int, list[str]] = defaultdict(list)
    keys: defaultdict[int, list[str]] = defaultdict(list)
    for experiment_id, _pk, key, name, _is_control in known:
        names[experiment_id].append(name)
        keys[experiment_id].append(key)
    closed = missing.keys() if policy == "refuse" else _with_fixed_variants(missing.keys())
    refused = {
        (experiment_id, name): issue
        for experiment_id, new in missing.items()
        for name, issue in _issues(new, names[experiment_id], keys[experiment_id], experiment_id in closed)
    }
    found = [
        (index, refused[experiment_id, row.variant_name])
        for index, (experiment_id, row) in enumerate(rows)
        if (experiment_id, row.variant_name) in refused
    ]
    if found:
        raise InvalidRowsError(found)


def _with_fixed_variants(experiment_ids: Collection[int]) -> Collection[int]:
    """Find which of these experiments take no variants that come with data."""
    fixed = Experiment.objects.filter(pk__in=experiment_ids, fixed_variants=True)
    return frozenset(fixed.values_list("pk", flat=True))


def _issues(
    new: Collection[str], known: Sequence[str], keys: Sequence[str], is_closed: bool
) -> Iterable[tuple[str, Issue]]:
    """Yield the names that are refused; data find a variant by its name or its key, so both are known."""
    by_form = {plain_name(name): name for name in (*keys, *known)}
    for name in new:
        like = by_form.setdefault(plain_name(name), name)
        if like != name:
            message = _("%(name)r differs from %(known)r only by case, spaces or width; write %(known)r")
            yield name, Issue("variant_name", "similar_variant", message % {"name": name, "known": like})
        elif is_closed:
            message = _("%(name)r is not a variant here, and new ones are refused; known: %(known)s")
            listed = ", ".join(known[:_MOST_LISTED]) or "–"
            yield name, Issue("variant_name", "unknown_variant", message % {"name": name, "known": listed})
