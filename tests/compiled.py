"""Compile the modules of this tree before the processes of a run would each do it.

In a fresh clone it takes each of them six seconds, most of it to rewrite the assertions of tests as pytest does.
"""

import py_compile
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatch
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from _pytest.assertion.rewrite import PYC_TAIL, _read_pyc, _rewrite_test, _write_pyc_fp, get_cache_dir
from _pytest.config import Config, get_config

# The files whose assertions pytest rewrites.
_REWRITTEN = ("test_*.py", "conftest.py")


def modules() -> list[Path]:
    """The modules under version control in the present folder; none where there is no git."""
    with suppress(OSError):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "*.py"], capture_output=True, text=True, check=False
        )
        return [Path(name).absolute() for name in listed.stdout.split("\0") if name]
    return []


def compile_all(files: Sequence[Path], cores: int) -> None:
    """Write the code of each file where Python, or pytest, looks for it. A file with a mistake is left to them."""
    with get_context("fork").Pool(cores) as pool:
        pool.map(_compile, files, chunksize=8)


def _compile(file: Path) -> None:
    with suppress(OSError, SyntaxError, ValueError, py_compile.PyCompileError):
        if any(fnmatch(file.name, pattern) for pattern in _REWRITTEN):
            _rewrite(file)
        else:
            py_compile.compile(str(file), doraise=True)


def _rewrite(file: Path) -> None:
    kept = get_cache_dir(file) / f"{file.stem}{PYC_TAIL}"
    if _read_pyc(file, kept) is not None:
        return
    status, code = _rewrite_test(file, _config())
    kept.parent.mkdir(exist_ok=True)
    unfinished = kept.with_name(f"{kept.name}.unfinished")
    with unfinished.open("wb") as target:
        _write_pyc_fp(target, status, code)
    unfinished.replace(kept)


@cache
def _config() -> Config:
    return get_config()
