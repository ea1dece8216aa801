"""The values that a form showed when it was opened, so that saving does not silently undo a change made since."""

from django import forms
from django.http import QueryDict


class StaleCheckMixin(forms.Form):
    """A form that carries in a hidden field, ``seen``, the version it showed when it was opened."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def accept_current(self, seen: str) -> None:
        """Take the current values as seen, after a refusal that showed them: the next save overwrites them."""
        changed = QueryDict(mutable=True)
        changed.update(self.data)
        changed[self.add_prefix("seen")] = seen
        self.data = changed
