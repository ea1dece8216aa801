"""The traffic tab: how traffic is split, why, and every decision so far."""

import datetime as dt
from typing import Any

from allocation.models import Allocation
from dashboard.charts import split_bar, variant_colours
from dashboard.experiment import charts
from dashboard.experiment.explore import history_of
from dashboard.experiment.notes import notes_of, with_notes
from dashboard.experiment.summary import Summary
from dashboard.experiment.tabs import tab
from experiments.models import Experiment


@tab
def traffic(experiment: Experiment, date: dt.date, summary: Summary) -> dict[str, Any]:
    variants, history = list(experiment.variants.all()), history_of(experiment, date)
    colours = variant_colours(variants)
    ledger = Allocation.objects.filter(experiment=experiment).with_shares()
    return {
        "charts": with_notes(
            [charts.shares_over_time(variants, history), charts.wanted_and_applied(variants, history)],
            notes_of(experiment),
        ),
        "ledger": [(entry, split_bar(entry.shares.all(), colours)) for entry in ledger[:30]],
    }
