"""Parts of answers that the classic API and v1 have in common."""

from typing import Any

from rest_framework import serializers


class AsOfSerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    data_through = serializers.DateField(allow_null=True, help_text="The last day that counts.")
