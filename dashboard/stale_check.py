"""What a form showed when it was opened, so that saving does not silently undo what somebody else saved since."""

from django import forms


class StaleCheckMixin(forms.Form):
    """``seen`` travels with the form, hidden, and comes back when it is saved."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def accept_current(self, seen: str) -> None:
        """After a refusal that told what is there now: the next save is meant."""
        self.data = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict, which cannot be changed itself
        self.data[self.add_prefix("seen")] = seen  # type: ignore[index]
