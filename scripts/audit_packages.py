"""Look for known vulnerabilities in the packages of an installation: python -m scripts.audit_packages

Exits with 1 when it finds one. Where no source of advisories can be reached it prints that and exits with 0: work
without a network must go on. requirements-extras.txt names every package, so nothing is resolved.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements-extras.txt"
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
    found = vulnerabilities(dependencies)
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


def _answer() -> list[dict[str, Any]]:
    """Advisories of each package; empty where the source does not answer in time."""
    try:
        done = subprocess.run(_COMMAND, capture_output=True, text=True, timeout=_SECONDS, check=False)
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return []
    dependencies: list[dict[str, Any]] = answer["dependencies"]
    return dependencies


def vulnerabilities(dependencies: list[dict[str, Any]]) -> list[str]:
    """One line for each vulnerability: package, advisory, fixed versions."""
    return [
        f"{package['name']} {package['version']}: {advisory['id']}, "
        f"fixed in {', '.join(advisory['fix_versions']) or 'no version'}"
        for package in dependencies
        for advisory in package.get("vulns", [])
    ]


if __name__ == "__main__":
    sys.exit(main())
