"""./dev finds the programs that tests need, and says in plain words what it could not get."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

_SYSTEM = ("cat", "cksum", "dirname", "env", "grep", "nproc", "printenv", "sh")


class Machine:
    """A machine with these programs and no others; ./dev has installed its packages already."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        (folder / ".venv/bin").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("dev", "requirements-dev.txt"):
            shutil.copy2(ROOT / name, folder)
        for name in _SYSTEM:
            found = shutil.which(name)
            assert found, name
            (self.bin / name).symlink_to(found)
        self.add("id", "echo 0")
        # whatever is run with it, such as pytest
        self.add("../.venv/bin/python", 'case "$*" in *playwright*) ;; *) echo "ran $*" ;; esac')
        self.add("nginx", "")
        self.add("redis-server", "")
        summed = subprocess.run(
            ["cksum"], input=(folder / "requirements-dev.txt").read_bytes(), capture_output=True, check=True
        )
        (folder / ".venv/requirements-dev.txt.installed").write_bytes(summed.stdout)

    def add(self, name: str, script: str) -> Path:
        program = self.bin / name
        program.write_text(f"#!{self.bin}/sh\n{script}\n")
        program.chmod(0o755)
        return program

    def test(self, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("test", **variables)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), **variables}
        command: list[str | Path] = [self.bin / "sh", self.folder / "dev", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_tools__already_there__are_not_fetched_again(machine: Machine) -> None:
    machine.add("chromium", "")
    machine.add("apt-get", "echo asked >&2; exit 100")

    done = machine.run("test", "-k", "csv")

    assert done.returncode == 0, done.stderr
    assert "asked" not in done.stderr
    assert re.fullmatch(r"ran -m tests\.halves \d+ -k csv\n", done.stdout)


def test_chromium__named_by_its_variable__is_taken(machine: Machine) -> None:
    mine = machine.add("my-browser", "")
    machine.add("apt-get", "exit 100")

    assert machine.test(CHROMIUM=str(mine)).returncode == 0


def test_chromium__both_there__is_the_one_without_windows(machine: Machine) -> None:
    machine.add("../.venv/bin/python", 'echo "$CHROMIUM"')
    machine.add("chromium", "")
    shell = machine.add("chromium-headless-shell", "")

    assert machine.test().stdout == f"{shell}\n"


@pytest.mark.parametrize("package", ["chromium-headless-shell", "chromium"])
def test_chromium__not_there__is_installed_by_the_package_that_the_system_has(
    machine: Machine, package: str
) -> None:
    browser = machine.bin / package
    machine.add(
        "apt-get",
        f'[ "$1" = update ] && exit 0; for last; do :; done; [ "$last" = {package} ] || exit 100;'
        f' echo "#!{machine.bin}/sh" >{browser}; {shutil.which("chmod")} +x {browser}',
    )

    done = machine.test()

    assert done.returncode == 0, done.stderr
    assert browser.exists()


def test_chromium__mirror_away_and_an_old_list_of_packages__is_installed_from_that(machine: Machine) -> None:
    browser = machine.bin / "chromium"
    machine.add(
        "apt-get",
        f'case "$1" in update) exit 100 ;; install) echo "#!{machine.bin}/sh" >{browser};'
        f" {shutil.which('chmod')} +x {browser} ;; esac",
    )

    done = machine.test()

    assert done.returncode == 0, done.stderr
    assert "trying with the list that is here" in done.stderr


def test_chromium__not_to_be_had__ends_with_what_to_install(machine: Machine) -> None:
    machine.add("apt-get", "exit 100")

    done = machine.test()

    assert done.returncode == 1
    assert "apt-get could not install chromium." in done.stderr
    assert "Install the package 'chromium', or put the path of a Chromium into CHROMIUM" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("asked", [(), ("--help",), ("nothing",)])
def test_bench__without_the_name_of_one__lists_them_and_installs_nothing(
    machine: Machine, asked: tuple[str, ...]
) -> None:
    shutil.rmtree(machine.folder / ".venv")
    folder = machine.folder / "benchmarks/numerics"
    folder.mkdir(parents=True)
    (folder / "engine.py").write_text('"""Measure the speed."""\n\nif __name__ == "__main__":\n    main()\n')
    (folder / "recorded.py").write_text('"""A policy."""\n')

    done = machine.run("bench", *asked)

    assert done.returncode == 2
    assert done.stderr == "usage: ./dev bench NAME [--help], one of:\n  engine       Measure the speed.\n"
