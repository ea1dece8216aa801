"""Files and folders that take seconds to make: the processes of a run share them, and copy them."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.migrated import one_at_a_time


class _Shared:
    """The folder of the run, and how what this process has put there is removed."""

    folder: Path | None = None
    removals = ExitStack()


def folder_of_run(factory: pytest.TempPathFactory) -> Path:
    """The folder that all processes of a run share, and no other run."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def originals_kept(folder: Path) -> Iterator[None]:
    """Let originals be made in this folder, until the process that made them comes to the end of the block."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as removals:
        _Shared.folder, _Shared.removals = folder, removals
        yield
    _Shared.folder = None


@contextmanager
def original(name: str, make: Callable[[Path], None]) -> Iterator[Path]:
    """Give the original of this name, made if no process has yet. Nobody removes it within the block."""
    assert _Shared.folder, "only the tests of a session of pytest have originals"
    made = _Shared.folder / name
    with one_at_a_time(_Shared.folder):
        if not made.exists():
            unfinished = made.with_name(f"unfinished-{name}")
            _remove_at_once(unfinished)
            make(unfinished)
            unfinished.rename(made)
            _Shared.removals.callback(_remove, made)
        yield made


def _remove(made: Path) -> None:
    with one_at_a_time(made.parent):
        _remove_at_once(made)


def _remove_at_once(made: Path) -> None:
    if made.is_dir():
        shutil.rmtree(made)
    else:
        made.unlink(missing_ok=True)
