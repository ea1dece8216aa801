"""The repository keeps its own rules."""

import ast
import re
import subprocess
import sys

import pytest

from experiments.settings_schema import ALGORITHM_SETTINGS
from tests.conftest import ROOT

pytestmark = pytest.mark.database_free


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True)
    return listed.stdout.splitlines()


def _lines_with(pattern: str, names: list[str]) -> list[str]:
    expression = re.compile(pattern)
    return [
        f"{name}: {line[:120]}"
        for name in names
        for line in (ROOT / name).read_text(encoding="utf-8", errors="ignore").splitlines()
        if expression.search(line)
    ]


def test_tracked_files__name_no_package_index_or_lock_of_one() -> None:
    names = [name for name in _tracked() if name != "tests/test_repository.py"]

    assert _lines_with(r"--(extra-)?index-url|pypi\.org|pythonhosted|registry\.npmjs", names) == []
    assert [name for name in names if name.endswith((".lock", "package-lock.json"))] == []


def test_tracked_files__hold_no_path_of_one_machine() -> None:
    names = [name for name in _tracked() if name != "tests/test_repository.py" and "vendor/" not in name]

    assert _lines_with(r"(^|[\s\"'=(])/(home|root|work|Users)/", names) == []


def test_requirements__every_package_has_hashes() -> None:
    for name in ("requirements.txt", "requirements-extras.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert len(re.findall(r"^[a-z].*==", text, re.M)) > 20
        assert re.findall(r"^[a-z].*==[^\\\n]*$", text, re.M) == []


def _pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z][^=\[]*).*==(\S+)", (ROOT / name).read_text(), re.M))


def test_requirements__of_development__hold_those_of_production() -> None:
    image, development = _pins("requirements-extras.txt"), _pins("requirements-dev.txt")

    assert image.items() <= development.items()
    assert {"pytest", "mypy", "scipy"} <= development.keys() - image.keys()


def test_requirements__extras__are_those_of_the_image_and_not_of_a_first_start() -> None:
    first_start, image = _pins("requirements.txt"), _pins("requirements-extras.txt")

    assert first_start.items() <= image.items()
    assert {"celery", "redis", "mozilla-django-oidc", "cryptography"} <= image.keys() - first_start.keys()


def test_dev__without_a_command__prints_its_usage_on_standard_error_only() -> None:
    answer = subprocess.run(["./dev"], capture_output=True, text=True, cwd=ROOT, check=False)

    assert (answer.returncode, answer.stdout) == (2, "")
    assert "./dev demo" in answer.stderr


def test_demo__example_page__is_allowed_at_the_address_that_the_document_serves_it() -> None:
    served = re.search(r"http.server (\d+) --bind (\S+)", (ROOT / "docs/serving.md").read_text())
    allowed = re.search(r"export CORS_ALLOWED_ORIGINS=(\S+)", (ROOT / "dev").read_text())

    assert served
    assert allowed
    assert f"http://{served[2]}:{served[1]}" in allowed[1].split(",")


def test_vendored_files__match_their_checksums() -> None:
    import hashlib

    table = (ROOT / "static/vendor/README.md").read_text()
    rows = re.findall(r"^\| (\S+) \|.*`([0-9a-f]{64})` \|$", table, re.M)

    assert len(rows) >= 3
    for name, checksum in rows:
        assert hashlib.sha256((ROOT / "static/vendor" / name).read_bytes()).hexdigest() == checksum


def test_icons__of_the_sprite__are_those_that_pages_use() -> None:
    sprite = (ROOT / "static/vendor/tabler-icons/sprite.svg").read_text()
    templates = "".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))

    assert set(re.findall(r'<symbol id="([^"]+)"', sprite)) == set(
        re.findall(r'{% icon "([^"]+)"', templates)
    )


def test_configuration_document__names_every_variable_of_the_environment() -> None:
    source = (ROOT / "bandit_project/settings.py").read_text()
    variables = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", source))
    variables |= {setting.variable for setting in ALGORITHM_SETTINGS.values()}

    document, example = (ROOT / "docs/configuration.md").read_text(), (ROOT / ".env.example").read_text()
    assert [name for name in sorted(variables) if f"`{name}`" not in document] == []
    assert [name for name in sorted(variables) if not re.search(rf"^#? ?{name}=", example, re.M)] == []


def test_migrations__import_no_code_of_the_project() -> None:
    """Code changes, and what an installation has already run must not change with it. Django itself imports models
    for a field's default."""
    names = [name for name in _tracked() if "/migrations/0" in name and not name.startswith("tests/")]

    assert len(names) >= 9
    packages = "bandit_project|allocation|dashboard|experiments|notifications|serving"
    assert _lines_with(rf"^\s*(from|import) ({packages})\b(?!\.models$)", names) == []


def test_engine__imports_without_django() -> None:
    command = "import sys; sys.modules['django'] = None; import allocation.engine"

    subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=True)


def test_docstrings__can_be_read_alone() -> None:
    """One that begins with a pronoun of its neighbour says nothing by itself."""
    fragments = [
        f"{name}: {text[:80]}"
        for name in _tracked()
        if name.endswith(".py") and "/migrations/0" not in name
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
        if re.match(r"(The same|What|Of)\b", text := ast.get_docstring(node) or "")
    ]

    assert fragments == []
