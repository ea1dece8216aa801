"""The daily sweep: look for traffic that is wrong or missing, then decide for every active experiment.

The scheduler and ``manage.py allocate --all`` call ``run_daily_sweep``. It begins, sweeps chunks of experiments and
finishes; chunks are independent of each other, so that they may be spread over processes or machines:
``begin_sweep``, ``sweep_chunk`` for each of ``chunks_to_sweep()`` in any order, ``finish_sweep`` with the sum.
"""

from allocation.sweep.chunk import SweptChunk, SweptExperiment, sweep_chunk
from allocation.sweep.daily import Sweep, begin_sweep, chunks_to_sweep, finish_sweep, run_daily_sweep

__all__ = (
    "Sweep",
    "SweptChunk",
    "SweptExperiment",
    "begin_sweep",
    "chunks_to_sweep",
    "finish_sweep",
    "run_daily_sweep",
    "sweep_chunk",
)
