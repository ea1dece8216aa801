"""The newest decision of each experiment, for lists over all of them.

To find it in the decision log takes a look into an index for each experiment, and PostgreSQL, asked for those of all,
reads the whole log instead. ``NewestDecision`` has one narrow row for each experiment. The database keeps it, by
triggers on the log (migrations 0016 and 0018): so it holds after every write, also by an earlier version that serves
while another one is put in its place.
"""

from collections.abc import Collection, Sequence

from allocation.ledger.statements import shares_of
from allocation.models import Allocation, AllocationShare
from experiments.database.rows import Columns, places, rows_of
from experiments.models import Experiment

_ALLOCATION = Columns(Allocation, "a", without=("inputs", "packed_inputs"))
_OF_IDS = "SELECT {columns} FROM allocation_allocation a WHERE a.id IN ({ids})"
_COLUMNS = ("kind", "state", "data_through", "value_remaining", "gained_over_even")
# The decision in force of each experiment on {today}, a date in quotes. Where the newest is for a later date, which is
# rare, the log is asked.
IN_FORCE = f"""
SELECT n.experiment_id, n.decision, {", ".join(f"n.{name}" for name in _COLUMNS)}
FROM allocation_newestdecision n WHERE n.target_date <= {{today}}
UNION ALL
SELECT a.experiment_id, a.id, {", ".join(f"a.{name}" for name in _COLUMNS)}
FROM allocation_newestdecision n JOIN allocation_allocation a ON a.experiment_id = n.experiment_id AND a.id = (
    SELECT o.id FROM allocation_allocation o WHERE o.experiment_id = n.experiment_id AND o.target_date <= {{today}}
    ORDER BY o.target_date DESC, o.revision DESC LIMIT 1
) WHERE n.target_date > {{today}}
"""  # noqa: S608 (constants only)


def decisions_of(ids: Collection[int], experiments: Collection[Experiment]) -> list[Allocation]:
    """Read these decisions with their shares and no inputs, in two statements.

    The experiments come with all their variants, which the shares refer to.
    """
    if not ids:
        return []
    rows = rows_of(_OF_IDS.format(columns=_ALLOCATION.sql, ids=places(ids)), [*ids])
    decisions = [_ALLOCATION.instance(row) for row in rows]
    shares = shares_of(decisions)
    variants = {variant.pk: variant for one in experiments for variant in one.variants.all()}
    for decision in decisions:
        _hold_shares(decision, shares[decision.pk])
        for share in shares[decision.pk]:
            share.variant = variants[share.variant_id]
    return decisions


def _hold_shares(decision: Allocation, shares: Sequence[AllocationShare]) -> None:
    """Give the decision its shares, as a prefetch does: ``shares.all()`` costs no query then."""
    held = AllocationShare.objects.all()
    vars(held).update(_result_cache=list(shares), _prefetch_done=True)
    vars(decision)["_prefetched_objects_cache"] = {"shares": held}
