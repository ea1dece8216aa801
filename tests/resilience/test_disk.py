"""The disk under SQLite is full or read-only: writes get a 503, reads go on, and nothing is corrupt."""

import sqlite3
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.processes.files import SQLITE, sqlite_in
from tests.resilience.load import answer_of, impressions_of, increments, make_experiments, writers
from tests.resilience.scale import scaled
from tests.resilience.service import Service, served

WRITERS = 4


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    try:
        _run("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", tmp_path)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here, which takes root: {error}")
    yield tmp_path
    _run("umount", tmp_path)


@pytest.fixture
def disk_with_attributes(tmp_path: Path) -> Path:
    """A folder whose files can be made immutable, even for root and for a process that has opened them."""
    with (tmp_path / "tried").open("ab", buffering=0) as file:
        try:
            with _immutable(Path(file.name)), suppress(PermissionError):
                file.write(b"x")
                pytest.skip("this disk lets a file be written that was opened before it became immutable")
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no file can be made immutable here, which takes root: {error}")
    return tmp_path


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def _immutable(*files: Path) -> Iterator[None]:
    _run("chattr", "+i", *files)
    try:
        yield
    finally:
        _run("chattr", "-i", *files)


def _read_only(disk: Path) -> AbstractContextManager[None]:
    """Make the database and its log immutable."""
    return _immutable(disk / SQLITE, disk / f"{SQLITE}-wal")


@contextmanager
def _full(disk: Path) -> Iterator[None]:
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    yield
    ballast.unlink()


def _add(service: Service, experiment: int) -> requests.Response:
    return service.post_once("/api/v1/events/", increments([experiment], "a", 1), str(uuid.uuid4()))


def _write(service: Service, experiment: int) -> list[requests.Response]:
    place = {"experiment_id": experiment, "date": "2025-01-01", "variant_name": "b"}
    return [
        # first, as the last of these writes has brought new data to decide on
        service.post(f"/api/v1/experiments/{experiment}/allocation/", {}),
        service.post("/api/v1/experiments/", {"name": "New"}),
        service.post("/api/v1/events/", increments([experiment], "b", 0) | {"mode": "set"}),
        service.post("/events", {**place, "impressions": 0, "clicks": 0}),
        _add(service, experiment),
    ]


def _read(service: Service, experiment: int) -> list[requests.Response]:
    one = f"/api/v1/experiments/{experiment}"
    paths = (
        "/api/v1/experiments/",
        f"{one}/allocation/",
        f"{one}/assignment/?unit=7",
        "/experiments",
        "/health",
    )
    return [service.get(path) for path in paths]


def _check_service(
    disk: Path, fault: Callable[[Path], AbstractContextManager[None]], report: Callable[[str], None]
) -> None:
    """Check the fault on an idle service first, then while clients write."""
    faults = scaled(1, 20)
    with served(sqlite_in(disk)) as service:
        quiet, *experiments = make_experiments(service, 4)
        _add(service, quiet)
        before = _write(service, quiet)
        with fault(disk):
            refused = _write(service, quiet)
            read = _read(service, quiet)
        afterwards = _write(service, quiet)
        with writers(service, experiments, WRITERS) as load:
            for _ in range(faults):
                load.wait_for_everyone(more=3)
                with fault(disk):
                    load.wait_for_more((503, "unavailable"), 5 * WRITERS)
                    read += _read(service, quiet)
                load.wait_for_everyone()
        counts = [impressions_of(service, experiment) for experiment in experiments]
    with closing(sqlite3.connect(disk / SQLITE)) as database:
        integrity = database.execute("PRAGMA integrity_check").fetchall()

    assert {answer_of(response) for response in refused} == {(503, "unavailable")}
    assert {answer_of(response) for response in read} == {(200, "")}
    assert all(response.ok for response in [*before, *afterwards])
    assert set(load.answers) == {(200, ""), (503, "unavailable")}
    assert counts == [load.sent_by_variant()] * len(experiments)
    assert integrity == [("ok",)]
    report(
        f"{faults + 1} times: {load.acknowledged.total()} writes acknowledged, "
        f"{load.answers[503, 'unavailable'] + len(refused)} refused, {len(read)} reads answered meanwhile"
    )


def test_disk__full__writes_are_503_reading_goes_on_and_nothing_is_lost(
    small_disk: Path, report: Callable[[str], None]
) -> None:
    _check_service(small_disk, _full, report)


def test_disk__read_only__writes_are_503_reading_goes_on_and_nothing_is_lost(
    disk_with_attributes: Path, report: Callable[[str], None]
) -> None:
    _check_service(disk_with_attributes, _read_only, report)
