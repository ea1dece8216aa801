"""Logging of our lines and the libraries': one JSON object a line in production, readable text in development."""

import json
import logging
import re
from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.typing import Processor

# What a line may hold instead of a traceback.
_TRACES = frozenset({"exc_info", "stack_info", "stack"})
_SECRET = re.compile(r"authorization|cookie|password|secret|token|api_?key|dsn|database_url", re.IGNORECASE)
# Credentials inside a text: headers as libraries print them, and the user part of a URL.
_IN_TEXT = (
    (re.compile(r"(?i)\b(api-key|bearer|basic)\s+[^\s'\",;]+"), r"\1 [removed]"),
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), r"\1:[removed]@"),
)


def without_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove secrets from an event, as a last guard: by the name of a field, and inside texts."""
    for name, value in event.items():
        if _names_a_secret(name):
            event[name] = "[removed]"
        elif isinstance(value, str):
            event[name] = _cleaned(value)
    return event


@lru_cache(maxsize=1024)
def _names_a_secret(field: str) -> bool:
    return _SECRET.search(field) is not None


def _cleaned(text: str) -> str:
    """Remove credentials; a text of one word that is no address holds none."""
    if "://" not in text and len(text.split(None, 1)) < 2:
        return text
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _name_gunicorn(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name gunicorn's logger after it alone: it calls the one for everything "gunicorn.error"."""
    if event.get("logger") == "gunicorn.error":
        event["logger"] = "gunicorn"
    return event


def _as_json(event: MutableMapping[str, Any], **options: Any) -> str:
    """Write a line by orjson; one that it refuses, or that is not ASCII, as json does, which escapes all else."""
    try:
        line = orjson.dumps(event)
    except TypeError:
        return json.dumps(event, **options)
    return line.decode() if line.isascii() else json.dumps(event, **options)


def _shared() -> list[Processor]:
    """Processors of every line, of ours and of the libraries."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        _name_gunicorn,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderers(*, as_json: bool) -> Sequence[Processor]:
    """Processors that write the line. A traceback has no local variables, as those may hold secrets."""
    last: Processor = (
        structlog.processors.JSONRenderer(_as_json)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    return (
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        without_secrets,
        last,
    )


class LineFormatter(structlog.stdlib.ProcessorFormatter):
    """Writes a line of ours without a copy of its record, which the libraries' lines need."""

    def format(self, record: logging.LogRecord) -> str:
        event = record.msg
        if (
            not isinstance(event, dict)
            or not hasattr(record, "_logger")
            or not event.keys().isdisjoint(_TRACES)
        ):
            return super().format(record)
        line = self.processors[-1](None, "", without_secrets(None, "", event.copy()))
        return str(line)


def configure_structlog() -> None:
    _name_no_places()
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


def _name_no_places() -> None:
    """Do not look up for each line the place in the code, the process and the thread, which no line names.

    Python's documentation names these variables, under "Optimization" of its logging HOWTO.
    """
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class Refusals(logging.Filter):
    """Makes a line at WARNING, without its traceback, of what Django refuses: a host that is not ours, a form too long.

    Django writes these at ERROR. Anyone can send such a request, and the fault is not the service's. What else it
    calls suspicious keeps its traceback, as it may be a fault of the service.
    """

    _REFUSALS = frozenset(
        f"django.security.{name}"
        for name in ("DisallowedHost", "RequestDataTooBig", "TooManyFieldsSent", "TooManyFilesSent")
    )

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name in self._REFUSALS:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = None
        return True


def logging_config(level: str, *, json: bool) -> dict[str, Any]:
    """Django's LOGGING, and gunicorn's. request_log.py logs the requests.

    SQL with its parameters and templates' contexts are never logged: they hold session keys and password-reset links.
    """
    formatter = {
        "()": LineFormatter,
        "foreign_pre_chain": _shared(),
        "processors": _renderers(as_json=json),
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "filters": {"refusals": {"()": Refusals}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["refusals"]}
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": {"level": level},
            "django.db.backends": {"level": "INFO" if level == "DEBUG" else level},
            "django.template": {"level": "INFO" if level == "DEBUG" else level},
            "django.request": {"level": "CRITICAL"},
            "axes": {"level": "WARNING"},
            "environ": {"level": "WARNING"},  # says at INFO that there is no .env
            # Without its own handler: its lines have the form of all others.
            "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
        },
    }
