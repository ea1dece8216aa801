"""The page that an invitation leads to: choose a password, and be logged in."""

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from bandit_project.administration.invitations import accept_invitation, find_invited

_BACKEND = "bandit_project.administration.login.AccountBackend"


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    user = find_invited(token, timezone.now())
    form = SetPasswordForm(user, request.POST or None) if user else None
    if user is None or form is None:
        return _page(request, None, None)
    if not form.is_valid():
        return _page(request, user, form)
    if not accept_invitation(user=user, password=form.cleaned_data["new_password1"], now=timezone.now()):
        return _page(request, None, None)
    login(request, user, backend=_BACKEND)
    messages.success(request, _("Welcome. Your password is set, and you are logged in."))
    return redirect("dashboard:experiments")


def _page(request: HttpRequest, user: User | None, form: "SetPasswordForm[User] | None") -> HttpResponse:
    status = 200 if user else 410
    context = {"form": form, "invited": user}
    return render(request, "registration/invitation.html", context, status=status)
