"""What is put side by side on the simulator's, the backtest's and the planner's page: a name, a colour, a contender."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.engine import Settings
from allocation.lab.compare import Contender
from allocation.lab.requests import merged_settings
from dashboard.settings.labels import SETTING_WORDS, format_value
from experiments.settings_schema import SettingValue

POLICY_NAMES: dict[str, str | Promise] = {
    "thompson": gettext_lazy("The service"),
    "even": gettext_lazy("Even split"),
    "top_two": gettext_lazy("Top-two Thompson"),
    "epsilon_greedy": gettext_lazy("Epsilon-greedy (0.1)"),
    "greedy": gettext_lazy("Greedy"),
    "ucb1": gettext_lazy("UCB1"),
}
# Rules to compare the service with, besides the even split, which is always there.
OTHER_POLICIES = ("top_two", "epsilon_greedy", "greedy", "ucb1")
# The service's columns take the first colours; the even split is neutral, as a control is.
_SERVICE_COLOURS = ("variant-1", "variant-2", "variant-3", "variant-4", "variant-5")
_OTHER_COLOURS = ("variant-6", "variant-7", "variant-5", "variant-4")


@dataclass(frozen=True)
class Column:
    """``own``: the settings that differ from the installation's; empty for bare policies."""

    contender: Contender
    name: str
    colour: str
    own: Mapping[str, SettingValue]

    @property
    def key(self) -> str:
        return self.contender.key

    @property
    def is_service(self) -> bool:
        return self.contender.policy == "thompson"

    @property
    def serves_one(self) -> bool:
        """Whether a day's traffic goes to one variant, which the day adjustment then cannot compare with any other."""
        return self.contender.policy in {"ucb1", "greedy"}

    @property
    def settings(self) -> Settings:
        return self.contender.settings

    @property
    def own_words(self) -> list[tuple[str, str]]:
        return [
            (str(SETTING_WORDS[name].label), format_value(name, value)) for name, value in self.own.items()
        ]


def service_column(place: int, key: str, name: str, own: Mapping[str, SettingValue]) -> Column:
    contender = Contender(key, "thompson", merged_settings(own))
    return Column(contender, name, _SERVICE_COLOURS[place % len(_SERVICE_COLOURS)], own)


def even_column() -> Column:
    return Column(Contender("even", "even", merged_settings({})), _("Even split"), "variant-control", {})


def policy_columns(policies: list[str]) -> list[Column]:
    """Each keeps its colour, whichever others are chosen; they decide under the installation's prior and window."""
    return [
        Column(
            Contender(name, name, merged_settings({})),
            str(POLICY_NAMES[name]),
            _OTHER_COLOURS[OTHER_POLICIES.index(name)],
            {},
        )
        for name in policies
    ]
