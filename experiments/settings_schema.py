"""The algorithm's settings: what each means, where its values may lie, and the variable that sets its default.

An experiment stores only what differs from the installation; the installation's defaults come from the
environment. One table serves both, and the forms, the API, the commands and the checks at start.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

SettingValue = float | int | bool

# control_floor + min_explore_rate must leave room for every variant's floor after rounding up.
HIGHEST_FLOOR_SUM = 0.99
SHARE_STEP = 0.0001


@dataclass(frozen=True)
class AlgorithmSetting:
    """One setting. ``low_open`` says that the lower end itself is not allowed."""

    name: str
    variable: str
    default: SettingValue
    low: float
    high: float
    meaning: str
    low_open: bool = False
    step: float | None = None

    @property
    def range_text(self) -> str:
        if isinstance(self.default, bool):
            return "true or false"
        start = f"above {self.low:,.10g}" if self.low_open else f"{self.low:,.10g}"
        kind = "a whole number " if isinstance(self.default, int) else ""
        step = f", a multiple of {self.step:g}" if self.step else ""
        return f"{kind}{'' if self.low_open else 'from '}{start} to {self.high:,.10g}{step}"

    def problem(self, value: object) -> str | None:
        """Why ``value`` is refused, as the end of a sentence that begins with the setting's name; or None."""
        return None if self._allows(value) else f"must be {self.range_text}"

    def _allows(self, value: object) -> bool:
        if isinstance(self.default, bool) or isinstance(value, bool):
            return isinstance(self.default, bool) and isinstance(value, bool)
        if not isinstance(value, int | float) or (
            isinstance(self.default, int) and not isinstance(value, int)
        ):
            return False
        above = value > self.low if self.low_open else value >= self.low
        return above and value <= self.high and self._on_step(value)

    def _on_step(self, value: float) -> bool:
        # only values inside the range come here: NaN and infinities do not
        return self.step is None or math.isclose(value / self.step, round(value / self.step), rel_tol=1e-9)


ALGORITHM_SETTINGS: dict[str, AlgorithmSetting] = {
    setting.name: setting
    for setting in (
        AlgorithmSetting(
            "alpha_prior", "ALPHA_PRIOR", 1.0, 0, 1e6, "Successes assumed before any data", low_open=True
        ),
        AlgorithmSetting(
            "beta_prior", "BETA_PRIOR", 1.0, 0, 1e6, "Failures assumed before any data", low_open=True
        ),
        AlgorithmSetting(
            "min_explore_rate",
            "MIN_EXPLORE_RATE",
            0.05,
            0,
            0.5,
            "Traffic always spread evenly over all variants",
        ),
        AlgorithmSetting(
            "control_floor", "CONTROL_FLOOR", 0.10, 0, 0.5, "The least share the control ever gets"
        ),
        AlgorithmSetting(
            "max_daily_shift",
            "MAX_DAILY_SHIFT",
            0.20,
            SHARE_STEP,
            1,
            "The most a share moves from one day to the next",
            step=SHARE_STEP,
        ),
        AlgorithmSetting(
            "window_days", "DEFAULT_WINDOW_DAYS", 14, 1, 365, "Days of data a decision looks at"
        ),
        AlgorithmSetting(
            "maturity_days", "MATURITY_DAYS", 0, 0, 90, "Latest days left out, as their outcomes still arrive"
        ),
        AlgorithmSetting(
            "min_impressions",
            "MIN_IMPRESSIONS_FOR_OPTIMIZATION",
            1000,
            0,
            10**9,
            "Impressions before traffic is optimized",
        ),
        AlgorithmSetting(
            "day_adjustment",
            "DAY_ADJUSTMENT",
            True,
            0,
            1,
            "Whether day-to-day swings of all rates are taken out",
        ),
        AlgorithmSetting(
            "exploitation",
            "EXPLOITATION",
            1.0,
            0,
            20,
            "Power of probability_best: 1 is Thompson Sampling, more is greedier",
            low_open=True,
        ),
    )
}


def setting_problems(values: Mapping[str, object]) -> dict[str, str]:
    """For each setting in ``values`` that is refused, why. Floors are checked together where both are given."""
    problems = {
        name: problem
        for name, value in values.items()
        if (problem := ALGORITHM_SETTINGS[name].problem(value)) is not None
    }
    floors = [values.get("control_floor"), values.get("min_explore_rate")]
    if not problems and all(isinstance(f, int | float) for f in floors):
        total = sum(f for f in floors if isinstance(f, int | float))
        if total > HIGHEST_FLOOR_SUM + 1e-12:
            problems["control_floor"] = (
                f"and min_explore_rate must not exceed {HIGHEST_FLOOR_SUM} together, they are {total:g}"
            )
    return problems
