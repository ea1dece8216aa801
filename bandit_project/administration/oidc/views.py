"""The addresses of a log-in by OpenID Connect: to the provider, back from it, and out of it."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from bandit_project.administration.oidc import round_trip
from bandit_project.administration.oidc.provider import OidcError, Provider, read_provider
from experiments.events import log_problem_event

BACKEND = "bandit_project.administration.oidc.token.OidcBackend"
# A cookie with a longer one is more than browsers keep.
LONGEST_GOAL = 2000
_CHALLENGE_METHOD = "S256"

View = Callable[[HttpRequest], HttpResponse]


def _oidc(view: View) -> View:
    """Not there where it is off; a refusal leads back to the log-in page, with a sentence."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if not settings.OIDC_ISSUER:
            raise Http404
        try:
            return view(request)
        except OidcError as refusal:
            log_problem_event("login.oidc_refused", reason=refusal.reason, detail=refusal.detail)
            messages.error(request, _sentence(refusal.reason))
            return redirect("login")

    return require_GET(never_cache(guarded))


@_oidc
def oidc_login(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider."""
    trip = round_trip.begin(_goal(request, request.GET.get("next", "")))
    response = HttpResponseRedirect(_question(read_provider(), trip, _callback(request)))
    round_trip.put(response, trip, is_secure=request.is_secure())
    return response


@_oidc
def oidc_callback(request: HttpRequest) -> HttpResponse:
    """Take the provider's answer, and log in whom it names."""
    from bandit_project.administration.oidc.token import OidcBackend  # needs the extra

    trip = round_trip.take(request)
    if "code" not in request.GET:
        raise OidcError("provider_refused", request.GET.get("error", "")[:100])
    # Without Django's authenticate: a failure here says nothing of the passwords that lock-outs count.
    user = OidcBackend().authenticate(request, nonce=trip.nonce, code_verifier=trip.verifier)
    if user is None:
        raise OidcError("provider_refused")
    login(request, user, backend=BACKEND)
    request.session.set_expiry(settings.OIDC_SESSION_HOURS * 3600)
    response = HttpResponseRedirect(trip.goal)
    round_trip.forget(response)
    return response


@_oidc
def oidc_logout(request: HttpRequest) -> HttpResponse:
    """End the session at the provider, where it has an address for that. Here it has ended before."""
    address = read_provider().end_session
    if not address:
        return redirect("login")
    back = request.build_absolute_uri(resolve_url("login"))
    return HttpResponseRedirect(
        _with(address, {"client_id": settings.OIDC_CLIENT_ID, "post_logout_redirect_uri": back})
    )


class LogIn(LoginView):
    """The page with the password, and with the provider's button where there is one."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        more = {
            "oidc": settings.OIDC_NAME if settings.OIDC_ISSUER else "",
            "has_left": "left" in self.request.GET,
        }
        return super().get_context_data(**kwargs, **more)


class LogOut(LogoutView):
    """Ends the session here. Who came by the provider may end the one there too: the log-in page has the link."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        came_by_provider = request.session.get("_auth_user_backend") == BACKEND
        response = super().post(request, *args, **kwargs)
        return redirect(f"{reverse('login')}?left") if came_by_provider else response


def _question(provider: Provider, trip: round_trip.RoundTrip, callback: str) -> str:
    from mozilla_django_oidc.utils import generate_code_challenge  # needs the extra

    return _with(
        provider.authorization,
        {
            "response_type": "code",
            "client_id": settings.OIDC_CLIENT_ID,
            "redirect_uri": callback,
            "scope": settings.OIDC_SCOPES,
            "state": trip.state,
            "nonce": trip.nonce,
            "code_challenge": generate_code_challenge(trip.verifier, _CHALLENGE_METHOD),
            "code_challenge_method": _CHALLENGE_METHOD,
        },
    )


def _with(address: str, query: dict[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def _callback(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("oidc_callback"))


def _goal(request: HttpRequest, wanted: str) -> str:
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    goal = iri_to_uri(wanted) if is_ours else ""
    return goal if 0 < len(goal) <= LONGEST_GOAL else resolve_url(settings.LOGIN_REDIRECT_URL)


def _sentence(reason: str) -> str:
    name = {"name": settings.OIDC_NAME}
    if reason == "no_verified_address":
        return _("%(name)s does not say that your email address is verified. Ask an administrator.") % name
    if reason in ("taken", "several_accounts", "inactive"):
        return _("Your account here cannot be opened with %(name)s. Ask an administrator.") % name
    if reason == "provider_away":
        return _("%(name)s does not answer. Try again later.") % name
    return _("The log-in with %(name)s did not work. Try again.") % name
