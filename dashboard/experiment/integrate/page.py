"""The page that says how software gets a variant and sends data, with a key that is made on the spot."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from bandit_project.administration.keys import KEY_NAME_LENGTH, Scope, create_key
from dashboard.access import requires
from dashboard.experiment.integrate.calls import last_calls
from dashboard.experiment.integrate.snippets import PLACEHOLDER, filled_ways
from dashboard.experiment.summary import experiment_or_404
from dashboard.experiment.tabs import tab_context
from dashboard.posts.sent_once import note_sent, refuse_repeated
from experiments.models import Experiment, Status
from experiments.roles import Role
from experiments.selectors import today

# What a key of the page may do. Others are made under API keys.
_OFFERED = (Scope.SERVE, Scope.WRITE)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.VIEWER, to_post=Role.ADMIN)
@refuse_repeated
def integrate(request: HttpRequest, reference: str) -> HttpResponse:
    """Show the code; a POST makes a key of the ``scope`` and shows it in the answer, and never again."""
    experiment = experiment_or_404(reference, today())
    made = _make_key(request, experiment) if request.method == "POST" else {}
    no_key = (
        PLACEHOLDER if settings.API_KEY_REQUIRED else ""
    )  # a call that names a wrong key is refused all the same
    context = tab_context(experiment, "integrate", today()) | {
        "ways": filled_ways(experiment, url=_home(request), today=today(), no_key=no_key, **made),
        "calls": last_calls(experiment, timezone.now()),
        "refusal": _refusal(experiment),
        "origins": settings.CORS_ALLOWED_ORIGINS,
        "keys_needed": settings.API_KEY_REQUIRED,
        **made,
    }
    response = render(request, "dashboard/experiment/integrate.html", context)
    response["Cache-Control"] = "no-store"  # the page may hold a secret
    return response


def _make_key(request: HttpRequest, experiment: Experiment) -> dict[str, Any]:
    """Make the key that was asked for; nothing for another scope, which only a forged form names."""
    asked = request.POST.get("scope", "")
    if asked not in {scope.value for scope in _OFFERED}:
        return {}
    scope = Scope(asked)
    name = f"{experiment.key[: KEY_NAME_LENGTH - 10]} ({scope.value})"
    _key, secret = create_key(name=name, scope=scope, days=None, now=timezone.now())
    note_sent(request)
    return {"secret": secret, "scope": scope}


def _home(request: HttpRequest) -> str:
    return request.build_absolute_uri("/").rstrip("/")


def _refusal(experiment: Experiment) -> str:
    """Say what calls are answered while the experiment does not run; empty while it does."""
    if experiment.archived_at:
        return _("This experiment is archived: visitors get the fallback, and data is refused.")
    if experiment.status == Status.DRAFT:
        return _(
            "This experiment is a draft: until it is started, visitors get the fallback, and data is refused."
        )
    if experiment.status == Status.COMPLETED:
        if not experiment.variants.all():
            return _("This experiment has ended without variants, and data is refused.")
        return _("This experiment has ended: everyone gets the final variant, and data is refused.")
    return ""
