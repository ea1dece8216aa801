"""The page of users: who may log in, with which role; invitations."""

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bandit_project.administration.audit import recent_changes
from bandit_project.administration.invitations import (
    INVITATION_DAYS,
    has_mail_server,
    invitation_token,
    send_invitation,
)
from bandit_project.administration.users import (
    change_role,
    deactivate_user,
    invite_user,
    list_accounts,
    reactivate_user,
    renew_invitation,
)
from dashboard.access import requires
from dashboard.people.acts import administers
from dashboard.people.forms import InvitationForm, RoleForm
from dashboard.posts.sent_once import note_sent, refuse_repeated
from experiments.exceptions import InvalidError, Issue
from experiments.roles import Role


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.ADMIN)
@refuse_repeated
def users(request: HttpRequest) -> HttpResponse:
    """List everyone; invite someone."""
    form = InvitationForm(request.POST if request.method == "POST" else None)
    if not (form.is_bound and form.is_valid()):
        return _page(request, form)
    try:
        invited = invite_user(
            email=form.cleaned_data["email"],
            name=form.cleaned_data["name"],
            role=form.role_given,
            now=timezone.now(),
        )
    except InvalidError as error:
        form.add_issues(error)
        return _page(request, form)
    return _invited(request, invited)


def _invited(request: HttpRequest, user: User) -> HttpResponse:
    """Send the link of an invitation; where that cannot be done, show it this once."""
    link = request.build_absolute_uri(reverse("invitation", args=[invitation_token(user)]))
    note_sent(request)
    sent = send_invitation(user=user, link=link)
    return _page(request, InvitationForm(), invited=user, link="" if sent else link)


def _page(request: HttpRequest, form: InvitationForm, **more: object) -> HttpResponse:
    context = {
        "section": "users",
        "accounts": list_accounts(timezone.now()),
        "form": form,
        "roles": list(Role),
        "has_mail_server": has_mail_server(),
        "invitation_days": INVITATION_DAYS,
        **more,
    }
    response = render(request, "dashboard/people/users.html", context)
    response["Cache-Control"] = "no-store"  # the page may hold a link that opens an account
    return response


@administers("dashboard:users")
def role(request: HttpRequest, user_id: int) -> str:
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise InvalidError([Issue("role", "unknown", _("Choose one of the roles."))])
    given = Role[form.cleaned_data["role"].upper()]
    user = change_role(user_id=user_id, role=given, by=request.user.pk, now=timezone.now())
    return _("%(name)s has the role %(role)s now.") % {"name": user.get_username(), "role": given.label}


@administers("dashboard:users")
def deactivate(request: HttpRequest, user_id: int) -> str:
    user = deactivate_user(user_id=user_id, by=request.user.pk, now=timezone.now())
    return _("%(name)s can no longer log in.") % {"name": user.get_username()}


@administers("dashboard:users")
def reactivate(request: HttpRequest, user_id: int) -> str:
    user = reactivate_user(user_id=user_id, now=timezone.now())
    return _("%(name)s can log in again.") % {"name": user.get_username()}


@administers("dashboard:users")
@refuse_repeated
def resend(request: HttpRequest, user_id: int) -> HttpResponse:
    return _invited(request, renew_invitation(user_id=user_id, now=timezone.now()))


@require_safe
@requires(Role.ADMIN)
def changes(request: HttpRequest) -> HttpResponse:
    context = {"section": "administration-changes", "changes": recent_changes()}
    return render(request, "dashboard/people/changes.html", context)
