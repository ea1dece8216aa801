"""The check of the packages against known holes."""

from typing import Any

import pytest

from scripts.audit_packages import holes

pytestmark = pytest.mark.database_free


def test_audit__package_with_a_hole__is_named_with_its_mend() -> None:
    answer: list[dict[str, Any]] = [
        {"name": "sound", "version": "1.0", "vulns": []},
        {"name": "unknown", "skip_reason": "not found"},
        {
            "name": "holey",
            "version": "1.0",
            "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": "x"}],
        },
    ]

    assert holes(answer) == ["holey 1.0: PYSEC-1, mended in 1.1"]
