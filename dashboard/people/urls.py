"""Paths of the pages about people: users, API keys, channels of notifications, one's own account."""

from django.urls import path

from dashboard.people import channels, keys, profile, users

_CHANNEL = "administration/notifications/<int:channel_id>/"
_USER = "administration/users/<int:user_id>/"

urlpatterns = [
    path("administration/users/", users.users, name="users"),
    path(f"{_USER}role/", users.role, name="user-role"),
    path(f"{_USER}deactivate/", users.deactivate, name="user-deactivate"),
    path(f"{_USER}reactivate/", users.reactivate, name="user-reactivate"),
    path(f"{_USER}resend/", users.resend, name="user-resend"),
    path("administration/changes/", users.changes, name="administration-changes"),
    path("administration/keys/", keys.keys, name="keys"),
    path("administration/keys/<slug:prefix>/revoke/", keys.revoke, name="key-revoke"),
    path("administration/notifications/", channels.channels, name="channels"),
    path("administration/notifications/new/", channels.new, name="channel-new"),
    path(_CHANNEL, channels.channel, name="channel"),
    path(f"{_CHANNEL}test/", channels.test, name="channel-test"),
    path(f"{_CHANNEL}secret/", channels.secret, name="channel-secret"),
    path(f"{_CHANNEL}delete/", channels.delete, name="channel-delete"),
    path(f"{_CHANNEL}deliveries/<int:delivery_id>/retry/", channels.retry, name="delivery-retry"),
    path("account/", profile.profile, name="profile"),
]
