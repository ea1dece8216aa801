"""The admin's page for API keys: make and revoke them. The library shows a new key once, in a message."""

from django.contrib import admin
from rest_framework_api_key.admin import APIKeyModelAdmin
from rest_framework_api_key.models import APIKey

from bandit_project.models import ApiKey

# The library's own model is not used.
admin.site.unregister(APIKey)


@admin.register(ApiKey)
class ApiKeyAdmin(APIKeyModelAdmin):
    list_display = ("prefix", "name", "scope", "expiry_date", "last_used_at", "revoked")
    list_filter = ("scope",)
