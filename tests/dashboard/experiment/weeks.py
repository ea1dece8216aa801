"""An experiment that has run for three weeks."""

import datetime as dt

from experiments.models import Experiment
from tests.factory import TODAY, allocate, counts, make_experiment, record


def three_weeks(name: str, clicks: int) -> Experiment:
    experiment = make_experiment(name)
    for age in range(20, -1, -1):
        day = TODAY - dt.timedelta(days=age)
        record(
            experiment, counts("control", 900, 45, 5, date=day), counts("b", 1100, clicks + age % 3, date=day)
        )
    allocate(experiment)
    return experiment
