"""Recorded inputs without what repeats itself in their JSON: what is left is short, and comes back as it was.

Variants are columns instead of rows, days without a gap a number, and the shares before a list in the order of the
variants. What has another form stays.
"""

from collections.abc import Mapping
from typing import Any

# What a slim form is called; no inputs have such a name.
_DAYS, _PREVIOUS, _VARIANTS = "_days", "_previous", "_variants"


def slim(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Make inputs short, whose ``counts`` are an object."""
    short = dict(inputs)
    days = inputs["counts"].get("days")
    if isinstance(days, list) and days == list(range(len(days))) and all(type(day) is int for day in days):
        short["counts"] = {name: value for name, value in inputs["counts"].items() if name != "days"}
        short[_DAYS] = len(days)
    variants = inputs.get("variants")
    if isinstance(variants, list) and _are_alike(variants):
        short[_VARIANTS] = {name: [one[name] for one in variants] for name in variants[0]}
        del short["variants"]
        previous = inputs.get("previous")
        if isinstance(previous, dict) and previous.keys() == {str(one.get("id")) for one in variants}:
            short[_PREVIOUS] = [previous[str(one["id"])] for one in variants]
            del short["previous"]
    return short


def whole(short: Mapping[str, Any]) -> dict[str, Any]:
    """Give the inputs that were made short."""
    inputs = dict(short)
    if _DAYS in short:
        inputs["counts"] = {**short["counts"], "days": list(range(inputs.pop(_DAYS)))}
    if _VARIANTS in short:
        columns = inputs.pop(_VARIANTS)
        inputs["variants"] = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    if _PREVIOUS in short:
        shares = zip(inputs["variants"], inputs.pop(_PREVIOUS), strict=True)
        inputs["previous"] = {str(one["id"]): share for one, share in shares}
    return inputs


def _are_alike(variants: list[Any]) -> bool:
    if not variants or not isinstance(variants[0], dict) or not variants[0]:
        return False
    return all(isinstance(one, dict) and one.keys() == variants[0].keys() for one in variants)
