"""The decision log as a CSV: a line for each decision, with a column for the share of each variant."""

import csv
import io
from collections import defaultdict

from django.http import HttpResponse

from allocation.models import Allocation, AllocationShare
from experiments.models import Experiment
from experiments.tables.rows import as_cell

COLUMNS = ("date", "version", "kind", "state", "computed_at", "data_through", "reason")


def decision_log_download(experiment: Experiment) -> HttpResponse:
    """Answer with every decision, newest first; the experiment has its variants prefetched; two queries."""
    variants = list(experiment.variants.all())
    shares: defaultdict[int, dict[int, object]] = defaultdict(dict)
    rows = AllocationShare.objects.filter(allocation__experiment=experiment)
    for allocation, variant, share in rows.values_list("allocation_id", "variant_id", "share").iterator():
        shares[allocation][variant] = share
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, *(as_cell(f"share of {variant.key}") for variant in variants)])
    fields = ("pk", "target_date", "revision", "kind", "state", "created_at", "data_through", "reason")
    for pk, date, revision, kind, state, at, through, reason in Allocation.objects.filter(
        experiment=experiment
    ).values_list(*fields):
        known = shares[pk]
        cells = [date, revision, kind, state, at.isoformat(), through, as_cell(reason)]
        writer.writerow([*cells, *(known.get(variant.pk) for variant in variants)])
    headers = {"Content-Disposition": f'attachment; filename="{experiment.key}-decision-log.csv"'}
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)
