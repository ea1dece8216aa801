"""The decisions before those that are made: whose shares are moved, and whose gains are closed.

All that are made on one day rest on the same one, and a decision never changes. So a worker remembers those that it has
read, by their id and the digest of their inputs: it reads and unpacks them once a day.
"""

import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine import History
from allocation.engine.analysis.gains import Rewards
from allocation.engine.evidence.window import Window, select_window
from allocation.engine.settings import recorded_settings
from allocation.ledger.inputs import AllocationInputs, GainsSoFar
from allocation.ledger.statements import rows_before
from allocation.models import CLOSING
from allocation.packing import unpack_until
from experiments.metrics import Reward
from experiments.models import Experiment

# A decision of four variants and sixty days takes about 4 KB, and one that is remembered never more than 50 KB.
_MOST, _LARGEST = 400, 5000
Key = tuple[int, str]
# Days are numbered from 1.
_NO_DAY = 0


class _Priced(NamedTuple):
    """The trials that a decision's gains are of, (D' + 1, K + 1), by day number and variant; ``start`` is its window's.

    Behind them are a row and a column of zeros, for days and variants that are new; no day has the number there.
    """

    variants: tuple[int, ...]
    start: int
    days: NDArray[np.int64]
    trials: NDArray[np.int64]


class Before(NamedTuple):
    """A decision: its shares by variant id, the gains it recorded, if any, and its inputs, packed.

    ``priced``: filled where it is asked for, by the goal.
    """

    shares: dict[int, float]
    rewards: Rewards | None
    kind: str
    target_date: dt.date
    packed_inputs: bytes | None
    priced: dict[Reward, _Priced]


def decisions_before(experiments: Sequence[Experiment], target_date: dt.date) -> dict[int, Before]:
    """The last decision for an earlier target date of each experiment; one query, for those not remembered.

    An end that was undone is none: what runs again goes on from where it was.
    """
    keys = {experiment.pk: _key(experiment) for experiment in experiments}
    found = {pk: known for pk, key in keys.items() if key and (known := _remembered.get(key)) is not None}
    read: dict[int, Before] = {}
    unknown = [pk for pk in keys if pk not in found]
    for pk, variant, share, kind, date, packed, *sums in rows_before(unknown, target_date):
        if pk not in read:
            inputs = None if packed is None else bytes(packed)
            rewards = None if inputs is None or None in sums else Rewards(*sums)
            read[pk] = Before({}, rewards, kind, date, inputs, {})
        read[pk].shares[variant] = float(share)
    for pk, before in read.items():
        _remember(keys[pk], before)
    return found | read


def gains_so_far(inputs: AllocationInputs, before: Before | None) -> GainsSoFar | None:
    """Return what the decision before recorded, and which days it did not know as they are now."""
    if before is None or before.rewards is None:
        return None
    if before.kind in CLOSING:
        return GainsSoFar(before.rewards, {})
    known, window = _priced(before, inputs), inputs.to_request().window()
    place = {variant: n for n, variant in enumerate(known.variants)}
    columns = [place.get(variant.id, -1) for variant in inputs.variants]
    row = known.days[:-1].searchsorted(window.days)
    row[known.days[row] != window.days] = -1
    priced = known.trials[row[:, None], columns]
    changed = (priced != window.trials).any(axis=1)
    changed &= window.days >= known.start
    open_days = zip(window.days[changed].tolist(), priced[changed].tolist(), strict=True)
    return GainsSoFar(before.rewards, {dt.date.fromordinal(day): tuple(n) for day, n in open_days})


def _priced(before: Before, inputs: AllocationInputs) -> _Priced:
    """Count the trials that the decision before knew, by the goal of today."""
    found = before.priced.get(inputs.reward)
    if found is None:
        recorded = unpack_until(before.packed_inputs or b"", inputs.reward.trials_count.name)
        variants = tuple(variant["id"] for variant in recorded["variants"])
        found = _with_zeros(variants, recorded_window(recorded, inputs.reward))
        if found.trials.size <= _LARGEST:
            before.priced[inputs.reward] = found
    return found


def recorded_window(recorded: Mapping[str, Any], reward: Reward) -> Window:
    """Select the window of recorded inputs as their request has it, with the trials of this goal alone.

    Nothing else is made of them: a sweep looks at the inputs of every experiment.
    """
    counts = recorded["counts"]
    if not isinstance(counts, dict):  # rows, of the first engine
        return AllocationInputs.from_json({**recorded, "reward": reward}, 0).to_request().window()
    days = np.array(counts["days"], dtype=np.int64)
    if days.size:
        days += dt.date.fromisoformat(counts["first_date"]).toordinal()
    impressions, trials = (
        np.array(counts[name], dtype=np.float64).reshape(len(recorded["variants"]), len(days)).T
        for name in ("impressions", reward.trials_count.name)
    )
    settings = recorded_settings(recorded["settings"], recorded["engine_version"])
    target = dt.date.fromisoformat(recorded["target_date"]).toordinal()
    history = History(days, impressions, trials, trials)
    return select_window(history, target, settings.longest_window, settings.maturity_days)


def _with_zeros(variants: tuple[int, ...], window: Window) -> _Priced:
    days, size = window.trials.shape
    trials = np.zeros((days + 1, size + 1), dtype=np.int64)
    trials[:days, :size] = window.trials
    return _Priced(variants, window.start or 0, np.append(window.days, _NO_DAY), trials)


def _key(experiment: Experiment) -> Key | None:
    """Name the decision before; None where ``read_for_allocation`` did not read the experiment."""
    pk, digest = (vars(experiment).get(name) for name in ("decision_before", "digest_before"))
    return None if pk is None or digest is None else (pk, digest)


_remembered: dict[Key, Before] = {}
_writing = threading.Lock()


def _remember(key: Key | None, before: Before) -> None:
    """Remember a decision, and forget the one that was remembered first where there are too many."""
    if key is None or len(before.packed_inputs or b"") > _LARGEST:
        return
    with _writing:
        _remembered[key] = before
        if len(_remembered) > _MOST:
            del _remembered[next(iter(_remembered))]


def forget() -> None:
    """Drop what is remembered."""
    with _writing:
        _remembered.clear()
