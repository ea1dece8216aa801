"""How long the ledger remembers what was decided and then decided anew for the same date."""

import datetime as dt

from django.db.models import Exists, OuterRef

from allocation.models import Allocation

_BATCH = 500


def prune_superseded(*, before: dt.datetime) -> int:
    """Deletes revisions recorded before then that a later one of the same date replaced; how many.

    The last revision of a date is in force, explains the next day's, and stays for ever.
    """
    later = Allocation.objects.filter(
        experiment=OuterRef("experiment"),
        target_date=OuterRef("target_date"),
        revision__gt=OuterRef("revision"),
    )
    superseded = Allocation.objects.filter(Exists(later), created_at__lt=before).order_by("pk")
    deleted = 0
    while batch := list(superseded.values_list("pk", flat=True)[:_BATCH]):
        Allocation.objects.filter(pk__in=batch).delete()
        deleted += len(batch)
    return deleted
