"""Errors of serving; each child of experiments.exceptions has the status of its parent."""

from experiments.exceptions import ConflictError


class CountsOutOfOrderError(ConflictError):
    """Clicks or conversions came before their impressions; `rows` names the increments to send again later."""

    code = "counts_out_of_order"


class CountsNotTakenError(ConflictError):
    """An experiment takes no counts; `rows` names the increments to drop."""

    code = "counts_not_taken"


class CountsCappedError(Exception):
    """The key has added as much as it may for a day."""
