"""The page of API keys: list, make, revoke. A new key is shown in the answer to its form, and never again."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from bandit_project.administration.keys import Scope, create_key, list_keys, revoke_key
from dashboard.access import requires
from dashboard.people.acts import administers
from dashboard.people.forms import KeyForm
from dashboard.posts.sent_once import note_sent, refuse_repeated
from experiments.exceptions import InvalidError
from experiments.roles import Role

# A call that each scope may make: its path, and the body where it needs one.
_TRIES = {Scope.SERVE: "/api/v1/ruleset/"}
_ANY = "/api/v1/experiments/"


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.ADMIN)
@refuse_repeated
def keys(request: HttpRequest) -> HttpResponse:
    form = KeyForm(request.POST if request.method == "POST" else None)
    if not (form.is_bound and form.is_valid()):
        return _page(request, form)
    try:
        key, secret = create_key(
            name=form.cleaned_data["name"],
            scope=Scope(form.cleaned_data["scope"]),
            days=form.cleaned_data["days"],
            now=timezone.now(),
        )
    except InvalidError as error:
        form.add_issues(error)
        return _page(request, form)
    note_sent(request)
    url = request.build_absolute_uri(_TRIES.get(Scope(key.scope), _ANY))
    curl = f'curl -H "Authorization: Api-Key {secret}" {url}'
    return _page(request, KeyForm(), made=key, secret=secret, curl=curl)


def _page(request: HttpRequest, form: KeyForm, **made: object) -> HttpResponse:
    context = {"section": "keys", "keys": list_keys(), "form": form, "now": timezone.now(), **made}
    response = render(request, "dashboard/people/keys.html", context)
    response["Cache-Control"] = "no-store"  # the page may hold a secret
    return response


@administers("dashboard:keys")
def revoke(request: HttpRequest, prefix: str) -> str:
    key = revoke_key(prefix=prefix, now=timezone.now())
    return _("Revoked %(name)s. Calls with this key are refused.") % {"name": key.name}
