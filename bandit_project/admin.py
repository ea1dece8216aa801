"""What the admin leaves to the dashboard: API keys are made, listed and revoked there."""

from django.contrib import admin
from rest_framework_api_key.models import APIKey

# The library's own model is not used.
admin.site.unregister(APIKey)
