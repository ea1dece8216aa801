"""A notification as an e-mail: a sentence, and the event as JSON below it."""

import json

from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email

from notifications.channels.kinds import Message, Result
from notifications.channels.wording import words_of


def address_problem(address: str) -> str | None:
    try:
        validate_email(address)
    except ValidationError as error:
        return str(error.messages[0])
    return None


def send(address: str, message: Message) -> Result:
    subject, sentence = words_of(message)
    facts = json.dumps(message.payload, indent=2, ensure_ascii=False)
    send_mail(f"[bandit] {subject}", f"{sentence}\n\n{facts}\n", None, [address])
    return Result("delivered")
