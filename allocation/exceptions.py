"""What can be wrong with asking for an allocation."""

from experiments.exceptions import ConflictError, NotFoundError


class NoAllocationError(NotFoundError):
    code = "no_allocation"


class NoActiveVariantError(ConflictError):
    code = "no_active_variant"
