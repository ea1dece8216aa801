from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bandit_project.administration.keys import KEY_NAME_LENGTH, MOST_DAYS, create_key
from bandit_project.models import Scope
from experiments.exceptions import InvalidError
from experiments.management.plain import PlainCommand


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST_DAYS:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_DAYS}")
    return int(text)


class Command(PlainCommand):
    help = "Make an API key and print it. It is shown this once and cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "name", help=f"The person or program that uses it; 1 to {KEY_NAME_LENGTH} characters."
        )
        parser.add_argument("--scope", choices=Scope.values, default=Scope.READ.value)
        parser.add_argument("--days", type=_days, help="Days until it expires (default: never).")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            _, key = create_key(
                name=options["name"],
                scope=Scope(options["scope"]),
                days=options["days"],
                now=timezone.now(),
            )
        except InvalidError as error:
            raise CommandError(
                f"{options['name']!r} is no name of a key. {error.issues[0].message}"
            ) from error
        self.stderr.write(f"A key with scope {options['scope']}. Keep it; it is not stored.")
        self.stdout.write(key)
