"""Forms of the administration and of one's own account. Services decide; their refusals come back to the fields."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from bandit_project.administration.keys import KEY_NAME_LENGTH, MOST_DAYS, Scope
from bandit_project.administration.profile import Preferences, Theme, time_zones
from experiments.exceptions import InvalidError
from experiments.roles import Role
from experiments.tables.number_fields import PlainIntegerField
from notifications.channels.kinds import Channel
from notifications.events import CHOSEN_KINDS
from notifications.models import Endpoint


class DomainForm(forms.Form):
    """A form that shows the issues of a service beside its fields, marked for screen readers."""

    def add_issues(self, error: InvalidError) -> None:
        for issue in error.issues:
            self.add_error(issue.field if issue.field in self.fields else None, issue.message)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for field in self.fields.values():
            look = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
            if isinstance(
                field.widget, forms.CheckboxInput | forms.RadioSelect | forms.CheckboxSelectMultiple
            ):
                look = "form-check-input"
            field.widget.attrs.setdefault("class", look)


def _roles() -> list[tuple[str, object]]:
    return [(role.group, role.label) for role in Role]


class InvitationForm(DomainForm):
    email = forms.EmailField(label=_("Email address"), widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    name = forms.CharField(label=_("Name"), max_length=150, required=False)
    role = forms.ChoiceField(
        label=_("Role"),
        choices=_roles,
        initial=Role.VIEWER.group,
        help_text=_(
            "Viewers look. Analysts also change experiments and data. "
            "Administrators also manage users, keys and notifications."
        ),
    )

    @property
    def role_given(self) -> Role:
        return Role[self.cleaned_data["role"].upper()]


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=_roles)


class KeyForm(DomainForm):
    name = forms.CharField(
        label=_("Name"),
        max_length=KEY_NAME_LENGTH,
        help_text=_("The person or program that uses it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scope = forms.ChoiceField(
        label=_("Scope"),
        choices=Scope.choices,
        initial=Scope.READ,
        help_text=_("Only a serve key may be in browsers of visitors. Keep all others on servers."),
    )
    days = PlainIntegerField(
        label=_("Days until it expires"),
        required=False,
        min_value=1,
        max_value=MOST_DAYS,
        help_text=_("Leave it blank for a key that does not expire."),
    )


class ChannelForm(DomainForm):
    """A channel of notifications. The address of a ``stored`` one is not shown; a blank one keeps it."""

    name = forms.CharField(
        label=_("Name"), max_length=100, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    channel = forms.ChoiceField(label=_("Kind"), choices=Channel.choices)
    address = forms.CharField(
        label=_("Address"),
        max_length=500,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_(
            "The URL that Slack, Teams or Discord gives you for incoming messages, an email address, the URL of your "
            "own webhook, or a URL of Apprise such as tgram://token/chat. "
            "Chats' URLs are secrets: they are not shown again."
        ),
    )
    events = forms.MultipleChoiceField(
        label=_("Events"),
        choices=lambda: [(kind.value, kind.label) for kind in CHOSEN_KINDS],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("None chosen: all events."),
    )
    tags = forms.CharField(
        label=_("Experiments with these tags"),
        max_length=500,
        required=False,
        help_text=_("Separated by spaces; one of them is enough. Blank: all experiments."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    language = forms.ChoiceField(
        label=_("Language"), choices=lambda: settings.LANGUAGES, initial=lambda: get_language()
    )
    is_active = forms.BooleanField(label=_("Active"), required=False, initial=True)

    def __init__(self, *args: Any, stored: Endpoint | None = None, **options: Any) -> None:
        if stored:
            options["initial"] = {name: getattr(stored, name) for name in self.base_fields}
            options["initial"].update(address="", language=stored.language or settings.LANGUAGE_CODE)
        super().__init__(*args, **options)
        if stored:
            self.fields["address"].required = False
            self.fields["address"].widget.attrs["placeholder"] = stored.masked_address


class ProfileForm(DomainForm):
    name = forms.CharField(label=_("Name"), max_length=150, required=False)
    email = forms.EmailField(
        label=_("Email address"),
        required=False,
        help_text=_("For a forgotten password and the weekly summary."),
    )
    language = forms.ChoiceField(
        label=_("Language"),
        required=False,
        choices=lambda: [("", _("As the browser")), *settings.LANGUAGES],
    )
    theme = forms.ChoiceField(label=_("Theme"), choices=Theme.choices)
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=lambda: [("", _("Default (%(zone)s)") % {"zone": settings.TIME_ZONE}), *_zones()],
        help_text=_(
            "Times are shown in this zone. Days of data are days in the default time zone for everyone."
        ),
    )
    weekly_summary = forms.BooleanField(
        label=_("Weekly summary by email"),
        required=False,
        help_text=_(
            "On Monday morning in your time zone: what needs attention, and the results of active experiments."
        ),
    )

    @property
    def preferences(self) -> Preferences:
        return Preferences(**{name: self.cleaned_data[name] for name in Preferences._fields})


def _zones() -> list[tuple[str, str]]:
    return [(zone, zone.replace("_", " ")) for zone in time_zones()]
