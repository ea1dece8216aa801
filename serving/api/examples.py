"""Example requests of the API documentation."""

from drf_spectacular.utils import OpenApiExample

COUNTS = OpenApiExample(
    "Three visitors, one of whom clicked and bought",
    request_only=True,
    value={
        "increments": [
            {
                "experiment": "checkout",
                "variant": "blue",
                "day": "2025-08-14",
                "impressions": 3,
                "clicks": 1,
                "values": [12.5],
            }
        ]
    },
)

VISITOR = OpenApiExample(
    "A visitor", request_only=True, value={"context": {"targetingKey": "visitor-42", "country": "pt"}}
)
