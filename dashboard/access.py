"""Access to the pages by role. An action that a person may not take is not offered, and refused when tried."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from experiments.database.moment import answer_may_lag, one_moment
from experiments.roles import Role, role_of

View = Callable[..., HttpResponseBase]
_ROLE = "visitor_role"
_LOOKS = {"GET", "HEAD"}


def visitor_role(request: HttpRequest) -> Role | None:
    """Find the role on the pages, once in a request; None for someone who has to log in first, or has no role."""
    if not hasattr(request, _ROLE):
        role = role_of(request.user)
        if role is None and not settings.DASHBOARD_LOGIN_REQUIRED:
            role = Role(settings.DASHBOARD_VISITOR_ROLE)
        setattr(request, _ROLE, role)  # the templates read it too
    found: Role | None = getattr(request, _ROLE)
    return found


def requires(
    needed: Role, to_post: Role | None = None, *, one_moment_to_look: bool = True, may_lag: bool = False
) -> Callable[[View], View]:
    """Open a page to people of at least this role; others are asked to log in, or refused.

    A page that is only looked at is read as of one moment, unless it tries out a write that it takes back.
    One that ``may_lag`` shows what a replica has, if there is one: what people only read.
    ``to_post`` is what it takes to change something on a page that others may look at.
    """

    def decorate(view: View) -> View:
        look = view
        if one_moment_to_look:
            look = answer_may_lag(view) if may_lag else one_moment()(view)

        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            held = visitor_role(request)
            if held is None and request.user.is_authenticated:
                raise PermissionDenied(_("Your account has no role yet. Ask an administrator for one."))
            if held is None:
                return redirect(f"{resolve_url(settings.LOGIN_URL)}?next={quote(page_of(request))}")
            least = to_post or needed if request.method == "POST" else needed
            if held < least:
                raise PermissionDenied(_refusal(least))
            return (look if request.method in _LOOKS else view)(request, *args, **kwargs)

        return checked

    return decorate


def page_of(request: HttpRequest) -> str:
    """Name the page that a visitor is on: this one, or the one whose form was sent; blank where that is unknown."""
    if request.method in _LOOKS:
        return request.get_full_path()
    try:
        before = urlsplit(request.headers.get("Referer", ""))
    except ValueError:  # such as http://[
        return ""
    # a path such as //other.example/x would lead to another host
    if before.netloc != request.get_host() or not url_has_allowed_host_and_scheme(before.path, None):
        return ""
    return f"{before.path}?{before.query}" if before.query else before.path


def _refusal(needed: Role) -> str:
    message = _("You do not have permission. Ask an administrator for the role %(role)s.")
    return message % {"role": needed.label}


def role(request: HttpRequest) -> dict[str, Any]:
    """Give templates the actions that this person may take."""
    held = visitor_role(request) if hasattr(request, "user") else None
    return {
        "may_look": held is not None,
        "may_edit": held is not None and held >= Role.ANALYST,
        "may_administer": held is not None and held >= Role.ADMIN,
    }
