"""What each role may do in the admin. A person of a role also needs "staff status" to get in.

Viewers look, analysts correct data and experiments, admins everything: keys, endpoints with their secrets, people.
"""

from typing import Any

from experiments.roles import Role

_LOOKED_AT = (
    "experiments.experiment", "experiments.variant", "experiments.dailymetric",
    "experiments.historicalexperiment", "experiments.historicalvariant",
    "allocation.allocation", "allocation.allocationshare", "notifications.alarm",
)  # fmt: skip
_EDITED = (
    "experiments.change_experiment", "experiments.add_variant", "experiments.change_variant",
    "experiments.change_dailymetric",
)  # fmt: skip
_OWNED = ("experiments", "allocation", "notifications", "bandit_project", "auth", "axes")


def permissions_of(role: Role, permissions: Any) -> Any:
    """Those of the model ``permissions`` (a migration has its own) that the role holds."""
    if role is Role.ADMIN:
        return permissions.filter(content_type__app_label__in=_OWNED)
    looked_at = [f"{app}.view_{model}" for app, model in (name.split(".") for name in _LOOKED_AT)]
    named = [*looked_at, *(_EDITED if role is Role.ANALYST else ())]
    ids = [
        permission.pk
        for permission in permissions.select_related("content_type")
        if f"{permission.content_type.app_label}.{permission.codename}" in named
    ]
    return permissions.filter(pk__in=ids)
