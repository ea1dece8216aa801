"""Forms of an uploaded file: the file, how to take what is in doubt, and what its columns are."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.file_types import FILE_TYPES
from experiments.tables.importing.orders import ORDERS
from experiments.tables.importing.report import ImportOptions, ImportReport, Repeated
from experiments.tables.importing.rows import DAILY, NUMBER_NAMES, NUMBERS, ORDER_VALUE, Blank
from experiments.tables.reading.dates import DateOrder
from experiments.tables.reading.synonyms import plain
from experiments.tables.uploads import FirstLines, most_bytes, too_large


class UploadForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("File"),
        # the Portuguese of Django's own message is misspelt
        error_messages={"empty": gettext_lazy("The submitted file is empty.")},
        help_text=gettext_lazy("Nothing is written before you have seen what it would change."),
        widget=forms.ClearableFileInput(attrs={"class": "form-control", "accept": FILE_TYPES}),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # a request beyond MAX_BODY_BYTES is cut off before it comes here, so the page looks first
        most = {"data-most-bytes": most_bytes(), "data-problem": too_large()}
        self.fields["file"].widget.attrs.update(most)

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > most_bytes():
            raise ValidationError(too_large(), code="too_large")
        return file


# Characters of a cell that are shown beside the question what its column is: a moment to the microsecond fits.
_LONGEST_SAMPLE = 32
_SELECT = forms.Select(attrs={"class": "form-select"})


def _cut(cell: str) -> str:
    return cell if len(cell) <= _LONGEST_SAMPLE else f"{cell[: _LONGEST_SAMPLE - 1]}…"


class ChoicesForm(forms.Form):
    """How to take what is in doubt; what is left out or unknown is the first choice."""

    blank = forms.ChoiceField(
        label=gettext_lazy("Rows with a blank cell"),
        choices=[
            ("refuse", gettext_lazy("Refuse them: the outcome is not known yet")),
            ("skip", gettext_lazy("Leave them out")),
            ("zero", gettext_lazy("Take a blank as 0")),
        ],
        widget=_SELECT,
    )
    repeated = forms.ChoiceField(
        label=gettext_lazy("Rows of one variant and day that come several times"),
        choices=[
            ("refuse", gettext_lazy("Refuse them")),
            ("sum", gettext_lazy("Add them up")),
        ],
        widget=_SELECT,
    )
    date_order = forms.ChoiceField(
        label=gettext_lazy("Dates such as 01/11/2026"),
        choices=[
            ("detect", gettext_lazy("Refuse them where no date of the file tells")),
            ("day_first", gettext_lazy("Day first: 1 November 2026")),
            ("month_first", gettext_lazy("Month first: 11 January 2026")),
        ],
        widget=_SELECT,
    )
    sheet = forms.ChoiceField(label=gettext_lazy("Sheet"), widget=_SELECT)

    def __init__(self, data: Mapping[str, Any], sheets: Sequence[str]) -> None:
        super().__init__()
        self.sheets = sheets
        cast(forms.ChoiceField, self.fields["sheet"]).choices = [(name, name) for name in sheets]
        allowed = {
            "blank": get_args(Blank),
            "repeated": get_args(Repeated),
            "date_order": get_args(DateOrder),
            "sheet": sheets or [""],
        }
        for name, values in allowed.items():
            self.initial[name] = data.get(name) if data.get(name) in values else values[0]

    @property
    def sheet_name(self) -> str:
        return str(self.initial["sheet"])

    def query(self) -> QueryDict:
        """Write the choices as a query of an address."""
        query = QueryDict(mutable=True)
        query.update({name: value for name, value in self.initial.items() if value})
        return query

    def options(self, *, skip_bad_rows: bool = False) -> ImportOptions:
        return ImportOptions(
            on_error="skip" if skip_bad_rows else "reject",
            blank=cast(Blank, self.initial["blank"]),
            repeated=cast(Repeated, self.initial["repeated"]),
            date_order=cast(DateOrder, self.initial["date_order"]),
            way_in="page",
        )

    def shown(self, report: ImportReport) -> list[forms.BoundField]:
        """List the fields that this file gives a reason for."""
        reasons = {
            "date_order": report.dates.has_choice,
            "blank": bool(report.kinds["blank"]),
            "repeated": bool(report.kinds["repeated"]) or self.initial["repeated"] == "sum",
            "sheet": len(self.sheets) > 1,
        }
        return [self[name] for name, reason in reasons.items() if reason]

    def kept(self, shown: Sequence[forms.BoundField]) -> list[forms.BoundField]:
        """List the fields that are not shown, whose choices a form still has to send."""
        return [field for field in self if field not in shown and field.value()]


class ColumnsForm(forms.Form):
    """A question for each header of a file: which column it is."""

    def __init__(self, data: Mapping[str, Any] | None, found: FirstLines) -> None:
        super().__init__(data)
        self.found = found
        places = {place: column for column, place in found.header.places.items()}
        choices = [("", _("Not needed")), *column_labels()]
        for place, name in enumerate(found.header.cells):
            if name:
                self.fields[f"column-{place}"] = forms.ChoiceField(
                    label=name,
                    choices=choices,
                    required=False,
                    initial=places.get(place, ""),
                    widget=forms.Select(attrs={"class": "form-select"}),
                )

    def rows(self) -> list[tuple[forms.BoundField, str]]:
        """List each column's field with what the first lines have there."""
        return [
            (self[f"column-{place}"], self._samples(place))
            for place, name in enumerate(self.found.header.cells)
            if name
        ]

    def _samples(self, place: int) -> str:
        cells = dict.fromkeys(_cut(line[place].strip()) for line in self.found.lines)
        return " · ".join(cell for cell in cells if cell)

    def clean(self) -> dict[str, Any]:
        answers = self._by_place()
        chosen = [column for _name, column in answers if column]
        labels = dict(column_labels())
        needed = (ORDERS if ORDER_VALUE in chosen else DAILY).without("experiment_id").needed
        missing = [labels[column] for column in needed if column not in chosen]
        twice = {labels[column] for column in chosen if chosen.count(column) > 1}
        if missing:
            self.add_error(None, _("Say which column is: %(names)s.") % {"names": ", ".join(missing)})
        if ORDER_VALUE in chosen and (beside := [labels[name] for name in NUMBER_NAMES if name in chosen]):
            message = _("Beside the value of single orders these are not needed: %(names)s.")
            self.add_error(None, message % {"names": ", ".join(beside)})
        if twice:
            self.add_error(
                None, _("Only one column can be: %(names)s.") % {"names": ", ".join(sorted(twice))}
            )
        self._refuse_indistinct(answers)
        return self.cleaned_data

    def _refuse_indistinct(self, answers: list[tuple[str, str]]) -> None:
        """Refuse a header that is needed and could not be known again in the file: by its letters and digits."""
        forms = [plain(name) for name, _column in answers]
        needed = {name: plain(name) for name, column in answers if column}
        if nameless := [name for name, form in needed.items() if not form]:
            message = _(
                "A name without a letter or digit cannot be remembered; rename in the file: %(names)s."
            )
            self.add_error(None, message % {"names": ", ".join(nameless)})
        if doubled := [name for name, form in needed.items() if form and forms.count(form) > 1]:
            message = _("Several columns have the same name; rename in the file: %(names)s.")
            self.add_error(None, message % {"names": ", ".join(doubled)})

    def answers(self) -> dict[str, str]:
        """Return the column that each header is; "" is one that is not needed."""
        return dict(self._by_place())

    def _by_place(self) -> list[tuple[str, str]]:
        return [
            (name, self.cleaned_data.get(f"column-{place}", ""))
            for place, name in enumerate(self.found.header.cells)
            if name
        ]


def column_labels() -> list[tuple[str, str]]:
    numbers = [(number.name, str(number.label)) for number in NUMBERS]
    numbers.append((ORDER_VALUE, _("Value of a single order")))
    return [("date", _("Day")), ("variant_name", _("Variant")), *numbers, ("experiment_id", _("Experiment"))]
