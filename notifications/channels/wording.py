"""An event in words, in the language of its reader."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import override

from experiments.text import format_number, format_percent
from notifications.channels.kinds import Message
from notifications.events import EVENT_TYPES, EventKind


class Words(NamedTuple):
    """``subject`` is one line, whatever the experiment's name holds."""

    subject: str
    sentence: str


def words_of(message: Message) -> Words:
    """Say what has happened. Raises ValueError or LookupError for an event of a version that knew other facts."""
    kind = EventKind(message.kind)
    with override(message.language):
        about = f"{experiment['name']}: " if (experiment := message.payload["experiment"]) else ""
        subject = " ".join(f"{about}{kind.label}".split())
        sentence = str(EVENT_TYPES[kind].sentence).format_map(_shown(message.payload["data"]))
    return Words(subject, sentence)


def _shown(data: Mapping[str, Any]) -> dict[str, Any]:
    """Write the facts as pages do."""
    return {name: _SHOWN[name](value) if name in _SHOWN else _text(value) for name, value in data.items()}


def _text(value: Any) -> Any:
    return _("nobody") if value is None else value


_SHOWN = {
    "probability_best": lambda value: format_percent(value or 0.0),
    "p_value": lambda value: f"{value:.2g}",
    "max_fall": lambda value: format_number(value, 0) if value == int(value) else f"{value:g}",
}
