"""One's own account: name, email address, language, theme, time zone, the weekly summary."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from django.views.i18n import set_language

from bandit_project.administration.invitations import has_mail_server
from bandit_project.administration.profile import change_language, change_profile, preferences_of
from dashboard.people.forms import ProfileForm
from experiments.exceptions import InvalidError
from experiments.roles import role_of


class AuthenticatedHttpRequest(HttpRequest):
    """A request that login_required has let through."""

    user: User


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def profile(request: AuthenticatedHttpRequest) -> HttpResponse:
    form = _form(request)
    if not (form.is_bound and form.is_valid()):
        return _page(request, form)
    try:
        change_profile(
            user=request.user,
            name=form.cleaned_data["name"],
            email=form.cleaned_data["email"],
            preferences=form.preferences,
        )
    except InvalidError as error:
        form.add_issues(error)
        return _page(request, form)
    with translation.override(form.preferences.language or translation.get_language()):
        messages.success(request, _("Saved."))
    return redirect("dashboard:profile")


def _form(request: AuthenticatedHttpRequest) -> ProfileForm:
    user = request.user
    shown = {"name": user.get_full_name(), "email": user.email, **preferences_of(user)._asdict()}
    return ProfileForm(request.POST if request.method == "POST" else None, initial=shown)


def _page(request: HttpRequest, form: ProfileForm) -> HttpResponse:
    role = role_of(request.user)
    context = {
        "section": "profile",
        "role": role.label if role else "",
        "form": form,
        "has_mail_server": has_mail_server(),
        "installation_zone": settings.TIME_ZONE,
    }
    return render(request, "dashboard/people/profile.html", context)


def choose_language(request: HttpRequest) -> HttpResponseBase:
    """Switch the language of the pages: for this browser, and for the account that is logged in."""
    if request.method == "POST" and request.user.is_authenticated:
        change_language(user=request.user, language=request.POST.get("language", ""))
    return set_language(request)
