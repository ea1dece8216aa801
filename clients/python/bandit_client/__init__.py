"""Client of the bandit service: local assignment, exact counting. See README.md."""

from bandit_client.assignment import Race
from bandit_client.client import Client
from bandit_client.rows import Exposure
from bandit_client.ruleset import Rules, RuleSet

__all__ = ["Client", "Exposure", "Race", "RuleSet", "Rules"]
