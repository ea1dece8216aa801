"""The OpenFeature remote evaluation protocol (OFREP 0.3): which variant does this visitor see?

The answers as data, from a snapshot alone. An experiment is a flag, its value the key of the variant.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from serving.snapshot import Served, Snapshot

LONGEST_TARGETING_KEY = 255


class OfrepAnswer(NamedTuple):
    """A status and a body. ``etag``, quoted, names the answer; without a body nothing has changed."""

    status: int
    body: Mapping[str, Any] | None
    etag: str | None = None


class _RefusedError(Exception):
    """A request that cannot be evaluated, by the protocol's code."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.body = {"errorCode": code, "errorDetails": details}


def evaluate_flag(snapshot: Snapshot, key: str, raw: bytes) -> OfrepAnswer:
    """Answer a single evaluation; ``raw`` is the request's body."""
    try:
        unit = _targeting_key(raw)
    except _RefusedError as refused:
        return OfrepAnswer(400, {"key": key[:255], **refused.body})
    experiment = snapshot.experiments.get(key)
    if experiment is None:
        details = "There is no such experiment, or it is a draft, archived or without an active variant."
        return OfrepAnswer(404, {"key": key[:255], "errorCode": "FLAG_NOT_FOUND", "errorDetails": details})
    return OfrepAnswer(200, _evaluated(experiment, unit))


def evaluate_flags(snapshot: Snapshot, raw: bytes, known: str) -> OfrepAnswer:
    """Answer a bulk evaluation; ``known`` is If-None-Match. What has not changed is not evaluated."""
    try:
        unit = _targeting_key(raw)
    except _RefusedError as refused:
        return OfrepAnswer(400, refused.body)
    etag = f'"{snapshot.digest[:16]}-{hashlib.sha256(unit.encode()).hexdigest()[:16]}"'
    if is_known(etag, known):
        return OfrepAnswer(304, None, etag)
    flags = [_evaluated(experiment, unit) for experiment in snapshot.experiments.values()]
    return OfrepAnswer(200, {"flags": flags}, etag)


def is_known(etag: str, given: str) -> bool:
    """Tell if If-None-Match names this ETag; a proxy that compresses makes it a weak one."""
    if not given:
        return False
    return etag in (one.strip().removeprefix("W/") for one in given.split(",")) or given.strip() == "*"


def _evaluated(experiment: Served, unit: str) -> dict[str, Any]:
    variant = experiment.race.winner(unit)
    facts = {
        "experiment": experiment.key,
        "allocation": experiment.allocation,
        "share": experiment.shares[variant],
        "targetDate": experiment.target_date,
        "expiresAt": experiment.expires_at,
    }
    return {
        "key": experiment.key,
        "value": variant,
        "variant": variant,
        "reason": "STATIC" if experiment.is_fixed else "SPLIT",
        # the protocol has no null in metadata
        "metadata": {name: value for name, value in facts.items() if value is not None},
    }


def _targeting_key(raw: bytes) -> str:
    """Read the one thing that matters of the context: who is to be served."""
    try:
        body = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise _RefusedError("PARSE_ERROR", f"The body is not JSON: {error}.") from None
    context = body.get("context") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(context, dict | None):
        raise _RefusedError("INVALID_CONTEXT", 'Send {"context": {"targetingKey": "visitor-42"}}.')
    unit = (context or {}).get("targetingKey")
    if unit is None:
        raise _RefusedError("TARGETING_KEY_MISSING", "context.targetingKey is missing: the visitor's id.")
    # all visitors with a blank name would be one
    if not isinstance(unit, str) or not unit.strip() or len(unit) > LONGEST_TARGETING_KEY:
        details = (
            f"context.targetingKey must be text of 1 to {LONGEST_TARGETING_KEY} characters, not all blank."
        )
        raise _RefusedError("INVALID_CONTEXT", details)
    return unit
