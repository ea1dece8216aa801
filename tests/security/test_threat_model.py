"""Every test that docs/threat-model.md refers to exists."""

import ast
import re

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_threat_model__each_test_that_it_names__exists() -> None:
    named = _NAMED.findall((ROOT / "docs/threat-model.md").read_text())

    assert len(named) > 30
    assert [(path, test) for path, test in named if not _exists(path, test)] == []


def _exists(path: str, test: str) -> bool:
    file = ROOT / path
    if not file.is_file():
        return False
    tree = ast.parse(file.read_text())
    return not test or test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
