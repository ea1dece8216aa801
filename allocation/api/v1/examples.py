"""Requests as the documentation shows them."""

from drf_spectacular.utils import OpenApiExample

_TWO_HEADLINES = [
    {"variant": "control", "impressions": 4000, "clicks": 80},
    {"variant": "b", "impressions": 4000, "clicks": 160},
]

UNITS = OpenApiExample("Two visitors", request_only=True, value={"units": ["visitor-1", "visitor-2"]})
SIMULATION = OpenApiExample(
    "Two weeks of two variants",
    request_only=True,
    value={"rates": [0.04, 0.05], "daily_traffic": 2000, "days": 14, "runs": 20},
)
BACKTEST = OpenApiExample(
    "One past test", request_only=True, value={"tests": [{"experiment": "one", "variants": _TWO_HEADLINES}]}
)
