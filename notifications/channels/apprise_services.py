"""Services that the library Apprise knows, by its URLs. It opens its own connections, so it is held to a list.

Only schemas whose host is a constant of the library are allowed: no URL can lead to a host of its writer's choice, to
a file or to a program. Zulip is not among them, though its URL names no host: the organisation may be one. Queries are
refused, as they hold options such as templates, which are read from files.
"""

import logging
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from notifications.addresses import RefusedAddressError
from notifications.channels.kinds import Message, Result
from notifications.channels.wording import words_of

# Read in the library's version of pyproject.toml: each calls one fixed host.
SCHEMAS = (
    "dingtalk", "feishu", "flock", "gchat", "groupme", "ilert", "incidentio", "lark", "line", "opsgenie", "pagerduty",
    "pbul", "pover", "signl4", "splunk", "squadcast", "tgram", "twilio", "victorops", "vonage", "webex", "wecombot",
    "wxteams",
)  # fmt: skip


def address_problem(address: str) -> str | None:
    """Name the problem of a URL, or None. The library's own parser has the last word."""
    schema, _separator, rest = address.partition("://")
    if schema not in SCHEMAS or not rest:
        return _("The URL must begin with one of these, and ://: %(schemas)s") % {
            "schemas": ", ".join(SCHEMAS)
        }
    if not address.isascii() or not address.isprintable() or " " in address:
        return _("The URL must be written in visible ASCII characters.")
    if urlsplit(address).query or "?" in address or "#" in address:
        return _("The URL must not have options (what follows ? or #).")
    if _service(address) is None:
        return _("%(schema)s:// does not have this form. See the documentation of Apprise.") % {
            "schema": schema
        }
    return None


def send(address: str, message: Message) -> Result:
    if problem := address_problem(address):
        raise RefusedAddressError(problem)
    subject, sentence = words_of(message)
    service = _service(address)
    if service is not None and service.notify(title=subject, body=sentence):
        return Result("delivered")
    return Result("failed", problem="the service did not take the message")


def _service(address: str) -> Any:
    """Make the library's object for a URL; None for one that it does not take."""
    from apprise import Apprise  # seconds of imports that only deliveries need

    # Both log what is called, and the URL is a secret.
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    service = Apprise.instantiate(address, suppress_exceptions=True)
    if service is not None:
        service.redirects = False
    return service
