"""Describe the machine of a measurement."""

import os
import platform
from pathlib import Path

import numpy as np


def machine() -> str:
    """Return processor, number of cores, Python and numpy in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = names[0] if names else platform.processor()
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}"
