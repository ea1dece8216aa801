from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.urls import reverse
from django.utils import timezone

from bandit_project.administration.invitations import invitation_token, send_invitation
from bandit_project.administration.users import NAME_LENGTH, invite_user, renew_invitation
from experiments.exceptions import ConflictError, InvalidError
from experiments.management.plain import PlainCommand
from experiments.roles import Role
from notifications.address import public_address


class Command(PlainCommand):
    help = (
        "Make an account and print the link that opens it: the person sets the password there. The link works once, "
        "for some days, and is mailed too where a mail server is configured."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="The email address; it is the user name too.")
        parser.add_argument("--role", choices=[role.group for role in Role], default=Role.VIEWER.group)
        parser.add_argument(
            "--name", default="", help=f"How pages name the person; at most {NAME_LENGTH} characters."
        )
        parser.add_argument("--site", help="Where the dashboard is, such as https://bandit.example.com.")
        parser.add_argument(
            "--again", action="store_true", help="Replace the link of an invitation that is still open."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = _renewed(options["email"]) if options["again"] else _invited(options)
        except InvalidError as error:
            raise CommandError(_with_fix(error)) from error
        except ConflictError as error:
            raise CommandError(str(error)) from error
        link = _link(user, options["site"])
        is_whole = not link.startswith("/")  # a link without its host helps nobody in a mail
        sent = is_whole and send_invitation(user=user, link=link)
        self.stderr.write(
            f"Mailed to {user.email}." if sent else "No mail was sent. Pass this link on; it works once."
        )
        if not is_whole:
            self.stderr.write("Put the dashboard's address before it. --site does so by itself.")
        self.stdout.write(link)


def _invited(options: dict[str, Any]) -> User:
    return invite_user(
        email=options["email"],
        name=options["name"],
        role=Role[options["role"].upper()],
        now=timezone.now(),
    )


def _with_fix(error: InvalidError) -> str:
    said = "; ".join(issue.message for issue in error.issues)
    is_taken = any(issue.code == "taken" for issue in error.issues)
    return f"{said} --again replaces the link of an invitation that is still open." if is_taken else said


def _renewed(email: str) -> User:
    user = User.objects.filter(username=email.strip().lower()).first()
    if user is None:
        raise CommandError(f"No account has the user name {email!r}.")
    return renew_invitation(user_id=user.pk, now=timezone.now())


def _link(user: User, site: str | None) -> str:
    path = reverse("invitation", args=[invitation_token(user)])
    return f"{site.rstrip('/')}{path}" if site else public_address(path) or path
