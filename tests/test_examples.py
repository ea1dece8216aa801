"""examples/shop: a visitor sees a variant and buys."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from fake_service import FakeService, fake_service

from tests.conftest import ROOT
from tests.deployment.installation import free_port

pytestmark = pytest.mark.database_free


@contextmanager
def _shop(service: FakeService, spool: Path) -> Iterator[str]:
    port = free_port()
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "clients/python"),
        "BANDIT_URL": service.url,
        "BANDIT_EXPERIMENT": "hero",
        "BANDIT_SPOOL": str(spool),
    }
    command = [sys.executable, "examples/shop/shop.py", "runserver", f"127.0.0.1:{port}", "--noreload"]
    process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _variant(visitor: requests.Session, shop: str) -> str:
    """The variant on the page, asked for until the shop has started and fetched its rules."""
    for _ in range(200):
        try:
            text = visitor.get(shop, timeout=10).text
        except requests.ConnectionError:
            text = ""
        if found := re.search(r'data-variant="(blue|red)"', text):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(text)


def _post(visitor: requests.Session, address: str) -> None:
    token = {"csrfmiddlewaretoken": visitor.cookies["csrftoken"]}
    visitor.post(address, data=token, timeout=10).raise_for_status()


def _wait_for_conversions(service: FakeService, number: int) -> None:
    for _ in range(200):
        if service.total("conversions") == number:
            return
        time.sleep(0.1)


def test_shop__visitor_buys_twice__counts_once_for_the_variant_that_was_seen(tmp_path: Path) -> None:
    with fake_service() as service, _shop(service, tmp_path) as shop, requests.Session() as visitor:
        variant = _variant(visitor, shop)
        for _ in range(2):
            _post(visitor, f"{shop}/buy")
            _post(visitor, f"{shop}/pay")
        _wait_for_conversions(service, 1)

    assert {place[1] for place in service.totals} == {variant}
    assert [service.total(kind) for kind in ("impressions", "clicks", "conversions")] == [1, 1, 1]
    assert service.values == ["12.5000"]
