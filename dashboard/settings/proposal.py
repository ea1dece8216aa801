"""Settings that come with an address, such as those of a backtest: filled into a form, and not saved by themselves."""

from collections.abc import Mapping

from dashboard.settings.forms import ExperimentForm
from experiments.settings_schema import ALGORITHM_SETTINGS

_LONGEST = 40


def proposed_settings(query: Mapping[str, str]) -> dict[str, str]:
    """Read the settings of a query as they are typed into a form; the form checks them."""
    given = {name: str(query.get(name, "")).strip()[:_LONGEST] for name in ALGORITHM_SETTINGS}
    return {name: value for name, value in given.items() if value}


def with_proposal(form: ExperimentForm, query: Mapping[str, str]) -> ExperimentForm:
    """Fill in the settings of a query that says ``use``; those that it leaves out become the default."""
    if query.get("use"):
        proposed = proposed_settings(query)
        form.initial.update({name: proposed.get(name, "") for name in ALGORITHM_SETTINGS})
        form.is_proposal = True
    return form
