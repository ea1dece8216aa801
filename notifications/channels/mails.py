"""A notification as an email in plain words, as text and as HTML: a sentence, the facts, and a link to the page."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import override

from notifications.address import public_address
from notifications.channels.facts import facts_of
from notifications.channels.kinds import Message, Result
from notifications.channels.wording import words_of


def address_problem(address: str) -> str | None:
    try:
        validate_email(address)
    except ValidationError as error:
        return str(error.messages[0])
    return None


def send(address: str, message: Message) -> Result:
    mail = mail_of(message)
    send_mail(mail.subject, mail.text, None, [address], html_message=mail.html)
    return Result("delivered")


class Mail(NamedTuple):
    """``text`` and ``html`` say the same."""

    subject: str
    text: str
    html: str


def mail_of(message: Message) -> Mail:
    """Write the mail in the language of its reader."""
    subject, sentence = words_of(message)
    with override(message.language):
        context = {
            "subject": subject,
            "sentence": sentence,
            "facts": facts_of(message.payload["data"]),
            "language": message.language,
            "link": _page_of(message.payload["experiment"]),
        }
        text, html = (render_to_string(f"mail/notification.{kind}", context) for kind in ("txt", "html"))
    return Mail(f"[bandit] {subject}", text, html)


def _page_of(experiment: Mapping[str, Any] | None) -> str:
    """Address the experiment's page; empty where the service's own address is not known."""
    return public_address(reverse("dashboard:results", args=[experiment["key"]])) if experiment else ""
