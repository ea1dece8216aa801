"""The version of an experiment as its ETag: who sends it back with a change overwrites nobody else's.

It is a digest of what is shown, so that it changes with that and with nothing else: new counts leave it as it is.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

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
    description="The `ETag` of what you read: 412 where somebody has changed the experiment since.",
)


def etag_of(shown: Any) -> str:
    """Make the ETag of an experiment as the API shows it."""
    return f'"{hashlib.sha256(JSONRenderer().render(shown)).hexdigest()[:32]}"'


def is_known(request: Request, etag: str) -> bool:
    """True where the caller has this version already."""
    return _names(request.headers.get("If-None-Match", ""), etag)


@contextmanager
def unless_changed(request: Request, reference: str) -> Iterator[int]:
    """Give the id of the experiment to a block that changes it, and let nobody else change it meanwhile.

    Raises PreconditionFailedError where If-Match names another version than the present one.
    """
    expected = request.headers.get("If-Match")
    with transaction.atomic():
        experiment_id = find_experiment(reference).pk
        if expected is not None:
            lock_experiments([experiment_id])
            found = find_experiment(experiment_id, Experiment.objects.with_variants())
            if not _names(expected, etag_of(ExperimentSerializer(found).data)):
                raise PreconditionFailedError(
                    "The experiment is not the one that If-Match names: somebody has changed it since you read it. "
                    "Read it again, and send your change with its new ETag."
                )
        yield experiment_id


def _names(header: str, etag: str) -> bool:
    """Tell if the header names this ETag, or any. A proxy that compresses an answer marks its ETag as weak."""
    named = parse_etags(header)
    return named == ["*"] or etag in (one.removeprefix("W/") for one in named)
