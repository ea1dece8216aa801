"""The code that is compiled before a run is the one that its processes look for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compiled import compile_all

pytestmark = pytest.mark.database_free


def test_compiled__tests_and_other_modules__are_not_compiled_again(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("ONE = 1\n")
    (tmp_path / "test_it.py").write_text(
        "from other import ONE\n\n\ndef test_it() -> None:\n    assert ONE == 1\n"
    )
    (tmp_path / "broken.py").write_text("def\n")
    compile_all(sorted(tmp_path.glob("*.py")), cores=1)
    compiled = _compiled(tmp_path)

    command = [sys.executable, "-m", "pytest", "-p", "no:django", "-p", "no:cacheprovider", "--rootdir", "."]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([*command, "test_it.py"], cwd=tmp_path, env=environment, check=True, capture_output=True)

    assert sorted(name.partition(".")[0] for name in compiled) == ["other", "test_it"]
    assert _compiled(tmp_path) == compiled


def _compiled(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "__pycache__").iterdir()}
