"""gunicorn.conf.py: the number and kind of workers."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

FILE = ROOT / "gunicorn.conf.py"
BUFFERING = "bandit_project.server.worker.BufferingWorker"


def _configuration(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    for name in ("WEB_CONCURRENCY", "WEB_THREADS", "PORT"):
        monkeypatch.delenv(name, raising=False)
    # the file makes a folder for the counters where none is named
    for name, value in {"PROMETHEUS_MULTIPROC_DIR": "unused", **variables}.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(FILE))


@pytest.mark.parametrize("threads", ["", "4", "1"])
def test_worker__of_any_number_of_threads__receives_requests_whole(
    monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    assert _configuration(monkeypatch, WEB_THREADS=threads)["worker_class"] == BUFFERING


@pytest.mark.parametrize(
    ("limit", "most"), [("100000 100000", 1), ("10000 100000", 1), ("max 100000", 999), ("invalid", 999)]
)
def test_workers__container_with_a_limit__are_no_more_than_it_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, most: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit)

    cores = _configuration(monkeypatch)["usable_cores"](str(tmp_path / "cpu.max"))

    assert 1 <= cores <= most


def test_number__invalid__is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"PORT is .http.\. It must be a whole number"):
        _configuration(monkeypatch, PORT="http")


def test_configuration_document__names_every_variable_of_the_image() -> None:
    source = FILE.read_text() + (ROOT / "deploy/entrypoint.sh").read_text()
    variables = set(re.findall(r'"([A-Z_]{4,})"', source)) | set(re.findall(r"\$\{([A-Z_]+):", source))
    variables -= {"TMPDIR", "RENDER_EXTERNAL_HOSTNAME"}  # the system's, and Render's

    document, example = (ROOT / "docs/configuration.md").read_text(), (ROOT / ".env.example").read_text()
    assert len(variables) >= 8
    assert [name for name in sorted(variables) if f"`{name}`" not in document] == []
    assert [name for name in sorted(variables) if not re.search(rf"^#? ?{name}=", example, re.M)] == []


def test_configuration__default__loads_the_application_once_and_has_eight_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configuration = _configuration(monkeypatch)

    assert (configuration["preload_app"], configuration["threads"]) == (True, 8)
