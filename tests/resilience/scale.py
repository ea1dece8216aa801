"""The size of the tests of this folder: small in ./dev test, full in ./dev bench resilience."""

import os

FULL = os.environ.get("RESILIENCE") == "full"


def scaled(little: int, full: int) -> int:
    return full if FULL else little
