"""Everything that can be wrong with what a caller asks. bandit_project.errors turns these into answers."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class Issue(NamedTuple):
    """One thing wrong with the input: where, a stable code, and what to do."""

    field: str
    code: str
    message: str


class DomainError(Exception):
    """The root. ``code`` is stable; ``members`` are further facts for the caller."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **members: object) -> None:
        super().__init__(message)
        self.members = members


class NotFoundError(DomainError):
    code = "not_found"


class ConflictError(DomainError):
    code = "conflict"


class ForbiddenError(DomainError):
    code = "forbidden"


class InvalidError(DomainError):
    """Bad input, field by field."""

    code = "invalid"

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__("; ".join(f"{issue.field}: {issue.message}" for issue in issues[:3]))
        self.issues = list(issues)


class VariantNotFoundError(NotFoundError):
    code = "variant_not_found"


class InvalidRowsError(InvalidError):
    """Bad rows in a list of rows, each by its position; the caller knows how its own input names them."""

    def __init__(self, row_issues: Sequence[tuple[int, Issue]]) -> None:
        self.row_issues = list(row_issues)
        super().__init__(
            [issue._replace(field=f"rows[{index}].{issue.field}") for index, issue in row_issues]
        )


class ExperimentNotFoundError(NotFoundError):
    code = "experiment_not_found"


class StatusConflictError(ConflictError):
    code = "status_conflict"


class IdempotencyKeyInUseError(ConflictError):
    code = "idempotency_key_in_use"


class IdempotencyKeyReusedError(InvalidError):
    """A domain error of its own code; the key itself is the field."""

    code = "idempotency_key_reused"

    def __init__(self, message: str) -> None:
        super().__init__([Issue("Idempotency-Key", self.code, message)])


class IdempotencyKeyRequiredError(InvalidError):
    code = "idempotency_key_required"

    def __init__(self, message: str) -> None:
        super().__init__([Issue("Idempotency-Key", self.code, message)])


class ControlConflictError(ConflictError):
    code = "control_conflict"


class ResetForbiddenError(ForbiddenError):
    code = "reset_forbidden"
