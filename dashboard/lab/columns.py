"""Columns of the lab's pages: the service under several settings, and the rules it is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy

from allocation.engine import Settings
from allocation.lab.compare import Contender
from allocation.lab.requests import merged_settings
from dashboard.settings.labels import as_typed, format_value, in_environment
from experiments.settings_schema import ALGORITHM_SETTINGS, SettingValue
from experiments.text import Text


@dataclass(frozen=True)
class Rule:
    """A policy to compare the service with, by its name in the engine's POLICIES.

    ``one_variant_a_day``: all traffic of a day goes to one variant, which the day adjustment then cannot compare
    with any other.
    """

    key: str
    label: Text
    colour: str
    one_variant_a_day: bool = False


# In the order of the pages. The even split is neutral, as a control is.
EVEN = Rule("even", gettext_lazy("Even split"), "variant-control")
OTHER_RULES = (
    Rule("top_two", gettext_lazy("Top-two Thompson"), "variant-6"),
    Rule("epsilon_greedy", gettext_lazy("Epsilon-greedy (0.1)"), "variant-7"),
    Rule("greedy", gettext_lazy("Greedy"), "variant-5", one_variant_a_day=True),
    Rule("ucb1", gettext_lazy("UCB1"), "variant-4", one_variant_a_day=True),
)
# Of the service's own columns, by their place.
_SERVICE_COLOURS = ("variant-1", "variant-2", "variant-3", "variant-4", "variant-5")


@dataclass(frozen=True)
class Column:
    """One contender on a page. ``own``: the settings that differ from the installation's.

    ``rule``: the policy where it is not the service itself; it decides under the installation's prior and window.
    """

    contender: Contender
    name: str
    colour: str
    own: Mapping[str, SettingValue]
    rule: Rule | None = None

    @property
    def key(self) -> str:
        return self.contender.key

    @property
    def is_service(self) -> bool:
        return self.rule is None

    @property
    def one_variant_a_day(self) -> bool:
        return self.rule is not None and self.rule.one_variant_a_day

    @property
    def settings(self) -> Settings:
        return self.contender.settings

    @property
    def typed(self) -> dict[str, str]:
        """Its own settings as a form takes them."""
        return as_typed(self.own)

    @property
    def variables(self) -> str:
        """Write the lines of the environment that make its settings the installation's."""
        return "\n".join(
            f"{ALGORITHM_SETTINGS[name].variable}={in_environment(value)}" for name, value in self.own.items()
        )

    @property
    def own_values(self) -> list[tuple[str, str]]:
        return [
            (str(ALGORITHM_SETTINGS[name].label), format_value(name, value))
            for name, value in self.own.items()
        ]


def service_column(place: int, key: str, name: str, own: Mapping[str, SettingValue]) -> Column:
    contender = Contender(key, "thompson", merged_settings(own))
    return Column(contender, name, _SERVICE_COLOURS[place % len(_SERVICE_COLOURS)], own)


def rule_columns(chosen: Sequence[str] = ()) -> list[Column]:
    """List the even split, which is always there, and the chosen rules; each keeps its colour beside any other."""
    by_key = {rule.key: rule for rule in OTHER_RULES}
    return [_rule_column(rule) for rule in (EVEN, *(by_key[key] for key in chosen))]


def _rule_column(rule: Rule) -> Column:
    contender = Contender(rule.key, rule.key, merged_settings({}))
    return Column(contender, str(rule.label), rule.colour, {}, rule)
