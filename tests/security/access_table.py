"""The table of permissions: one row for each path and method of the service.

A row names the least caller who may: everyone above may too. People come with a session, programs with a key, and a
key's scope counts as the role beside it. On pages keys count for nothing. A serve key may what SERVED names, and what
anyone may.
"""

from dataclasses import dataclass
from enum import IntEnum


class Least(IntEnum):
    """A level of access. LOOK: viewer or read key. EDIT: analyst or write key. OWN: admin or admin key."""

    ANYONE = 0
    LOOK = 1
    EDIT = 2
    OWN = 3
    NOBODY = 4


@dataclass(frozen=True)
class Row:
    """One call. ``sign_in`` is where a caller without a session is sent; the API answers 401 instead."""

    place: str
    method: str
    least: Least
    sign_in: str | None = None


ANYONE, LOOK, EDIT, OWN, NOBODY = Least

_ONE = "experiments/{reference}/"
_USER = "users/{user_id}/"
_CHANNEL = "notifications/{channel_id}/"
_VARIANT = f"{_ONE}settings/variants/{{variant_id}}/"

_OPEN = {
    ("GET", ANYONE): (
        "", "admin", "dashboard", "favicon.ico", "health", "health/", "health/live", "health/live/",
        "schema", "schema/", "docs", "docs/",
        "accounts/login/", "accounts/password_reset/", "accounts/password_reset/done/",
        "accounts/reset/{uidb64}/{token}/", "accounts/reset/done/", "admin/login/",
        "accounts/invitation/{token}/", "dashboard/shared/{token}/",
        "accounts/oidc/", "accounts/oidc/callback/", "accounts/oidc/logout/",
    ),
    ("POST", ANYONE): (
        "accounts/language/", "accounts/login/", "accounts/logout/", "accounts/password_reset/",
        "accounts/reset/{uidb64}/{token}/", "admin/login/", "accounts/invitation/{token}/",
    ),
}  # fmt: skip

# /metrics takes METRICS_TOKEN alone, which none of the callers has.
_API = {
    ("GET", NOBODY): ("metrics",),
    ("GET", LOOK): tuple(
        f"api/v1/{path}"
        for path in (
            "experiments/", _ONE, f"{_ONE}allocation/", f"{_ONE}allocations/",
            f"{_ONE}allocations/{{allocation_id}}/", f"{_ONE}assignment/", f"{_ONE}statistics/",
            f"{_ONE}variants/", f"{_ONE}variants/{{variant_id}}/", f"{_ONE}metrics/", "events/template.csv",
            f"{_ONE}notes/", f"{_ONE}notes/{{note_id}}/", f"{_ONE}guards/", f"{_ONE}guards/{{guard_id}}/",
            "ruleset/",
        )
    ),
    # They compute, and write nothing.
    ("POST", LOOK): (
        f"api/v1/{_ONE}assignments/", "api/v1/simulations/", "api/v1/backtests/",
        "ofrep/v1/evaluate/flags", "ofrep/v1/evaluate/flags/{key}",
    ),
    ("POST", EDIT): tuple(
        f"api/v1/{path}"
        for path in (
            "experiments/", f"{_ONE}complete/", f"{_ONE}complete/undo/", f"{_ONE}allocation/", f"{_ONE}archive/",
            f"{_ONE}duplicate/",
            f"{_ONE}pause/", f"{_ONE}resume/", f"{_ONE}start/", f"{_ONE}unarchive/", f"{_ONE}variants/",
            "events/", "events/csv/", f"{_ONE}notes/", f"{_ONE}guards/", f"{_ONE}guards/resume/", "counts/",
        )
    ),
    ("PUT", EDIT): (f"api/v1/{_ONE}",),
    ("PATCH", EDIT): tuple(
        f"api/v1/{_ONE}{path}" for path in ("", "variants/{variant_id}/", "guards/{guard_id}/")
    ),
    ("DELETE", EDIT): (f"api/v1/{_ONE}notes/{{note_id}}/", f"api/v1/{_ONE}guards/{{guard_id}}/"),
    ("DELETE", OWN): (f"api/v1/{_ONE}",),
}  # fmt: skip

# What a key that is in visitors' browsers may do besides what anyone may.
SERVED = frozenset(
    {
        ("GET", "api/v1/ruleset/"),
        ("POST", "api/v1/counts/"),
        ("POST", "ofrep/v1/evaluate/flags"),
        ("POST", "ofrep/v1/evaluate/flags/{key}"),
    }
)

# Each with and without a trailing slash. GET /allocation records what it computes, as its clients expect.
_CLASSIC = {
    ("GET", LOOK): (
        "allocation", "experiments/{reference}/history", "experiments", "experiments/{reference}",
        "download-template",
    ),
    ("POST", EDIT): ("experiments", "events", "upload-data"),
    ("POST", OWN): ("reset_data",),
}  # fmt: skip

_PAGES = {
    ("GET", LOOK): (
        "dashboard/",
        *(
            f"dashboard/{path}"
            for path in (
                "limits/", _ONE, f"{_ONE}statistics.csv", f"{_ONE}explore/", f"{_ONE}traffic/",
                f"{_ONE}traffic/decision-log.csv", f"{_ONE}history/", f"{_ONE}integrate/", f"{_ONE}report/",
                f"{_ONE}everything.zip", f"{_ONE}simulate/", f"{_ONE}plan/", "experiments.csv",
                f"{_ONE}performance/", f"{_ONE}performance/statistics.csv", f"{_ONE}allocation/", f"{_ONE}regret/",
                f"{_ONE}confidence/", f"{_ONE}activity/",
                f"{_ONE}data/", f"{_ONE}data/columns/", f"{_ONE}data/daily-metrics.csv",
                f"{_ONE}data/template.csv", f"{_ONE}settings/",
                "simulator/", "simulator/run/", "backtest/", "backtest/run/", "planner/", "planner/run/", "algorithm/",
            )
        ),
        "accounts/password_change/", "accounts/password_change/done/", "dashboard/account/",
    ),
    # The form sends a file by POST, and a long computation what it has come to; nothing of it is stored.
    ("POST", LOOK): (
        "dashboard/backtest/", "dashboard/backtest/run/", "dashboard/simulator/run/", "dashboard/planner/run/",
        "accounts/password_change/", "dashboard/account/",
    ),
    ("GET", EDIT): tuple(
        f"dashboard/{path}"
        for path in (
            "experiments/new/", f"{_ONE}data/day/", f"{_ONE}data/upload/", f"{_ONE}data/upload/{{token}}/",
            f"{_ONE}data/upload/{{token}}/columns/", "use-settings/",
        )
    ),
    ("POST", EDIT): tuple(
        f"dashboard/{path}"
        for path in (
            "archive/", "experiments/new/", f"{_ONE}data/day/", f"{_ONE}data/upload/", f"{_ONE}data/upload/{{token}}/",
            f"{_ONE}data/upload/{{token}}/columns/", f"{_ONE}data/columns/forget/",
            f"{_ONE}settings/", f"{_ONE}settings/variants/", f"{_VARIANT}rename/", f"{_VARIANT}retire/",
            f"{_ONE}settings/guards/", f"{_ONE}settings/guards/{{guard_id}}/",
            f"{_ONE}settings/guards/{{guard_id}}/delete/",
            f"{_VARIANT}bring-back/", f"{_VARIANT}control/", f"{_ONE}start/", f"{_ONE}pause/",
            f"{_ONE}resume/", f"{_ONE}complete/", f"{_ONE}complete/undo/", f"{_ONE}recompute/", f"{_ONE}duplicate/",
            f"{_ONE}archive/", f"{_ONE}unarchive/", f"{_ONE}resume-after-guard/",
            f"{_ONE}history/notes/", f"{_ONE}history/notes/{{note_id}}/delete/",
            f"{_ONE}report/", f"{_ONE}report/links/{{link_id}}/revoke/",
        )
    ),
    ("GET", OWN): tuple(
        f"dashboard/administration/{path}"
        for path in ("users/", "changes/", "keys/", "notifications/", "notifications/new/", _CHANNEL)
    ),
    ("POST", OWN): (
        "dashboard/load-demo/", f"dashboard/{_ONE}delete/", f"dashboard/{_ONE}integrate/",
        *(
            f"dashboard/administration/{path}"
            for path in (
                "users/", f"{_USER}role/", f"{_USER}deactivate/", f"{_USER}reactivate/", f"{_USER}resend/",
                "keys/", "keys/{prefix}/revoke/", "notifications/new/", _CHANNEL, f"{_CHANNEL}test/",
                f"{_CHANNEL}secret/", f"{_CHANNEL}delete/", f"{_CHANNEL}deliveries/{{delivery_id}}/retry/",
            )
        ),
    ),
}  # fmt: skip

# Who looks at the address of a button is led to its page, which asks who that is.
_BUTTONS = {
    ("GET", ANYONE): tuple(
        place
        for (method, _least), places in _PAGES.items()
        for place in places
        if method == "POST" and not any(place in there for (by, _), there in _PAGES.items() if by == "GET")
    )
}

# The admin's people have "staff status" besides their role.
_ADMIN = {
    ("GET", LOOK): (
        "admin/", "admin/password_change/", "admin/password_change/done/", "admin/jsi18n/",
        "admin/r/{content_type_id}/{object_id}/", "admin/{app_label}/", "admin/{url}",
        "admin/experiments/dailymetric/export/",
        "admin/experiments/experiment/{object_id}/history/{object_id}/",
    ),
    ("POST", ANYONE): ("admin/logout/",),
    ("GET", OWN): ("admin/auth/user/{id}/password/",),
    # None of our forms completes a name.
    ("GET", NOBODY): ("admin/autocomplete/",),
}  # fmt: skip

# Each model's pages in the admin: to look at it, add, change, delete. Decisions and counts are never deleted there.
_MODELS = {
    "experiments/experiment": (LOOK, NOBODY, EDIT, NOBODY),
    "experiments/dailymetric": (LOOK, NOBODY, EDIT, NOBODY),
    "allocation/allocation": (LOOK, NOBODY, NOBODY, NOBODY),
    "notifications/alarm": (LOOK, NOBODY, NOBODY, NOBODY),
    "notifications/delivery": (OWN, NOBODY, NOBODY, NOBODY),
    "auth/group": (OWN, OWN, OWN, OWN),
    "auth/user": (OWN, OWN, OWN, OWN),
    "axes/accessattempt": (OWN, NOBODY, OWN, OWN),
    "axes/accesslog": (OWN, NOBODY, OWN, OWN),
}

_Rows = dict[tuple[str, Least], tuple[str, ...]]


def _rows(table: _Rows, sign_in: str | None = None) -> list[Row]:
    return [
        Row(place, method, least, sign_in) for (method, least), places in table.items() for place in places
    ]


def _model_rows() -> list[Row]:
    rows = []
    for model, (look, add, change, delete) in _MODELS.items():
        one = f"admin/{model}/{{object_id}}/"
        parts = (
            (f"admin/{model}/", "GET", look), (f"{one}history/", "GET", look), (f"{one}change/", "GET", look),
            (one, "GET", LOOK), (f"admin/{model}/add/", "GET", add), (f"admin/{model}/add/", "POST", add),
            (f"{one}change/", "POST", change), (f"{one}delete/", "POST", delete),
        )  # fmt: skip
        rows += [Row(place, method, least, "/admin/login/") for place, method, least in parts]
    return rows


ACCESS: list[Row] = [
    *_rows(_OPEN),
    *_rows(_API),
    *_rows({key: (*places, *(f"{place}/" for place in places)) for key, places in _CLASSIC.items()}),
    *_rows(_PAGES, "/accounts/login/"),
    *_rows(_BUTTONS),
    *_rows(_ADMIN, "/admin/login/"),
    *_model_rows(),
]
