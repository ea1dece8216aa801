"""Tables of this app. The database holds the invariants."""

from experiments.campaign.models import Guard, Note
from experiments.models.answers import IdempotentAnswer
from experiments.models.experiment import (
    MAX_VARIANTS,
    TAKES_EVENTS,
    TRANSITIONS,
    DailyMetric,
    DataSummary,
    Experiment,
    ExperimentQuerySet,
    Status,
    Variant,
)
from experiments.models.files import ColumnMapping, CsvUpload

__all__ = [
    "MAX_VARIANTS",
    "TAKES_EVENTS",
    "TRANSITIONS",
    "ColumnMapping",
    "CsvUpload",
    "DailyMetric",
    "DataSummary",
    "Experiment",
    "ExperimentQuerySet",
    "Guard",
    "IdempotentAnswer",
    "Note",
    "Status",
    "Variant",
]
