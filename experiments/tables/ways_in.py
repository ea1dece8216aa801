"""Ways in which a file comes, and what each calls the choices that a person has.

A page names its own controls, a command its options, v1 its parameters; the classic upload has no choices.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from django.utils.translation import gettext_lazy as _

from experiments.text import Text

WayIn = Literal["v1", "classic", "command", "page"]


class Advice(NamedTuple):
    """Messages whose fix hangs on the way in: a blank cell, rows of one place, a file without its experiment or
    with one that does not exist, a file too long for a request, dates
    whose order of day and month is not known.

    ``repeated`` takes the other ``line``.
    """

    blank: Text
    repeated: Text
    no_experiment: Text
    unknown_experiment: Text
    too_long: Text = ""
    date_order: Text = ""


_OWN_PAGE = _("or load it on the experiment's own page, or by import_events with --experiment")
# A part that has only some orders of a day would replace the day's total; so would one with some of the rows that are
# added up.
_SPLIT = _(
    "split it by experiment or between days, never within a day of one, or load it with manage.py import_events, "
    "which reads any file"
)
_CREATE_FIRST = _("Create it first, or correct the name.")

ADVICE: Mapping[WayIn, Advice] = {
    "v1": Advice(
        blank=_(
            "is blank: outcome not known yet. Fill it in, leave such rows out (blank=skip), or take it as 0 "
            "(blank=zero)"
        ),
        repeated=_(
            "the same experiment, date and variant are on line %(line)s; remove one, or add them up (repeated=sum)"
        ),
        no_experiment=_OWN_PAGE,
        unknown_experiment=_CREATE_FIRST,
        too_long=_SPLIT,
        date_order=_("or say which comes first (date_order=day_first or date_order=month_first)"),
    ),
    "classic": Advice(
        blank=_("is blank: outcome not known yet. Fill it in, or remove the row"),
        repeated=_(
            "the same experiment, date and variant are on line %(line)s; add their numbers up in one row"
        ),
        no_experiment=_OWN_PAGE,
        unknown_experiment=_CREATE_FIRST,
        too_long=_SPLIT,
    ),
    "command": Advice(
        blank=_(
            "is blank: outcome not known yet. Fill it in, leave such rows out (--blank skip), or take it as 0 "
            "(--blank zero)"
        ),
        repeated=_(
            "the same experiment, date and variant are on line %(line)s; remove one, or add them up (--repeated sum)"
        ),
        no_experiment=_("or name the experiment of all rows by --experiment"),
        unknown_experiment=_("Make what is missing with --create."),
        date_order=_("or say which comes first (--date-order day_first or --date-order month_first)"),
    ),
    "page": Advice(
        blank=_(
            "is blank: outcome not known yet. Fill it in, or choose above, for rows with a blank cell, to leave them "
            "out or to take a blank as 0"
        ),
        repeated=_(
            "the same experiment, date and variant are on line %(line)s; remove one, or choose above to add them up"
        ),
        no_experiment=_OWN_PAGE,
        unknown_experiment=_CREATE_FIRST,
        too_long=_(
            "split it by experiment or between days, never within a day of one, or ask an administrator to load it "
            "(manage.py import_events)"
        ),
        date_order=_("or say above which comes first"),
    ),
}
