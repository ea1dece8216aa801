"""Accounts as each request reads them."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend


class AccountBackend(ModelBackend):
    """Logs in by name and password, and reads a person's own settings with the account: one query for every page."""

    def get_user(self, user_id: Any) -> Any:
        found = get_user_model()._default_manager.select_related("preferences").filter(pk=user_id).first()
        return found if found is not None and self.user_can_authenticate(found) else None
