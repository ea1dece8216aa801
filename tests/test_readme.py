"""The README's example, run as written against a real server."""

import re
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


@pytest.mark.django_db(transaction=True)
def test_readme__example__prints_what_it_says(live_server: Any) -> None:
    found = re.search(r"```python\n(.*?)```\n\nprints\n\n    (.*?)\n", README, re.S)
    assert found is not None
    code = found[1].replace("http://127.0.0.1:8000", live_server.url)

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert result.stdout.strip() == found[2]
