"""What can be wrong with asking for an allocation."""

from experiments.exceptions import ConflictError, NotFoundError


class NoAllocationError(NotFoundError):
    """The experiment has no allocation yet."""

    code = "no_allocation"


class AllocationNotFoundError(NotFoundError):
    """The experiment's ledger has no such entry."""

    code = "allocation_not_found"


class NoActiveVariantError(ConflictError):
    """The experiment has no active variant to give traffic to."""

    code = "no_active_variant"
