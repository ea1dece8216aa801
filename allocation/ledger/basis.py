"""Can anything that a decision rests on have changed since it was made? Answered without reading the days."""

import hashlib

from allocation.engine import ENGINE_VERSION, RULES, Settings
from experiments.models import Experiment


def basis_of(experiment: Experiment, settings: Settings) -> int:
    """Make a number of all that a decision's inputs come from; ``experiment`` was read by ``read_for_allocation``.

    Every write of days, settings, variants, guards or status raises ``data_version`` in its own transaction. The alarm
    about traffic, the decision before and the installation's defaults change without it.
    """
    sources = (
        ENGINE_VERSION,
        RULES,
        experiment.data_version,
        experiment.status,
        experiment.winner_id,
        str(experiment.ended_at),
        vars(experiment)["has_mismatch"],
        vars(experiment)["decision_before"],
        settings,
    )
    return int.from_bytes(hashlib.sha256(repr(sources).encode()).digest()[:8], signed=True)
