"""The Dockerfile, read line by line."""

import re

from tests.conftest import ROOT


def docker_instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def copied_names() -> list[str]:
    """Files and folders that the Dockerfile takes from the repository."""
    copies = [words.split() for name, words in docker_instructions() if name == "COPY"]
    return [source for words in copies if not words[0].startswith("--from") for source in words[:-1]]
