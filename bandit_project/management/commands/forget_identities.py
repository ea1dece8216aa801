from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from bandit_project.administration.groups import known_name
from bandit_project.models import OidcIdentity


class Command(BaseCommand):
    help = (
        "Forget which person of an OpenID provider has an account, so that the next log-in by its verified email "
        "address gets it: after a change of the provider, or of the person's account there."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("name", help="the user name here")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        user = User.objects.filter(username=known_name(name)).first()
        if user is None:
            raise CommandError(f"There is no user {name!r}.")
        forgotten = OidcIdentity.objects.filter(user=user).delete()[0]
        self.stdout.write(f"{forgotten} forgotten of {user.get_username()}.")
