"""A page of the lab: a form, what is computed from it, and what is shown of the result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.lab.fields import LabForm
from experiments.text import Text

# The name of an example, and what it fills in.
Preset = tuple[Text, Mapping[str, str]]


@dataclass(frozen=True)
class Tool:
    """One page. ``ask`` makes of a valid form what is computed; ``show`` the context of its result.

    Its templates are dashboard/lab/<name>.html and dashboard/lab/_<name>_result.html. The first of ``presets`` is
    what the page begins with. A page that ``takes_file`` is posted.
    """

    name: str
    form: type[LabForm]
    ask: Callable[[Any], Any]
    show: Callable[[Any, Any], dict[str, Any]]
    runs_at_once: bool = False
    takes_file: bool = False
    presets: Sequence[Preset] = ()
