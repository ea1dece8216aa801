"""The ledger, to look at: append-only, so nothing here can be changed."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from allocation.models import Allocation, AllocationShare


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ShareInline(_ReadOnly, admin.TabularInline[AllocationShare, Allocation]):
    model = AllocationShare
    fields = (
        "variant",
        "share",
        "previous_share",
        "trials",
        "successes",
        "rate",
        "probability_best",
        "target",
        "bound",
    )


@admin.register(Allocation)
class AllocationAdmin(_ReadOnly, admin.ModelAdmin[Allocation]):
    list_display = ("experiment", "target_date", "revision", "kind", "reason", "created_at")
    list_select_related = ("experiment",)
    list_filter = ("kind", "experiment")
    date_hierarchy = "target_date"
    inlines = (ShareInline,)
