"""Bad input of any kind is answered without a 5xx, leaves nothing half-written and makes no worker grow."""

import base64
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.processes.files import sqlite_in
from tests.resilience.memory import MB, peak, reset_peak, resident
from tests.resilience.scale import FULL, scaled
from tests.resilience.service import Service, served

Report = Callable[[str], None]

GROWTH = 150 * MB
# In full nearly all that a body may hold.
KEYS = scaled(150_000, 500_000)
UPLOADS = ("/api/v1/events/csv/", "/upload-data")
WRITES = ("/api/v1/events/", "/events", "/api/v1/experiments/", "/api/v1/simulations/")
HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions"
GOOD = "button,2025-08-14,a,100,10,1"
# one pixel
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_in_full = pytest.mark.skipif(
    not FULL, reason="tests/contract runs a little of it; in full ten minutes, ./dev bench resilience"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with one worker, which gets all requests."""
    folder = tmp_path_factory.mktemp("bad-input")
    with served(sqlite_in(folder), ["--workers", "1"]) as made:
        created = made.post("/api/v1/experiments/", {"name": "Button", "variants": [{"name": "a"}]})
        assert created.status_code == 201, created.text
        assert made.post("/api/v1/experiments/button/start/", {}).status_code == 200
        yield made


def _state(service: Service) -> object:
    """All experiments with all their rows."""
    return service.get("/experiments").json()


def _upload(service: Service, path: str, content: bytes) -> requests.Response:
    return requests.post(service.url + path, files={"file": ("days.csv", content)}, timeout=60)


def _send(service: Service, path: str, body: bytes) -> requests.Response:
    return requests.post(
        service.url + path, data=body, headers={"Content-Type": "application/json"}, timeout=60
    )


def _check(service: Service, send: Callable[[], requests.Response]) -> tuple[int, int]:
    """Send a request that must leave the worker alive, and the data unchanged if refused; status and peak growth."""
    before, (worker,) = _state(service), service.workers()
    held = resident(worker)
    reset_peak(worker)
    answer = send()
    growth = peak(worker) - held
    assert service.workers() == [worker]
    assert answer.status_code < 500, answer.text[:500]
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert _state(service) == before
    assert growth < GROWTH
    return answer.status_code, growth


def _report_growth(report: Report, status: int, growth: int) -> None:
    """Report only what makes the worker grow noticeably."""
    if growth > 20 * MB:
        report(f"{status}, and the worker grew by {growth / MB:.0f} MB")


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("days.csv", f"{HEADER}\n{GOOD}\n" * 1000)
    return file.getvalue()


def _lines(*lines: str, end: str = "\r\n") -> str:
    return end.join([*lines, ""])


@lru_cache(maxsize=1)
def _made(make: Callable[[], bytes]) -> bytes:
    """Keep one, which the next test may send elsewhere: all are a hundred megabytes."""
    return make()


FILES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "only a header": lambda: _lines(HEADER).encode(),
    "only line ends": lambda: b"\r\n" * 10_000,
    "a byte-order mark": lambda: b"\xef\xbb\xbf",
    "UTF-16": lambda: _lines(HEADER, GOOD).encode("utf-16"),
    "UTF-16 without a mark": lambda: _lines(HEADER, GOOD).encode("utf-16-le"),
    "UTF-32": lambda: _lines(HEADER, GOOD).encode("utf-32"),
    "not UTF-8 at its end": lambda: _lines(HEADER, *[GOOD] * 5000).encode() + b"\xff\xfe",
    "half a character": lambda: _lines(HEADER, GOOD).encode() + "é".encode()[:1],
    "NULs": lambda: b"\0" * 100_000,
    "a NUL in a name": lambda: _lines(HEADER, GOOD.replace(",a,", ",a\0b,")).encode(),
    "a NUL in its header": lambda: _lines(f"{HEADER}\0", GOOD).encode(),
    "a zip": lambda: _zip(),
    "an image": lambda: PNG,
    "an image under a header": lambda: _lines(HEADER).encode() + PNG * 100,
    "50,000 columns": lambda: _lines(",".join(f"c{n}" for n in range(50_000)), GOOD).encode(),
    "50,000 equal columns": lambda: _lines(f"{HEADER},{'clicks,' * 50_000}", GOOD).encode(),
    "a row of a million cells": lambda: _lines(HEADER, "," * 1_000_000, GOOD).encode(),
    "a line of 9 MB": lambda: _lines(HEADER, "x" * 9_000_000).encode(),
    "a header of 9 MB": lambda: b"x" * 9_000_000,
    "a quote that is never closed": lambda: _lines(
        HEADER, f'button,2025-08-14,"{GOOD}', *[GOOD] * 200_000
    ).encode(),
    "9 MB of quotes": lambda: HEADER.encode() + b"\n" + b'"' * 9_000_000,
    "nothing but line ends": lambda: HEADER.encode() + b"\n" * scaled(300_000, 9_000_000),
    "mixed line ends": lambda: f"{HEADER}\r{GOOD}\n{GOOD}\r\n{GOOD}\n\r".encode(),
    "digits": lambda: _lines(HEADER, GOOD.replace("100", "9" * 100_000)).encode(),
    "other digits": lambda: _lines(HEADER, GOOD.replace("100", "١٠٠")).encode(),
    "a good row, then a bad one": lambda: _lines(HEADER, GOOD, GOOD.replace("10,1", "x,1")).encode(),
    "20,000 bad rows": lambda: _lines(HEADER, *[",,,,,"] * 10_000, *["a,b,c,d,e,f"] * 10_000).encode(),
}


@pytest.mark.parametrize("path", UPLOADS)
@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_upload__file_that_is_no_csv_of_days__is_answered_and_changes_nothing_where_refused(
    service: Service, report: Report, path: str, content: Callable[[], bytes]
) -> None:
    _report_growth(report, *_check(service, lambda: _upload(service, path, _made(content))))


_CELLS = st.one_of(
    st.sampled_from(["button", "1", "2025-08-14", "a", "100", "10", "1", "", '"', '""', "'", "=1", "\0", "\n", "\r"]),
    st.sampled_from(["-1", "1e3", "9" * 19, "9999-12-31", "0000-00-00", "2025-02-30", "\u202e", "\ufeff", "٣", "NaN"]),
    st.text(max_size=20),
)  # fmt: skip
_ROWS = st.lists(st.one_of(st.just(GOOD), st.lists(_CELLS, max_size=8).map(",".join)), max_size=20)
_ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\r", "\x85", "\u2028", "\x0b"])
_HEADERS = st.one_of(
    st.just(HEADER), st.just(HEADER.replace(",", ";")), st.lists(_CELLS, max_size=7).map(",".join)
)
_ENCODINGS = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-7"])


@st.composite
def _files(draw: st.DrawFn) -> bytes:
    """Bytes like those of a CSV in some encoding, perhaps with other bytes in the middle."""
    lines = [draw(_HEADERS), *draw(_ROWS)]
    text = "".join(line + draw(_ENDS) for line in lines)
    content = text.encode(draw(_ENCODINGS), "replace")
    place = draw(st.integers(0, len(content)))
    return content[:place] + draw(st.one_of(st.just(b""), st.binary(max_size=8))) + content[place:]


def _examples(little: int, full: int) -> settings:
    return settings(
        max_examples=scaled(little, full), deadline=None, derandomize=not FULL, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip


@pytest.mark.parametrize("path", UPLOADS)
def test_upload__any_bytes__are_answered_and_change_nothing_where_refused(
    service: Service, report: Report, path: str
) -> None:
    statuses: Counter[int] = Counter()

    @_examples(40, 3000)
    @given(content=_files())
    def check(content: bytes) -> None:
        statuses[_check(service, lambda: _upload(service, path, content))[0]] += 1

    check()
    report(f"{statuses.total()} files, answers {dict(statuses)}")


def _row(**changes: object) -> dict[str, object]:
    row = {
        "experiment_id": "button",
        "date": "2025-08-14",
        "variant_name": "a",
        "impressions": 100,
        "clicks": 10,
    }
    return {**row, **changes}  # fmt: skip


def _batch(*rows: object) -> bytes:
    return json.dumps({"rows": rows}).encode()


def _with_clicks(number: str) -> bytes:
    return _batch(_row(clicks="HERE")).replace(b'"HERE"', number.encode())


BODIES: dict[str, Callable[[], bytes]] = {
    "lists 100,000 deep": lambda: b"[" * 100_000 + b"]" * 100_000,
    "objects 100,000 deep": lambda: b'{"rows":' * 100_000 + b"1" + b"}" * 100_000,
    "9 MB of brackets": lambda: b"[" * 9_000_000,
    "lists 500 deep in a row": lambda: _with_clicks("[" * 500 + "]" * 500),
    "100,000 digits": lambda: _with_clicks("9" * 100_000),
    "100,000 decimals": lambda: _with_clicks(f"1.{'9' * 100_000}"),
    "a large exponent": lambda: _with_clicks("1e999999999"),
    "NaN": lambda: _with_clicks("NaN"),
    "Infinity": lambda: _with_clicks("-Infinity"),
    "a name of 9 MB": lambda: _batch(_row(variant_name="x" * 9_000_000)),
    "a key of 9 MB": lambda: json.dumps({"x" * 9_000_000: 1}).encode(),
    "a date of 9 MB": lambda: _batch(_row(date="2" * 9_000_000)),
    "9 MB of escapes": lambda: b'{"rows": "' + rb"\u0000" * 1_500_000 + b'"}',
    "half a surrogate pair": lambda: rb'{"name": "\ud800", "rows": [{"variant_name": "\ud800"}]}',
    "a key twice": lambda: b'{"rows": [], "rows": ' + _batch(_row())[9:],
    "very many keys": lambda: b"{" + b",".join(b'"%d":1' % number for number in range(KEYS)) + b"}",
    "very many keys in a row": lambda: (
        b'{"rows": [{' + b",".join(b'"%d":1' % n for n in range(KEYS)) + b"}]}"
    ),
    "10,001 rows": lambda: _batch(*[_row(variant_name=f"v{number}") for number in range(10_001)]),
    "10,000 bad rows": lambda: _batch(*[_row(clicks="x")] * 10_000),
    "a good row, then a bad one": lambda: _batch(
        _row(impressions=77_777), _row(date="2025-08-15", clicks=-1)
    ),
    "a million empty rows": lambda: b'{"rows": [' + b",".join([b"{}"] * 1_000_000) + b"]}",
    "UTF-16": lambda: '{"rows": []}'.encode("utf-16"),
    "not UTF-8": lambda: b'{"rows": "\xff"}',
    "a byte-order mark": lambda: b'\xef\xbb\xbf{"rows": []}',
    "nothing": lambda: b"",
    "spaces": lambda: b" " * 9_000_000,
    "null": lambda: b"null",
}


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_json__deep_huge_or_strange__is_answered_and_changes_nothing_where_refused(
    service: Service, report: Report, path: str, body: Callable[[], bytes]
) -> None:
    _report_growth(report, *_check(service, lambda: _send(service, path, _made(body))))


_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["button", "2025-08-14", "a", "rows", 100, 10, -1, 10**18, 2**63]),
)  # fmt: skip
_FIELDS = st.sampled_from(
    ["rows", "mode", "variants", "experiment_id", "date", "variant_name", "impressions", "clicks", "conversions",
     "name", "settings", "rates", "days", "runs", "daily_traffic"]
)  # fmt: skip
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_FIELDS | st.text(max_size=5), inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


def _mostly(value: object) -> st.SearchStrategy[object]:
    return st.integers(0, 9).flatmap(lambda chance: _LEAVES if chance == 0 else st.just(value))


# Nearly right, so that some are accepted.
_NEARLY = st.fixed_dictionaries({name: _mostly(value) for name, value in _row().items()})
_ROWS_OF_JSON = st.fixed_dictionaries({"rows": st.lists(_NEARLY, min_size=1, max_size=3)})
_OBJECTS = st.sampled_from([_NEARLY, _ROWS_OF_JSON, _VALUES]).flatmap(lambda kind: kind)


@pytest.mark.parametrize("path", WRITES[:3])
def test_json__of_any_shape__is_answered_and_changes_nothing_where_refused(
    service: Service, report: Report, path: str
) -> None:
    statuses: Counter[int] = Counter()

    @_examples(40, 3000)
    @given(value=_OBJECTS)
    def check(value: object) -> None:
        body = json.dumps(value).encode()
        statuses[_check(service, lambda: _send(service, path, body))[0]] += 1

    check()
    report(f"{statuses.total()} bodies, answers {dict(statuses)}")


@_in_full
def test_api__schemathesis_for_ten_minutes_along_its_links__never_answers_5xx(
    service: Service, report: Report
) -> None:
    seconds = int(os.environ.get("SCHEMATHESIS_SECONDS", "600"))
    result = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{service.url}/schema",
            *("--checks", "not_a_server_error", "--phases", "fuzzing,stateful", "--continue-on-failure"),
            *("--max-time", str(seconds), "--max-examples", "1000000", "--workers", "2", "--no-color"),
            *("--request-timeout", "60", "--max-response-time", "60"),
            *("--suppress-health-check", "too_slow"),
        ],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout[-6000:]
    figures = r"API Links: .*total|[0-9]+ generated, [0-9]+ passed"
    report(", ".join(" ".join(found.split()) for found in re.findall(figures, result.stdout)))
