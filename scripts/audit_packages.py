"""Known holes in the packages that an installation gets: python -m scripts.audit_packages

A hole that is found ends it with 1. Where the source of advisories cannot be reached it says so and ends with 0: a
check that needs a network must not stop work without one. requirements.txt names every package, so nothing is resolved.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements.txt"
_SECONDS = 45
_COMMAND = [
    sys.executable, "-m", "pip_audit", "--requirement", str(_REQUIREMENTS), "--no-deps", "--disable-pip",
    "--format", "json", "--progress-spinner", "off", "--timeout", "5",
]  # fmt: skip


def main() -> int:
    dependencies = _answer()
    if not any("vulns" in one for one in dependencies):
        print("pip-audit: no source of advisories was reached; nothing was checked.", file=sys.stderr)
        return 0
    left_out = sum("vulns" not in one for one in dependencies)
    if left_out:
        print(f"pip-audit: {left_out} packages were not found and not checked.", file=sys.stderr)
    found = holes(dependencies)
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


def _answer() -> list[dict[str, Any]]:
    """What is known of each package; nothing where the source does not answer in time."""
    try:
        done = subprocess.run(_COMMAND, capture_output=True, text=True, timeout=_SECONDS, check=False)
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return []
    dependencies: list[dict[str, Any]] = answer["dependencies"]
    return dependencies


def holes(dependencies: list[dict[str, Any]]) -> list[str]:
    """A line for each: the package, the advisory, the versions that mend it."""
    return [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}"
        for one in dependencies
        for hole in one.get("vulns", [])
    ]


if __name__ == "__main__":
    sys.exit(main())
