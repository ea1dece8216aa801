"""An event in words, in the language of its reader."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from experiments.metrics import Reward
from experiments.text import format_number, format_percent, parse_date
from notifications.channels.kinds import Message
from notifications.events import EVENT_TYPES, EventKind, EventType


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
        sentence = _sentence(EVENT_TYPES[kind]).format_map(_shown(message.payload["data"]))
    return Words(subject, sentence)


def _sentence(event_type: EventType) -> str:
    return str(event_type.sentence if _is_english() else event_type.elsewhere or event_type.sentence)


def _is_english() -> bool:
    return (get_language() or "en").startswith("en")


def _shown(data: Mapping[str, Any]) -> dict[str, Any]:
    """Write the facts as pages do."""
    shown = {name: _SHOWN[name](value) if name in _SHOWN else _text(value) for name, value in data.items()}
    return shown | ({"ratio": ratio_in_words(data)} if "ratio" in data else {})


def _text(value: Any) -> Any:
    return _("nobody") if value is None else value


def day_in_words(text: str) -> str:
    """Write an ISO date as pages do; a text that is none as it is."""
    day = parse_date(text)
    return text if day is None else date_format(day, _("j M Y"))


def chance_in_words(probability: float | None) -> str:
    """Write a probability, never as certain."""
    chance = probability or 0.0
    return f"> {format_percent(0.999)}" if chance > 0.999 else format_percent(chance)


def ratio_in_words(harm: Mapping[str, Any]) -> str:
    """Name the metric of a harm within a sentence: the event has it in English, and its code for other languages."""
    if _is_english() or harm.get("metric") not in Reward.values:
        return str(harm["ratio"])
    label = str(Reward(harm["metric"]).label)
    return label[:1].lower() + label[1:]


def fall_in_words(percent: float) -> str:
    return format_number(percent, 0) if percent == int(percent) else f"{percent:g}"


def _moment(text: str) -> str:
    """Write an ISO moment as pages do, in the service's time zone."""
    moment = parse_datetime(text) if text else None
    return text if moment is None else date_format(timezone.localtime(moment), _("j M Y, H:i"))


_SHOWN: Mapping[str, Callable[[Any], str]] = {
    "probability_best": chance_in_words,
    "p_value": lambda value: f"{value:.2g}",
    "max_fall": fall_in_words,
    "target_date": day_in_words,
    "since": day_in_words,
    "starts_at": _moment,
    "ends_at": _moment,
}
