"""Take the pictures of docs/screenshots/: every page of a demo installation made for this.

./dev screenshots [--only results] [--folder docs/screenshots]
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
_ONE = "/dashboard/experiments/homepage-headline/"
_RESULT = "#lab-result canvas"
# Path, and the element to wait for.
PAGES = {
    "experiments": ("/dashboard/", "main"),
    "new": ("/dashboard/experiments/new/", "main"),
    "results": (_ONE, "canvas"),
    "explore": (f"{_ONE}explore/", "canvas"),
    "traffic": (f"{_ONE}traffic/", "canvas"),
    "data": (f"{_ONE}data/", "main"),
    "settings": (f"{_ONE}settings/", "main"),
    "history": (f"{_ONE}history/", "main"),
    "simulator": ("/dashboard/simulator/?rates=4+6+4.5&b_max_daily_shift=5", _RESULT),
    "backtest": ("/dashboard/backtest/?days=14&runs=1&seed=1", _RESULT),
    "planner": ("/dashboard/planner/", _RESULT),
    "algorithm": ("/dashboard/algorithm/", "main"),
    "login": ("/accounts/login/", "main"),
}
# Width, height and the suffix of the file name.
VIEWS = ((1440, 900, ""), (390, 844, "-phone"))
# Pixels. Few readers look further down, and all would download it.
TALLEST = 2400
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> None:
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with _demo() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS)
        for name, (address, ready) in PAGES.items():
            if options.only in name:
                _picture(browser, f"{home}{address}", ready, options.folder / name)
                print(f"{name}: {address}", file=sys.stderr)
        browser.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev screenshots", description=__doc__)
    parser.add_argument("--only", default="", help="Only the pages whose name holds this text.")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs/screenshots")
    return parser.parse_args()


@contextmanager
def _demo() -> Iterator[str]:
    """Serve a demo installation of its own, with a temporary database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DEBUG": "true", "DATABASE_URL": f"sqlite:///{folder}/demo.sqlite3"}
        manage = [sys.executable, str(ROOT / "manage.py")]
        for command in (["migrate", "--verbosity", "0"], ["seed_demo"]):
            subprocess.run([*manage, *command], env=environment, check=True, stdout=sys.stderr)
        serve = [*manage, "runserver", f"127.0.0.1:{port}", "--noreload"]
        with subprocess.Popen(serve, env=environment, stdout=sys.stderr, stderr=subprocess.DEVNULL) as server:
            try:
                yield _when_up(f"http://127.0.0.1:{port}")
            finally:
                server.terminate()


def _when_up(home: str) -> str:
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"{home}/health", timeout=2):  # noqa: S310 (our own server)
                return home
        except OSError:
            time.sleep(0.1)
    sys.exit("the demo did not start")


def _picture(browser: Browser, url: str, ready: str, stem: Path) -> None:
    """Take a page light and dark, wide and narrow, once its charts are drawn and its fonts loaded."""
    for width, height, mark in VIEWS:
        for scheme in ("light", "dark"):
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page.goto(url, wait_until="networkidle")
            page.locator(ready).first.wait_for(timeout=120_000)
            page.wait_for_function("document.fonts.status === 'loaded'")
            tall = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
            page.screenshot(
                path=f"{stem}{mark}-{scheme}.jpg",
                type="jpeg",
                quality=80,
                full_page=True,
                clip={"x": 0, "y": 0, "width": width, "height": tall},
            )
            page.close()


if __name__ == "__main__":
    main()
