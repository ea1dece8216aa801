"""Requests as the documentation shows them."""

from drf_spectacular.utils import OpenApiExample

_ROW = {
    "experiment_id": "checkout",
    "date": "2025-08-14",
    "variant_name": "control",
    "impressions": 10000,
    "clicks": 700,
}
_BLUE = {**_ROW, "variant_name": "blue", "clicks": 950}
_DAY = [{k: row[k] for k in ("variant_name", "impressions", "clicks")} for row in (_ROW, _BLUE)]

NEW_EXPERIMENT = OpenApiExample(
    "Two variants, one setting of its own",
    request_only=True,
    value={
        "name": "Checkout",
        "status": "active",
        "variants": [{"name": "control"}, {"name": "blue"}],
        "settings": {"control_floor": 0.2},
    },
)
BATCH = OpenApiExample(
    "A day of two variants", request_only=True, value={"mode": "set", "rows": [_ROW, _BLUE]}
)
CLASSIC_DAY = OpenApiExample(
    "A day of two variants",
    request_only=True,
    value={"experiment_id": 1, "date": "2025-08-14", "variants": _DAY},
)
CLASSIC_FLAT = OpenApiExample(
    "A day of one variant", request_only=True, value={"experiment_id": 1, "date": "2025-08-14", **_DAY[0]}
)
