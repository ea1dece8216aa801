"""The parts of a verdict: a sentence, the lines beside it, and the next step."""

from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["success", "info", "warning", "danger"]


@dataclass(frozen=True)
class Action:
    """The next step: a page to ``open``, an address to ``post`` to, or the dialog that ends the experiment."""

    label: str
    open: str = ""
    post: str = ""
    ends_with: int | None = None


@dataclass(frozen=True)
class Verdict:
    """A sentence, what there is to say beside it, and what to do."""

    tone: Tone
    title: str
    lines: list[str] = field(default_factory=list)
    action: Action | None = None
