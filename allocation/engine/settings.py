"""The settings of the algorithm that a team may change, with the defaults of the design."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The algorithm's settings for one experiment.

    ``alpha_prior``, ``beta_prior``: pseudo-counts of the Beta prior. ``min_explore_rate``: the traffic spread
    evenly over all variants, a fraction. ``control_floor``, ``max_daily_shift``: fractions of the traffic.
    ``window_days``, ``maturity_days``: days. ``min_impressions``: impressions before anything is optimized.
    ``exploitation``: the power probability_best is raised to, 1 for Thompson Sampling.
    """

    alpha_prior: float = 1.0
    beta_prior: float = 1.0
    min_explore_rate: float = 0.05
    control_floor: float = 0.10
    max_daily_shift: float = 0.20
    window_days: int = 14
    maturity_days: int = 0
    min_impressions: int = 1000
    day_adjustment: bool = True
    exploitation: float = 1.0
