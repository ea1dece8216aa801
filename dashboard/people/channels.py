"""The pages of notifications: channels, their tests and their deliveries."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bandit_project.administration.channels import (
    Wanted,
    change_channel,
    create_channel,
    delete_channel,
    find_channel,
    list_channels,
    renew_secret,
    retry_delivery,
    send_test,
)
from bandit_project.administration.invitations import has_mail_server
from dashboard.access import View, requires
from dashboard.people.acts import Act, administers
from dashboard.people.forms import ChannelForm
from dashboard.posts.sent_once import note_sent, refuse_repeated
from experiments.exceptions import InvalidError, NotFoundError
from experiments.roles import Role
from notifications.channels.kinds import Channel
from notifications.events import EventKind
from notifications.models import Delivery, Endpoint
from notifications.problems import plain_problem

_DELIVERIES_SHOWN = 30


class DeliveryRow(NamedTuple):
    """A delivery as the page shows it."""

    delivery: Delivery
    kind: str
    about: str
    problem: str
    can_retry: bool


@require_safe
@requires(Role.ADMIN)
def channels(request: HttpRequest) -> HttpResponse:
    rows = [(listed.channel, _events_text(listed.channel), listed.last) for listed in list_channels()]
    return render(request, "dashboard/people/channels.html", {"section": "channels", "channels": rows})


def _events_text(channel: Endpoint) -> str:
    labels = [str(EventKind(kind).label) for kind in channel.events if kind in EventKind.values]
    return ", ".join(labels) or _("All events")


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.ADMIN)
@refuse_repeated
def new(request: HttpRequest) -> HttpResponse:
    form = ChannelForm(request.POST if request.method == "POST" else None)
    if not (form.is_bound and form.is_valid()):
        return _form_page(request, form)
    try:
        made = create_channel(wanted=_wanted(form), now=timezone.now())
    except InvalidError as error:
        form.add_issues(error)
        return _form_page(request, form)
    if made.channel == Channel.WEBHOOK:
        note_sent(request)
        return _one(request, made, ChannelForm(stored=made), secret=made.secret)
    messages.success(request, _("Created. Send a test to see whether it arrives."))
    return redirect("dashboard:channel", channel_id=made.pk)


def _wanted(form: ChannelForm) -> Wanted:
    given = form.cleaned_data
    return Wanted(**{**given, "channel": Channel(given["channel"])})


def _form_page(request: HttpRequest, form: ChannelForm) -> HttpResponse:
    has_mails = has_mail_server()
    context = {"section": "channels", "form": form, "has_mail_server": has_mails, "mail_is_offered": True}
    return render(request, "dashboard/people/channel_new.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.ADMIN)
def channel(request: HttpRequest, channel_id: int) -> HttpResponse:
    stored = _channel_or_404(channel_id)
    form = ChannelForm(request.POST if request.method == "POST" else None, stored=stored)
    if not (form.is_bound and form.is_valid()):
        return _one(request, stored, form)
    try:
        change_channel(channel_id=channel_id, wanted=_wanted(form), now=timezone.now())
    except InvalidError as error:
        form.add_issues(error)
        return _one(request, stored, form)
    messages.success(request, _("Saved."))
    return redirect("dashboard:channel", channel_id=channel_id)


def _one(request: HttpRequest, channel: Endpoint, form: ChannelForm, secret: str = "") -> HttpResponse:
    context = {
        "section": "channels",
        "channel": channel,
        "form": form,
        "secret": secret,
        "deliveries": _deliveries(channel),
        "has_mail_server": has_mail_server(),
        "mail_is_offered": channel.channel == Channel.EMAIL,
    }
    response = render(request, "dashboard/people/channel.html", context)
    response["Cache-Control"] = "no-store"  # the page may hold a secret
    return response


def _channel_or_404(channel_id: int) -> Endpoint:
    try:
        return find_channel(channel_id)
    except NotFoundError as error:
        raise Http404(str(error)) from error


def _deliveries(channel: Endpoint) -> Sequence[DeliveryRow]:
    found = channel.deliveries.select_related("event__experiment").prefetch_related("attempts")
    return [_row(delivery) for delivery in found[:_DELIVERIES_SHOWN]]


def _row(delivery: Delivery) -> DeliveryRow:
    attempts = list(delivery.attempts.all())
    event = delivery.event
    return DeliveryRow(
        delivery,
        str(event.get_kind_display()),
        event.experiment.name if event.experiment else "",
        plain_problem(attempts[-1]) if attempts else "",
        delivery.state == Delivery.State.GIVEN_UP and event.kind != EventKind.TEST,
    )


def on_channel(act: Act) -> View:
    """Turn an act on one channel into a view that leads back to its page."""

    def acting(request: HttpRequest, channel_id: int, **place: Any) -> HttpResponse:
        answer = act(request, _channel_or_404(channel_id).pk, **place)
        if isinstance(answer, HttpResponse):
            return answer
        messages.success(request, answer)
        return redirect("dashboard:channel", channel_id=channel_id)

    return administers("dashboard:channels", "dashboard:channel", "channel_id")(acting)


@on_channel
def test(request: HttpRequest, channel_id: int) -> HttpResponse:
    delivery = send_test(channel_id=channel_id, now=timezone.now())
    if delivery.state == Delivery.State.DELIVERED:
        messages.success(request, _("The test has arrived."))
    else:
        problem = plain_problem(delivery.attempts.latest("pk"))
        messages.error(request, _("The test did not arrive. %(problem)s") % {"problem": problem})
    return redirect("dashboard:channel", channel_id=channel_id)


@on_channel
@refuse_repeated
def secret(request: HttpRequest, channel_id: int) -> HttpResponse:
    changed = renew_secret(channel_id=channel_id, now=timezone.now())
    note_sent(request)
    return _one(request, changed, ChannelForm(stored=changed), secret=changed.secret)


@on_channel
def retry(request: HttpRequest, channel_id: int, delivery_id: int) -> str:
    retry_delivery(channel_id=channel_id, delivery_id=delivery_id, now=timezone.now())
    return _("It is tried again within a minute.")


@on_channel
def delete(request: HttpRequest, channel_id: int) -> HttpResponse:
    name = delete_channel(channel_id=channel_id, now=timezone.now())
    messages.success(request, _("Deleted %(name)s.") % {"name": name})
    return redirect("dashboard:channels")
