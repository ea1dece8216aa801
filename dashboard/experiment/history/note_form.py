"""The form of a note about a day."""

from django import forms
from django.utils.translation import gettext_lazy

from experiments.campaign.models import NOTE_LENGTH
from experiments.exceptions import InvalidError


class NoteForm(forms.Form):
    """A day and what a reader of the charts should know of it."""

    date = forms.DateField(
        label=gettext_lazy("Day"),
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"class": "form-control", "type": "date"}),
    )
    text = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=NOTE_LENGTH,
        help_text=gettext_lazy("For example the start of a sale or a change on your site."),
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 3}),
    )

    def add_errors(self, error: InvalidError) -> None:
        for issue in error.issues:
            self.add_error(issue.field if issue.field in self.fields else None, issue.message)
