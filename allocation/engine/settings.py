"""The settings of the algorithm that a team may change, with the defaults of the design."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from allocation.engine.evidence.learned import EvidenceSettings

# A year of days is more than any regime is likely to last.
LONGEST_WINDOW = 365


@dataclass(frozen=True)
class Settings:
    """The algorithm's settings for one experiment.

    ``alpha_prior``, ``beta_prior``: pseudo-counts of the Beta prior; with a beta_prior of None it is centred on the
    experiment's own rate. ``min_explore_rate``: the traffic spread evenly over all variants, a fraction.
    ``control_floor``, ``max_daily_shift``: fractions of the traffic. ``window_days``, ``maturity_days``: days; with
    window_days of None all the data of the longest window. ``min_impressions``: impressions before anything is
    optimized. ``exploitation``: the power probability_best is raised to, 1 for Thompson Sampling. ``memory``: days
    count as far as they belong to the present rates. ``dispersion``: counts that vary more than independent trials
    count for less.
    """

    alpha_prior: float = 1.0
    beta_prior: float | None = None
    min_explore_rate: float = 0.05
    control_floor: float = 0.10
    max_daily_shift: float = 0.20
    window_days: int | None = None
    maturity_days: int = 0
    min_impressions: int = 1000
    day_adjustment: bool = True
    exploitation: float = 1.0
    memory: bool = True
    dispersion: bool = True

    @property
    def longest_window(self) -> int:
        return LONGEST_WINDOW if self.window_days is None else self.window_days

    @property
    def evidence(self) -> EvidenceSettings:
        """The part of the settings that evidence depends on."""
        return EvidenceSettings(
            memory=self.memory,
            dispersion=self.dispersion,
            day_adjustment=self.day_adjustment,
            alpha_prior=self.alpha_prior,
            beta_prior=self.beta_prior,
        )


def recorded_settings(values: Mapping[str, Any], engine_version: str) -> Settings:
    """Settings as a decision of that engine recorded them: the first one knew neither memory nor dispersion."""
    return Settings(**({"memory": False, "dispersion": False} if engine_version == "1" else {}), **values)
