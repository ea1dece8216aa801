"""Measure the plan of the house: how modules, functions and imports are spread. Counts from ast and git alone.

./dev house

Production code is everything that git knows except tests, migrations, benchmarks and scripts.
"""

import argparse
import ast
import io
import re
import statistics
import subprocess
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_APART = {"tests", "migrations", "benchmarks", "scripts"}
MAX_FILE_LINES = 400
_TRIPLE = ("impressions", "clicks", "conversions")
_TRIPLE_HOME = "experiments/metrics.py"
# The triple counts as written out where its three words are within so many lines.
_TRIPLE_LINES = 3
_TYPE_IGNORE = re.compile(r"#\s*type:\s*ignore")
_DOTTED_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
# Django, gunicorn or a person loads these by their place, not by an import.
_ENTRY_NAMES = {"__init__", "__main__", "admin", "apps", "models", "settings", "urls", "wsgi"}
_ENTRY_FOLDERS = {"commands", "templatetags"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: its path from the repository's root, and its text."""

    path: Path
    source: str

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """The nodes of its syntax tree, which several counts ask for."""
        return list(ast.walk(ast.parse(self.source)))

    @property
    def name(self) -> str:
        """The dotted name under which others import it."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def package(self) -> str:
        return ".".join(self.path.parent.parts)

    @property
    def line_count(self) -> int:
        return len(self.source.splitlines())


@dataclass(frozen=True)
class Place:
    """A line of a file, with a word on what is there."""

    path: Path
    line: int
    what: str = ""

    def __str__(self) -> str:
        return f"{self.path.as_posix()}:{self.line}{self.what and f'  {self.what}'}"


@dataclass(frozen=True)
class FunctionLengths:
    count: int
    median: float
    p90: int
    longest: int
    longest_at: Place


def read_modules(root: Path) -> list[Module]:
    """Production modules, those not yet added to git included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    paths = sorted({Path(name) for name in listed.stdout.split("\0") if name})
    return [
        Module(path, (root / path).read_text(encoding="utf-8"))
        for path in paths
        if not _APART & set(path.parts) and (root / path).is_file()
    ]


def modules_per_folder(modules: Iterable[Module]) -> dict[str, int]:
    """Modules side by side in each folder; an __init__ is the folder itself."""
    folders = Counter(module.path.parent.as_posix() for module in modules if module.path.stem != "__init__")
    return dict(sorted(folders.items()))


def function_lengths(modules: Iterable[Module]) -> FunctionLengths | None:
    """Lines from ``def`` to the end of the body, of functions and methods; None where there is none."""
    found = sorted(_functions(modules), key=lambda pair: pair[0])
    if not found:
        return None
    lengths = [length for length, _ in found]
    ninth_tenth = lengths[-(-9 * len(lengths) // 10) - 1]
    return FunctionLengths(len(found), statistics.median(lengths), ninth_tenth, *found[-1])


def _functions(modules: Iterable[Module]) -> Iterator[tuple[int, Place]]:
    for module in modules:
        for node in module.nodes:
            if isinstance(node, Function):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                yield length, Place(module.path, node.lineno, node.name)


def long_files(modules: Iterable[Module]) -> list[Place]:
    """Files of more than MAX_FILE_LINES lines, each by its last line."""
    return [Place(m.path, m.line_count) for m in modules if m.line_count > MAX_FILE_LINES]


def type_ignores(modules: Iterable[Module]) -> list[Place]:
    return [
        Place(module.path, token.start[0], token.line.strip())
        for module in modules
        # Most files have none, and to read their tokens takes most of the time.
        if _TYPE_IGNORE.search(module.source)
        for token in _tokens(module)
        if token.type == tokenize.COMMENT and _TYPE_IGNORE.match(token.string)
    ]


def _tokens(module: Module) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(module.source).readline)


def triple_mentions(modules: Iterable[Module]) -> list[Place]:
    """Places outside metrics.py that spell out the three counts in names or strings; docstrings are prose."""
    return [
        Place(module.path, line)
        for module in modules
        if module.path.as_posix() != _TRIPLE_HOME and all(word in module.source for word in _TRIPLE)
        for line in _triple_lines(_words_by_line(module))
    ]


def _triple_lines(words: dict[int, set[str]]) -> Iterator[int]:
    """First line of each mention; mentions do not overlap."""
    free_from = 0
    for line in sorted(words):
        end = _complete_at(words, line)
        if end is not None and line >= free_from:
            free_from = end + 1
            yield line


def _complete_at(words: dict[int, set[str]], start: int) -> int | None:
    """The line on which the third of the words comes, if it comes near enough."""
    seen: set[str] = set()
    for line in range(start, start + _TRIPLE_LINES):
        seen |= words.get(line, set())
        if len(seen) == len(_TRIPLE):
            return line
    return None


def _words_by_line(module: Module) -> dict[int, set[str]]:
    """The lines that hold some of the three words, as a name or within a string."""
    found: dict[int, set[str]] = {}
    docstrings = _docstring_lines(module)
    for token in _tokens(module):
        if token.type == tokenize.COMMENT or token.start[0] in docstrings:
            continue
        for offset, text in enumerate(token.string.split("\n")):
            for word in _TRIPLE:
                if re.search(rf"\b{word}\b", text):
                    found.setdefault(token.start[0] + offset, set()).add(word)
    return found


def _docstring_lines(module: Module) -> set[int]:
    owners = [
        node for node in module.nodes if isinstance(node, ast.Module | ast.ClassDef | Function) and node.body
    ]
    firsts = [owner.body[0] for owner in owners if ast.get_docstring(owner, clean=False) is not None]
    return {line for first in firsts for line in range(first.lineno, (first.end_lineno or first.lineno) + 1)}


def unimported_modules(modules: Sequence[Module]) -> list[Place]:
    """Modules that no other production module imports or names in a string, entry points apart."""
    used = {name for module in modules for name in _used_names(module) if name != module.name}
    packages = {module.package for module in modules if module.path.stem == "__init__"}
    return [
        Place(module.path, 1)
        for module in modules
        if module.package in packages
        and not _is_entry_point(module.path)
        and used.isdisjoint({module.name, _installed_name(module, packages)})
    ]


def _installed_name(module: Module, packages: set[str]) -> str:
    """The dotted name without the folders around its outermost package: a client's are not on the way to it."""
    parts = module.name.split(".")
    outermost = next(end for end in range(1, len(parts) + 1) if ".".join(parts[:end]) in packages)
    return ".".join(parts[outermost - 1 :])


def _is_entry_point(path: Path) -> bool:
    return path.stem in _ENTRY_NAMES or path.parent.name in _ENTRY_FOLDERS


def _used_names(module: Module) -> Iterator[str]:
    """Dotted names that the module imports or names in a string; a few of them are no modules."""
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _prefixes(node.value)


def _origin(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    above = module.path.parent.parts[: len(module.path.parent.parts) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _prefixes(text: str) -> Iterator[str]:
    """Each dotted beginning of a dotted path: settings name classes as app.module.Class, Celery as app.module:Class."""
    path = text.partition(":")[0]
    if _DOTTED_PATH.fullmatch(path):
        parts = path.split(".")
        yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def report(root: Path) -> str:
    modules = read_modules(root)
    return "\n\n".join(
        [
            _folder_table(modules_per_folder(modules)),
            _function_line(function_lengths(modules)),
            _listing(f"Files over {MAX_FILE_LINES} lines", long_files(modules)),
            _listing("type: ignore", type_ignores(modules)),
            _listing(f"{'-'.join(_TRIPLE)} outside {_TRIPLE_HOME}", triple_mentions(modules)),
            _listing("Modules that nothing imports", unimported_modules(modules)),
        ]
    )


def _folder_table(folders: dict[str, int]) -> str:
    width = max(map(len, folders), default=0)
    rows = [f"  {folder:<{width}}  {number:>3}" for folder, number in folders.items()]
    return "\n".join([f"Modules per folder: {sum(folders.values())} in {len(folders)} folders", *rows])


def _function_line(lengths: FunctionLengths | None) -> str:
    if lengths is None:
        return "Functions: 0"
    return (
        f"Functions: {lengths.count}, lines: median {lengths.median:g}, p90 {lengths.p90}, max {lengths.longest}\n"
        f"  longest: {lengths.longest_at}"
    )


def _listing(title: str, places: Sequence[Place]) -> str:
    files = len({place.path for place in places})
    head = f"{title}: {len(places)}" + (f" in {files} files" if places else "")
    return "\n".join([head, *(f"  {place}" for place in places)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev house", description=__doc__)
    parser.add_argument("root", type=Path, nargs="?", default=Path(__file__).resolve().parent.parent)
    print(report(parser.parse_args().root))


if __name__ == "__main__":
    main()
