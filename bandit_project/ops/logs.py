"""How the log is written: a JSON object a line in production, readable in development; the libraries' lines too."""

import re
from collections.abc import MutableMapping, Sequence
from typing import Any

import structlog
from structlog.typing import Processor

_SECRET = re.compile(r"authorization|cookie|password|secret|token|api_?key|dsn|database_url", re.IGNORECASE)
# Other words in which a credential travels: headers as libraries print them, the user part of a URL.
_IN_TEXT = (
    (re.compile(r"(?i)\b(api-key|bearer|basic)\s+[^\s'\",;]+"), r"\1 [removed]"),
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), r"\1:[removed]@"),
)


def without_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last guard: no fact is logged under a name that says secret, no credential inside a text."""
    for name, value in event.items():
        if _SECRET.search(name):
            event[name] = "[removed]"
        elif isinstance(value, str):
            event[name] = _cleaned(value)
    return event


def _cleaned(text: str) -> str:
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _shared() -> list[Processor]:
    """What every line gets, whoever writes it."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderers(*, json: bool) -> Sequence[Processor]:
    """Tracebacks as text without local variables, which may hold anything."""
    last: Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    )
    return (
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        without_secrets,
        last,
    )


def configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logging_config(level: str, *, json: bool) -> dict[str, Any]:
    """Django's LOGGING. Requests are told by request_log. Never logged, as they hold session keys and links that reset
    passwords: SQL with its parameters, and templates' contexts."""
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _shared(),
        "processors": _renderers(json=json),
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": {"level": level},
            "django.db.backends": {"level": "INFO" if level == "DEBUG" else level},
            "django.template": {"level": "INFO" if level == "DEBUG" else level},
            "django.request": {"level": "CRITICAL"},
            "axes": {"level": "WARNING"},
        },
    }
