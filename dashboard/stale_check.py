"""Optimistic locking of forms: saving never silently undoes what somebody else saved since the form was opened."""

from django import forms
from django.http import QueryDict


class StaleCheckMixin(forms.Form):
    """A form that carries in a hidden field, ``seen``, the version it showed when it was opened."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def accept_current(self, seen: str) -> None:
        """Take what is there now as seen, after a refusal that showed it: the next save is meant."""
        # a request's own data cannot be changed
        data = QueryDict(mutable=True)
        data.update(self.data)
        data[self.add_prefix("seen")] = seen
        self.data = data
