"""./dev house: its numbers, on a repository small enough to count by hand, and that it runs on this one."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.house import (
    function_lengths,
    long_files,
    modules_per_folder,
    read_modules,
    report,
    triple_mentions,
    type_ignores,
    unimported_modules,
)
from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

_FILES = {
    "manage.py": "import shop.settings\n",
    "shop/__init__.py": "",
    "shop/apps.py": "def ready():\n    return 'shop.named.Thing', 'shop.worker'\n",
    "shop/settings.py": "",
    "shop/models.py": "from shop import prices\nfrom .stock import Stock\n",
    "shop/prices.py": "@cache\ndef price():\n    '''Docstring.'''\n    x = 1\n    return x\n",
    "shop/stock.py": "class Stock:\n    def one(self): return 1\n    async def two(self):\n        return 2\n",
    "shop/worker.py": "backend = 'shop.results:Results+redis://'\n",
    "shop/results.py": "",
    "shop/named.py": "x = 'a  # type: ignore'\ny = f()  # type: ignore[misc]  # untyped\n",
    "shop/lonely.py": "import shop.lonely\n",
    "shop/long.py": "\n" * 401,
    "shop/rows/__init__.py": "from .parsing import parse\n",
    "shop/rows/parsing.py": "from ..models import Stock\nfrom shop import long\n",
    "shop/management/commands/sell.py": "",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": "from shop.lonely import x  # type: ignore[misc]\n",
    "scripts/tool.py": "impressions = clicks = conversions = 1\n",
    "tests/test_shop.py": "import shop.lonely  # type: ignore\n",
    "ignored.py": "x = 1  # type: ignore\n",
    ".gitignore": "ignored.py\n",
}


def _repository(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return root


def test_modules_per_folder__tests_migrations_and_ignored_files_apart__counts_no_init(tmp_path: Path) -> None:
    modules = read_modules(_repository(tmp_path, _FILES))

    assert modules_per_folder(modules) == {".": 1, "shop": 10, "shop/management/commands": 1, "shop/rows": 1}


def test_function_lengths__four_functions__are_counted_without_decorators(tmp_path: Path) -> None:
    lengths = function_lengths(read_modules(_repository(tmp_path, _FILES)))

    assert lengths is not None
    # one() has 1 line, two() and ready() have 2, price() has 4
    assert (lengths.count, lengths.median, lengths.p90, lengths.longest) == (4, 2, 4, 4)
    assert str(lengths.longest_at) == "shop/prices.py:2  price"


def test_function_lengths__ten_functions__ninth_is_the_ninetieth_percentile(tmp_path: Path) -> None:
    functions = [f"def f{n}():\n" + "    x = 1\n" * n for n in range(1, 11)]

    lengths = function_lengths(read_modules(_repository(tmp_path, {"ten.py": "".join(functions)})))

    assert lengths is not None
    assert (lengths.median, lengths.p90, lengths.longest) == (6.5, 10, 11)


def test_long_files__four_hundred_and_one_lines__is_one(tmp_path: Path) -> None:
    files = {"short.py": "\n" * 400, "long.py": "\n" * 401}

    found = long_files(read_modules(_repository(tmp_path, files)))

    assert [str(place) for place in found] == ["long.py:401"]


def test_type_ignores__comment_and_string__counts_the_comment(tmp_path: Path) -> None:
    found = type_ignores(read_modules(_repository(tmp_path, _FILES)))

    assert [str(place) for place in found] == ["shop/named.py:2  y = f()  # type: ignore[misc]  # untyped"]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("f(impressions=a.impressions, clicks=a.clicks, conversions=a.conversions)\n", [1]),
        ("impressions: int\nclicks: int\nconversions: int\n", [1]),
        ("impressions: int\n\nclicks: int\nconversions: int\n", []),
        ("impressions: int\nclicks: int\nx: int\n", []),
        ("x = ('impressions', 'clicks', 'conversions')\n", [1]),
        ("x = '''SELECT impressions,\nclicks,\nconversions'''\n", [1]),
        ("total_impressions = window_clicks = conversions = 1\n", []),
        ("# impressions, clicks, conversions\n", []),
        ('"""impressions, clicks, conversions"""\n', []),
        ("x = impressions, clicks, conversions\n" * 2, [1, 2]),
        ("impressions = 1\nclicks = 1\nconversions = 1\n" * 2, [1, 4]),
        ("clicks = 1\n\nimpressions = 1\nclicks = 1\nconversions = 1\n", [3]),
    ],
)
def test_triple_mentions__three_words_within_three_lines__is_one(
    tmp_path: Path, source: str, lines: list[int]
) -> None:
    files = {"shop/rows.py": source, "experiments/metrics.py": source}

    found = triple_mentions(read_modules(_repository(tmp_path, files)))

    assert [(place.path.as_posix(), place.line) for place in found] == [("shop/rows.py", n) for n in lines]


def test_unimported_modules__own_tests_and_migrations__are_no_importers(tmp_path: Path) -> None:
    found = unimported_modules(read_modules(_repository(tmp_path, _FILES)))

    assert [place.path.as_posix() for place in found] == ["shop/lonely.py"]


def test_unimported_modules__package_below_other_folders__is_imported_by_its_own_name(tmp_path: Path) -> None:
    files = {
        "clients/python/till/__init__.py": "from till.client import Client\n",
        "clients/python/till/client.py": "class Client:\n    pass\n",
        "clients/python/till/lonely.py": "",
    }

    found = unimported_modules(read_modules(_repository(tmp_path, files)))

    assert [place.path.as_posix() for place in found] == ["clients/python/till/lonely.py"]


def test_report__repository_without_python__is_all_zeros(tmp_path: Path) -> None:
    _repository(tmp_path, {"README.md": ""})

    assert [line.rpartition(": ")[2] for line in report(tmp_path).split("\n\n")] == [
        "0 in 0 folders", "0", "0", "0", "0", "0",
    ]  # fmt: skip


def test_command__on_this_repository__prints_every_count() -> None:
    command = [sys.executable, "-m", "scripts.house"]

    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)

    heads = [line.partition(":")[0] for line in answer.stdout.splitlines() if line and line[0] != " "]
    assert heads == [
        "Modules per folder",
        "Functions",
        "Files over 400 lines",
        "type",
        "impressions-clicks-conversions outside experiments/metrics.py",
        "Modules that nothing imports",
    ]
