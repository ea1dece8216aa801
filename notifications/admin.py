"""Endpoints of notifications, and how each delivery went."""

import json

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from experiments.admin.lists import ReadOnly
from notifications.delivery import retry
from notifications.events import CHOSEN_KINDS
from notifications.models import Alarm, Attempt, Delivery, Endpoint
from notifications.outbox import queue_test


class EndpointForm(forms.ModelForm[Endpoint]):
    events = forms.MultipleChoiceField(
        choices=[(kind.value, kind.label) for kind in CHOSEN_KINDS],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="None chosen: all.",
    )

    class Meta:
        model = Endpoint
        fields = ("name", "channel", "address", "events", "secret", "is_active")


@admin.register(Endpoint)
class EndpointAdmin(admin.ModelAdmin[Endpoint]):
    form = EndpointForm
    list_display = ("name", "channel", "address", "is_active", "created_at")
    list_filter = ("channel", "is_active")
    actions = ("send_test",)

    @admin.action(permissions=["change"], description="Send a test with the next delivery")
    def send_test(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        for endpoint in queryset:
            queue_test(endpoint, timezone.now())
        self.message_user(request, "Queued: deliver_webhooks or the scheduler sends it.")


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
