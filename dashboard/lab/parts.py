"""One computation in several requests, so that none takes more than about a second and a half of a core.

Nothing is kept here between them, as each may meet another worker: the decisions made so far go to the reader, signed,
and come back with the next request, which plays on from there. The numbers are those of one long request.
"""

import base64
import hashlib
import json
import time
import zlib
from typing import Any, cast

import numpy as np
from django.core.signing import BadSignature, Signer
from django.http import QueryDict

from allocation.engine.lab.tape import Tape
from allocation.engine.posterior.beta import Floats
from dashboard.lab.fields import LabForm

# The name under which a request brings what those before it computed.
COMPUTED = "computed"
# Of CPU, until a request ends after the step that it is at. Steps are short (allocation.lab.work.MOST_OF_A_STEP).
SECONDS = 1.2
_NOT_ASKED = {COMPUTED, "csrfmiddlewaretoken", "whole"}


class PausedError(Exception):
    """The request has had its share of a core; its tape goes on in another one."""


class Pace:
    """Called after each step by the thread that computes, from its first on; ends what is not over in time.

    A request makes at least one step, so that a computation comes to its end however long it takes to play again.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape, self._start = tape, time.thread_time()

    def __call__(self) -> None:
        if self._tape.has_grown and time.thread_time() - self._start > SECONDS:
            raise PausedError


def seal(tape: Tape, question: str) -> str:
    """Pack the tape for the reader, who can neither change it nor use it for another question."""
    packed = base64.b64encode(zlib.compress(tape.numbers().tobytes(), 1)).decode()
    return _signer(question).sign(packed)


def unseal(sealed: str, question: str) -> Tape | None:
    """Unpack what ``seal`` made for this question; None where it is something else."""
    try:
        packed = _signer(question).unsign(sealed)
    except BadSignature:
        return None
    numbers: Floats = np.frombuffer(zlib.decompress(base64.b64decode(packed)), dtype=np.float64)
    return Tape(numbers)


def question_of(name: str, form: LabForm, answers: Any) -> str:
    """Tell questions apart: what was filled in, the files, and the installation's settings behind the blanks."""
    data = cast(QueryDict, form.data)
    asked = {key: data.getlist(key) for key in data if key not in _NOT_ASKED and data[key]}
    files = {key: _digest(form.files[key]) for key in form.files}
    return hashlib.sha256(
        json.dumps([name, asked, files, repr(answers)], sort_keys=True).encode()
    ).hexdigest()


def _digest(file: Any) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _signer(question: str) -> Signer:
    return Signer(salt=f"dashboard.lab.{question}")
