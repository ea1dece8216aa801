"""Lifts of variants over their controls, from what decisions have stored of both."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from allocation.engine.analysis.uplift import compare_pairs
from allocation.models import AllocationShare


class Lift(NamedTuple):
    """How much higher a variant's rate is than the control's, relative, with its 95% interval."""

    value: float
    low: float
    high: float


def control_beside(
    share: AllocationShare | None, shares: Sequence[AllocationShare]
) -> AllocationShare | None:
    """Find the control that a variant can be compared with; None where either lacks data, or it is the control."""
    control = next((one for one in shares if one.variant.is_control), None)
    if share is None or control is None or share.variant_id == control.variant_id:
        return None
    return control if _is_judged(share) and _is_judged(control) else None


def stored_lifts(pairs: Sequence[tuple[AllocationShare, AllocationShare]]) -> list[Lift]:
    """Compare each share with the control beside it, all at once."""
    return list(
        _lifts(
            tuple(
                (one.posterior_alpha, one.posterior_beta, control.posterior_alpha, control.posterior_beta)
                for one, control in pairs
            )
        )
    )


@lru_cache(maxsize=64)
def _lifts(posteriors: tuple[tuple[float | None, ...], ...]) -> tuple[Lift, ...]:
    """Compare by the posteriors alone: every tab of an experiment asks for those of one decision."""
    if not posteriors:
        return ()
    found = compare_pairs(*np.array(posteriors, dtype=float).T)
    return tuple(Lift(*map(float, row)) for row in zip(*found[:3], strict=True))


def _is_judged(share: AllocationShare) -> bool:
    return not share.missing_trials and share.posterior_alpha is not None and share.posterior_beta is not None
