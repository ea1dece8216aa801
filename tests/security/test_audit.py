"""The check of the packages for known vulnerabilities."""

from typing import Any

import pytest

from scripts.audit_packages import vulnerabilities

pytestmark = pytest.mark.database_free


def test_audit__vulnerable_package__is_named_with_its_fix() -> None:
    answer: list[dict[str, Any]] = [
        {"name": "sound", "version": "1.0", "vulns": []},
        {"name": "unknown", "skip_reason": "not found"},
        {
            "name": "holey",
            "version": "1.0",
            "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": "x"}],
        },
    ]

    assert vulnerabilities(answer) == ["holey 1.0: PYSEC-1, fixed in 1.1"]
