"""The pages of the menus: the name of the page's address, which is also its section, and its label."""

from django.utils.translation import gettext_lazy as _

PAGES = (
    ("experiments", _("Experiments")),
    ("simulator", _("Simulator")),
    ("backtest", _("Backtest")),
    ("planner", _("Planner")),
    ("algorithm", _("Algorithm")),
)

# For administrators.
ADMINISTRATION = (
    ("users", _("Users")),
    ("keys", _("API keys")),
    ("channels", _("Notifications")),
    ("administration-changes", _("Changes")),
)
