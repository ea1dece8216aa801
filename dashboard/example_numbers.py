"""Sentences about numbers of the lab's forms that an experiment could not fill in: they are examples."""

from collections.abc import Mapping
from enum import StrEnum

from django.utils.translation import gettext_lazy

from experiments.text import Text

# The name in the address: what it says outlasts a reload and a change of the language.
EXAMPLE = "example"


class Invented(StrEnum):
    """The numbers of a form that are examples."""

    ALL = "all"
    RATES = "rates"
    OTHER_RATES = "other-rates"
    BASELINE = "baseline"


_SENTENCES: Mapping[str, Text] = {
    Invented.ALL: gettext_lazy(
        "This experiment does not have enough data yet: the rates and the traffic here are examples. Enter your own."
    ),
    Invented.RATES: gettext_lazy(
        "This experiment has no successes yet: its traffic is filled in, the rates are examples. Enter your own."
    ),
    Invented.OTHER_RATES: gettext_lazy(
        "Only one active variant has successes yet: its rate and the traffic are filled in, the other rates are"
        " examples. Enter your own."
    ),
    Invented.BASELINE: gettext_lazy(
        "The control has no successes yet: the traffic is filled in, the baseline rate is an example. Enter your own."
    ),
}


def example_note(asked: str) -> Text:
    """Say which numbers are examples; blank where the address names none."""
    return _SENTENCES.get(asked, "")
