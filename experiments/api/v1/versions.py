"""The version of an experiment as its ETag: who sends it back with a change overwrites nobody else's.

It is a digest of what is shown, so that it changes with that and with nothing else: new counts leave it as it is.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.api.v1.schemas import ExperimentSerializer
from experiments.exceptions import PreconditionFailedError
from experiments.models import Experiment
from experiments.selectors import find_experiment
from experiments.services import lock_experiments

ETAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, response=[200, 201], description="The version of the experiment."
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="An `ETag`: 304 while the experiment has it."
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` of the experiment that you read: 412 where it has changed since.",
)


def experiment_response(
    reference: int | str, code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with an experiment and its ETag."""
    shown = _shown(reference)
    return Response(shown, code, headers={**(headers or {}), "ETag": _etag_of(shown)})


def _shown(reference: int | str) -> Any:
    return ExperimentSerializer(find_experiment(reference, Experiment.objects.with_variants())).data


def _etag_of(shown: Any) -> str:
    return f'"{hashlib.sha256(JSONRenderer().render(shown)).hexdigest()[:32]}"'


def is_known(request: Request, etag: str) -> bool:
    """True where the caller has this version already."""
    return _names(request.headers.get("If-None-Match", ""), etag)


@contextmanager
def unless_changed(request: Request, reference: str) -> Iterator[Experiment]:
    """Give the experiment to a block that changes it. With If-Match nobody else changes it meanwhile.

    Raises PreconditionFailedError where If-Match names another version than the present one.
    """
    expected = request.headers.get("If-Match")
    with transaction.atomic():
        experiment = find_experiment(reference)
        if expected is not None:
            lock_experiments([experiment.pk])
            if not _names(expected, _etag_of(_shown(experiment.pk))):
                raise PreconditionFailedError(
                    "The experiment has changed since you read it: If-Match names another version. Somebody has "
                    "changed it, a schedule or a default, or this request did if it was sent before. Read it again "
                    "and compare; what is still missing goes with its new ETag."
                )
            experiment.refresh_from_db()
        yield experiment


def _names(header: str, etag: str) -> bool:
    """Tell if the header names this ETag, or any. A proxy that compresses an answer marks its ETag as weak."""
    named = parse_etags(header)
    return named == ["*"] or etag in (one.removeprefix("W/") for one in named)
