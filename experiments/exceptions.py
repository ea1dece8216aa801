"""Errors of what a caller asks; bandit_project.api.errors turns them into answers."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

# A body of a million wrong rows is answered with the first ones: as many as a batch has rows.
MAX_ISSUES = 10_000


class Issue(NamedTuple):
    """One thing wrong with the input: where, a stable code, and what to do."""

    field: str
    code: str
    message: str


class DomainError(Exception):
    """The root of all errors. ``code`` is stable; ``members`` are further facts for the caller."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **members: object) -> None:
        super().__init__(message)
        self.members = members


class NotFoundError(DomainError):
    """The requested object does not exist."""

    code = "not_found"


class ConflictError(DomainError):
    """The state of things does not allow it."""

    code = "conflict"


class PreconditionFailedError(DomainError):
    """If-Match or If-Unmodified-Since names another state than the present one."""

    code = "precondition_failed"


class ForbiddenError(DomainError):
    """It is not allowed here."""

    code = "forbidden"


# A summary of many problems names so many.
MAX_SUMMED_UP = 3


def summed_up(issues: Sequence[Issue]) -> str:
    """Join the first problems to one line, each with its field; one of the whole body has none."""
    said = [f"{one.field}: {one.message}" if one.field else one.message for one in issues[:MAX_SUMMED_UP]]
    return "; ".join([*(text.removesuffix(".") for text in said[:-1]), *said[-1:]])


class InvalidError(DomainError):
    """A field is refused; `errors` names each, and the fix."""

    code = "invalid"

    def __init__(self, issues: Sequence[Issue], **members: object) -> None:
        super().__init__(summed_up(issues), **members)
        self.issues = list(issues)


class VariantNotFoundError(NotFoundError):
    """The experiment has no such variant."""

    code = "variant_not_found"


class NoteNotFoundError(NotFoundError):
    """The experiment has no such note."""

    code = "note_not_found"


class GuardNotFoundError(NotFoundError):
    """The experiment has no such guard."""

    code = "guard_not_found"


class InvalidRowsError(InvalidError):
    """Bad rows in a list of rows, each by its position; the caller knows how its own input names them."""

    def __init__(self, row_issues: Sequence[tuple[int, Issue]]) -> None:
        self.row_issues = list(row_issues)
        super().__init__(
            [issue._replace(field=f"rows[{index}].{issue.field}") for index, issue in row_issues]
        )


class ExperimentNotFoundError(NotFoundError):
    """There is no experiment with this id or key."""

    code = "experiment_not_found"


class StatusConflictError(ConflictError):
    """The experiment's status does not allow it; `status_now` is that status, `allowed` what it can move to."""

    code = "status_conflict"


class UndoExpiredError(ConflictError):
    """The time to undo the end of the experiment is over."""

    code = "undo_expired"


class ChangedMeanwhileError(ConflictError):
    """Somebody else changed it since it was read."""

    code = "changed_meanwhile"


class IdempotencyKeyInUseError(ConflictError):
    """The first request with this Idempotency-Key is still running; try again."""

    code = "idempotency_key_in_use"


class IdempotencyKeyReusedError(InvalidError):
    """This Idempotency-Key was used for another request."""

    code = "idempotency_key_reused"

    def __init__(self, message: str) -> None:
        super().__init__([Issue("Idempotency-Key", self.code, message)])


class IdempotencyKeyRequiredError(InvalidError):
    """mode=add needs an Idempotency-Key."""

    code = "idempotency_key_required"

    def __init__(self, message: str) -> None:
        super().__init__([Issue("Idempotency-Key", self.code, message)])


class ControlConflictError(ConflictError):
    """An experiment keeps one active control, which moves only in a draft."""

    code = "control_conflict"


class ResetForbiddenError(ForbiddenError):
    """Resetting is off in this installation."""

    code = "reset_forbidden"
