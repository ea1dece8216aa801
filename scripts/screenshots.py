"""Take the pictures of docs/screenshots/: every page of a demo installation made for this.

./dev screenshots [--only results] [--folder docs/screenshots]

Pictures that are no longer made are removed. All of them together are at most 3 MB.
"""

import argparse
import base64
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
from typing import NamedTuple

from playwright.sync_api import Browser, BrowserContext, StorageState, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 3_000_000
_ONE = "/dashboard/experiments/homepage-headline/"
_PEOPLE = "/dashboard/administration/"
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
    "integrate": (f"{_ONE}integrate/", "main"),
    "report": (f"{_ONE}report/", "canvas"),
    "simulator": ("/dashboard/simulator/?rates=4+6+4.5&b_max_daily_shift=5", _RESULT),
    "backtest": ("/dashboard/backtest/?days=14&runs=1&seed=1", _RESULT),
    "planner": ("/dashboard/planner/", _RESULT),
    "algorithm": ("/dashboard/algorithm/", "main"),
    "users": (f"{_PEOPLE}users/", "main"),
    "keys": (f"{_PEOPLE}keys/", "main"),
    "channels": (f"{_PEOPLE}notifications/", "main"),
    "profile": ("/dashboard/account/", "main"),
}


class Look(NamedTuple):
    """How pages are taken: the end of the file's name, and which pages, all if None."""

    mark: str
    width: int
    height: int
    scheme: str
    locale: str
    pages: frozenset[str] | None = None


_SHOWN_ELSEWHERE = frozenset({"experiments", "results", "traffic", "simulator"})
LOOKS = (
    Look("", 1440, 900, "light", "en-US"),
    Look("-dark", 1440, 900, "dark", "en-US", _SHOWN_ELSEWHERE),
    Look("-phone", 390, 844, "light", "en-US", _SHOWN_ELSEWHERE | {"explore", "data"}),
    Look("-phone-dark", 390, 844, "dark", "en-US", frozenset({"results"})),
    Look("-portuguese", 1440, 900, "light", "pt-BR", _SHOWN_ELSEWHERE),
)
# Pixels. Few readers look further down, and all would download it.
TALLEST = 2000
# Of WebP, from 0 to 100. Letters are still sharp.
QUALITY = 75
# Milliseconds to wait for a page. Simulations take their time.
_PATIENCE = 240_000
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
    path = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
    with _demo() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS)
        made = list(_take_all(browser, home, options.only, options.folder))
        browser.close()
    if not options.only:
        remove_others(options.folder, made)
    _refuse_too_much(options.folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev screenshots", description=__doc__)
    parser.add_argument("--only", default="", help="Only the pages whose name holds this text.")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs/screenshots")
    return parser.parse_args()


def remove_others(folder: Path, made: list[Path]) -> None:
    """Remove the pictures of pages and looks that are taken no more."""
    for path in {*folder.iterdir()} - {*made}:
        print(f"removed {path.name}", file=sys.stderr)
        path.unlink()


def _refuse_too_much(folder: Path) -> None:
    total = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{len(list(folder.iterdir()))} pictures, {total:,} bytes")
    if total > MOST_BYTES:
        sys.exit(f"more than {MOST_BYTES:,} bytes: lower QUALITY or TALLEST, or take fewer")


@contextmanager
def _demo() -> Iterator[str]:
    """Serve a demo installation of its own, with a temporary database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DEBUG": "true", "DATABASE_URL": f"sqlite:///{folder}/demo.sqlite3"}
        manage = [sys.executable, str(ROOT / "manage.py")]
        for command in _COMMANDS:
            subprocess.run([*manage, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
        serve = [*manage, "runserver", f"127.0.0.1:{port}", "--noreload"]
        with subprocess.Popen(serve, env=environment, stdout=sys.stderr, stderr=subprocess.DEVNULL) as server:
            try:
                yield _when_up(f"http://127.0.0.1:{port}")
            finally:
                server.terminate()


_COMMANDS = (
    ("migrate", "--verbosity", "0"),
    ("seed_demo",),
    ("invite_user", "ana.souza@example.com", "--name", "Ana Souza", "--role", "analyst"),
    ("invite_user", "ben@example.com", "--name", "Ben Fischer"),
    ("create_api_key", "Shop backend", "--scope", "write", "--days", "90"),
    ("create_api_key", "Website", "--scope", "serve"),
)


def _when_up(home: str) -> str:
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"{home}/health", timeout=2):  # noqa: S310 (our own server)
                return home
        except OSError:
            time.sleep(0.1)
    sys.exit("the demo did not start")


def _take_all(browser: Browser, home: str, only: str, folder: Path) -> Iterator[Path]:
    session = _logged_in(browser, home)
    for look in LOOKS:
        context = browser.new_context(
            viewport={"width": look.width, "height": look.height},
            color_scheme="dark" if look.scheme == "dark" else "light",
            locale=look.locale,
            storage_state=session,
        )
        for name, (address, ready) in PAGES.items():
            if only in name and (look.pages is None or name in look.pages):
                path = folder / f"{name}{look.mark}.webp"
                path.write_bytes(_picture(context, f"{home}{address}", ready))
                print(f"{path.name}: {path.stat().st_size:,} bytes", file=sys.stderr)
                yield path
        context.close()


def _logged_in(browser: Browser, home: str) -> StorageState:
    """Log in as the demo's administrator, and set up what no command makes: a channel."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(_PATIENCE)
    page.goto(f"{home}/accounts/login/")
    page.fill("[name=username]", "demo")
    page.fill("[name=password]", "demo-only")
    page.click("main [type=submit]")
    page.goto(f"{home}{_PEOPLE}notifications/new/")
    page.fill("[name=name]", "#experiments")
    page.select_option("[name=channel]", "slack")
    page.fill("[name=address]", "https://hooks.slack.com/services/T0/B0/X0")
    page.click("main [type=submit]")
    page.wait_for_url(f"{home}{_PEOPLE}notifications/*/")
    session = context.storage_state()
    context.close()
    return session


def _picture(context: BrowserContext, url: str, ready: str) -> bytes:
    """Take a page as WebP, which Playwright cannot write, once its charts are drawn and its fonts loaded."""
    page = context.new_page()
    page.set_default_timeout(_PATIENCE)
    page.goto(url)
    page.locator(ready).first.wait_for()
    page.wait_for_function("document.fonts.status === 'loaded'")
    width = page.evaluate("document.documentElement.clientWidth")
    tall = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
    # what keeps to an edge of the window is where it is on a page that is not scrolled
    page.set_viewport_size({"width": width, "height": tall})
    # charts move into place
    page.wait_for_timeout(800)
    taken = context.new_cdp_session(page).send(
        "Page.captureScreenshot", {"format": "webp", "quality": QUALITY}
    )
    page.close()
    return base64.b64decode(taken["data"])


if __name__ == "__main__":
    main()
