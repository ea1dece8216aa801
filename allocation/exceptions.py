"""What can be wrong with asking for an allocation."""

from experiments.exceptions import ConflictError, NotFoundError


class NoAllocationError(NotFoundError):
    code = "no_allocation"


class AllocationNotFoundError(NotFoundError):
    code = "allocation_not_found"


class NoActiveVariantError(ConflictError):
    code = "no_active_variant"
