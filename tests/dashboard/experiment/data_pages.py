"""Addresses, and what the forms of the data pages send."""

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from experiments.models import DailyMetric, Variant

ONE = "/dashboard/experiments/button-colour/"
DATA = f"{ONE}data/"
DAY = f"{DATA}day/"
EDIT = f"{DAY}?date=2025-09-01"
UPLOAD = f"{DATA}upload/"
HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions\n"


def day_sent(date: str = "2025-09-01", **by_variant: tuple[object, object, object]) -> dict[str, str]:
    """Build what a day's form sends, for variants by name."""
    sent = {"date": date}
    for name, values in by_variant.items():
        pk = Variant.objects.get(name=name).pk
        for field, value in zip(("impressions", "clicks", "conversions"), values, strict=True):
            sent[f"{field}-{pk}"] = str(value)
    return sent


def stored_rows() -> list[tuple[Any, ...]]:
    fields = ("date", "variant__name", "impressions", "clicks", "conversions")
    return sorted(DailyMetric.objects.values_list(*fields))


def form_errors(response: Any) -> list[tuple[str, list[str]]]:
    return [(name.split("-")[0], list(errors)) for name, errors in response.context["form"].errors.items()]


def file_sent(text: str, name: str = "totals.csv") -> dict[str, SimpleUploadedFile]:
    return {"file": SimpleUploadedFile(name, text.encode(), "text/csv")}
