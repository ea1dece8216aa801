"""Alarms, and how each delivery went. Channels are set up in the dashboard."""

import json

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from experiments.admin.lists import ReadOnly
from notifications.delivery import retry
from notifications.models import Alarm, Attempt, Delivery


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

    @admin.display(description="Event")
    def kind(self, delivery: Delivery) -> str:
        return delivery.event.get_kind_display()

    @admin.display(description="Experiment")
    def about(self, delivery: Delivery) -> str:
        return str(delivery.event.experiment or "-")

    @admin.display(description="What is sent")
    def sent(self, delivery: Delivery) -> str:
        return format_html("<pre>{}</pre>", json.dumps(delivery.event.payload, indent=2, ensure_ascii=False))

    @admin.action(permissions=["retry"], description="Try again from the beginning")
    def try_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        for delivery in queryset.filter(state=Delivery.State.GIVEN_UP):
            retry(delivery, timezone.now())
        self.message_user(request, "What had been given up is tried again.")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.change_endpoint")


@admin.register(Alarm)
class AlarmAdmin(ReadOnly, admin.ModelAdmin[Alarm]):
    list_display = ("experiment", "kind", "raised_at", "cleared_at")
    list_filter = ("kind", ("cleared_at", admin.EmptyFieldListFilter))
    list_select_related = ("experiment",)
    show_full_result_count = False
