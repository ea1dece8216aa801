"""The engine is numpy alone."""

import subprocess
import sys
from pathlib import Path


def test_engine__without_django__imports_and_allocates() -> None:
    code = """
import sys
for name in ("django", "rest_framework", "scipy"):
    sys.modules[name] = None
from allocation.engine import probability_best
print(probability_best([1, 1], [1, 1]).round(6).tolist())
"""

    root = Path(__file__).parents[3]
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == "[0.5, 0.5]"
