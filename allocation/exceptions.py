"""Errors of requests for an allocation."""

import datetime as dt
from collections.abc import Sequence
from typing import Self

from django.utils.translation import gettext as _

from experiments.exceptions import ConflictError, DomainError, InvalidError, Issue, NotFoundError
from experiments.tables.issues import RowIssue
from experiments.text import written_day


class NoAllocationError(NotFoundError):
    """The experiment has no allocation yet."""

    code = "no_allocation"


class AllocationNotFoundError(NotFoundError):
    """The experiment's ledger has no such entry."""

    code = "allocation_not_found"


class NoActiveVariantError(ConflictError):
    """The experiment has no active variant to give traffic to."""

    code = "no_active_variant"

    @classmethod
    def of(cls, key: str, *, has_retired: bool) -> Self:
        message = (
            _("Experiment %(key)r has no active variant; reactivate one.")
            if has_retired
            else _("Experiment %(key)r has no active variant. Add at least two variants first.")
        )
        return cls(message % {"key": key})


class LaterDecisionError(ConflictError):
    """A decision for a later date has split traffic already; decide for that date, or for today."""

    code = "later_decision"

    @classmethod
    def of(cls, date: dt.date) -> Self:
        message = _(
            "A decision for %(date)s has been made already and rests on the ones before it, so these stay as they "
            "are. Update the allocation of today instead: it counts corrected days, too."
        )
        return cls(message % {"date": written_day(date)}, later_date=date.isoformat())


class NotStoppedError(ConflictError):
    """No guard has stopped the experiment."""

    code = "not_stopped_by_guard"


class AllocationFailedError(DomainError):
    """A fault of ours while computing one of many; it has been logged."""

    code = "allocation_failed"


class PastTestsError(InvalidError):
    """A file of past tests that is refused, with its lines; line 0 means the file as a whole."""

    def __init__(self, row_issues: Sequence[RowIssue]) -> None:
        self.row_issues = list(row_issues)
        super().__init__([Issue(issue.column or "file", "invalid", issue.message) for issue in row_issues])
