"""Alarms, and how each delivery went. Channels are set up in the dashboard."""

import json

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from experiments.admin.labels import name_in_admin
from experiments.admin.lists import ReadOnly
from notifications.delivery import retry
from notifications.models import Alarm, Attempt, Delivery, Event

name_in_admin(
    Delivery,
    gettext_lazy("delivery"),
    gettext_lazy("deliveries"),
    {
        "public_id": gettext_lazy("id at the receiver"),
        "endpoint": gettext_lazy("channel"),
        "state": gettext_lazy("state"),
        "attempts_made": gettext_lazy("attempts"),
        "next_attempt_at": gettext_lazy("next attempt"),
        "created_at": gettext_lazy("created"),
    },
)
name_in_admin(
    Attempt,
    gettext_lazy("attempt"),
    gettext_lazy("attempts"),
    {
        "at": gettext_lazy("time"),
        "status_code": gettext_lazy("answer"),
        "problem": gettext_lazy("problem"),
        "duration_ms": gettext_lazy("milliseconds"),
    },
)
name_in_admin(
    Alarm,
    gettext_lazy("alarm"),
    gettext_lazy("alarms"),
    {
        "experiment": gettext_lazy("experiment"),
        "kind": gettext_lazy("kind"),
        "raised_at": gettext_lazy("raised"),
        "cleared_at": gettext_lazy("cleared"),
    },
)
name_in_admin(Event, gettext_lazy("event"), gettext_lazy("events"), {"kind": gettext_lazy("kind")})


class AttemptInline(ReadOnly, admin.TabularInline[Attempt, Delivery]):
    model = Attempt
    fields = ("at", "status_code", "problem", "duration_ms")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, admin.ModelAdmin[Delivery]):
    list_display = ("created_at", "endpoint", "kind", "about", "state", "attempts_made", "next_attempt_at")
    list_filter = ("state", "endpoint", "event__kind")
    list_select_related = ("endpoint", "event__experiment")
    show_full_result_count = False
    fields = (
        "public_id", "endpoint", "kind", "about", "state", "attempts_made", "next_attempt_at", "created_at", "sent",
    )  # fmt: skip
    inlines = (AttemptInline,)
    actions = ("try_again",)

    @admin.display(description=gettext_lazy("Event"))
    def kind(self, delivery: Delivery) -> str:
        return delivery.event.get_kind_display()

    @admin.display(description=gettext_lazy("Experiment"))
    def about(self, delivery: Delivery) -> str:
        return str(delivery.event.experiment or "-")

    @admin.display(description=gettext_lazy("What is sent"))
    def sent(self, delivery: Delivery) -> str:
        return format_html("<pre>{}</pre>", json.dumps(delivery.event.payload, indent=2, ensure_ascii=False))

    @admin.action(permissions=["retry"], description=gettext_lazy("Try again from the beginning"))
    def try_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        for delivery in queryset.filter(state=Delivery.State.GIVEN_UP):
            retry(delivery, timezone.now())
        self.message_user(request, _("They are tried again within a minute."))

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.change_endpoint")


@admin.register(Alarm)
class AlarmAdmin(ReadOnly, admin.ModelAdmin[Alarm]):
    list_display = ("experiment", "kind", "raised_at", "cleared_at")
    list_filter = ("kind", ("cleared_at", admin.EmptyFieldListFilter))
    list_select_related = ("experiment",)
    show_full_result_count = False
