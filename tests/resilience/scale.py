"""How hard the tests of this folder pull: a little in ./dev test, in full in ./dev bench resilience."""

import os

FULL = os.environ.get("RESILIENCE") == "full"


def scaled(little: int, full: int) -> int:
    return full if FULL else little
