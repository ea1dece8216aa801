"""Example requests of the API documentation."""

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


def _request(name: str, value: object, media_type: str = "application/json") -> OpenApiExample:
    return OpenApiExample(name, request_only=True, value=value, media_type=media_type)


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
DAY = OpenApiExample(
    "One day of one experiment",
    request_only=True,
    value={"experiment_id": "checkout", "date": "2025-08-14", "variants": _DAY},
)
CLASSIC_DAY = OpenApiExample(
    "A day of two variants",
    request_only=True,
    value={"experiment_id": 1, "date": "2025-08-14", "variants": _DAY},
)
CLASSIC_FLAT = OpenApiExample(
    "A day of one variant", request_only=True, value={"experiment_id": 1, "date": "2025-08-14", **_DAY[0]}
)
REPLACEMENT = _request(
    "Another window, all else by default", {"name": "Checkout", "settings": {"window_days": 21}}
)
CHANGE = _request(
    "One setting set, one given back to the installation",
    {"settings": {"window_days": 21, "control_floor": None}},
)
NEW_VARIANT = _request("A third variant", {"name": "green"})
VARIANT_CHANGE = _request("Another name", {"name": "Blue button"})
NEW_NOTE = _request("A sale", {"date": "2025-08-14", "text": "The summer sale begins"})
NEW_GUARD = _request(
    "Orders must not fall by a tenth", {"metric": "conversion_rate", "max_fall": 10, "action": "act"}
)
GUARD_CHANGE = _request("Notify only", {"action": "tell"})
COMPLETION = _request("With a winner", {"winner": "blue"})
CSV = _request("A file of daily totals", {"file": "events.csv"}, "multipart/form-data")
CLASSIC_EXPERIMENT = _request("An experiment", {"name": "Button", "description": "Green or blue?"})
