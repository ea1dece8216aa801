"""An OpenFeature provider: evaluating a flag assigns locally and counts the exposure, ``track`` counts the rest.

Needs the package openfeature-sdk: pip install './clients/python[openfeature]'.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from bandit_client.arguments import is_unit
from bandit_client.client import Client
from bandit_client.ruleset import Rules

_T = TypeVar("_T")
Objects = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class BanditProvider(AbstractProvider):
    """Flags are experiments, and their values are keys of variants: texts."""

    def __init__(self, client: Client, wait: float = 2.0) -> None:
        super().__init__()
        self._client, self._wait = client, wait

    def get_metadata(self) -> Metadata:
        return Metadata(name="bandit")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        self._client.wait_until_ready(self._wait)

    def shutdown(self) -> None:
        self._client.close()

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        rules = self._client.rules_of(flag_key)
        if rules is None:
            return _problem(default_value, ErrorCode.FLAG_NOT_FOUND, f"experiment {flag_key!r} is not live")
        if not is_unit(unit := _unit(evaluation_context)):
            return _problem(
                default_value, ErrorCode.TARGETING_KEY_MISSING, "the context has no targeting key"
            )
        exposure = self._client.exposure(flag_key, unit)
        return _details(rules, exposure.variant if exposure else default_value)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return _no_text(default_value)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return _no_text(default_value)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return _no_text(default_value)

    def resolve_object_details(
        self, flag_key: str, default_value: Objects, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Objects]:
        return _no_text(default_value)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Count ``click`` or ``conversion``; other events are none of the experiment's."""
        unit, details = _unit(evaluation_context), tracking_event_details or TrackingEventDetails()
        if not is_unit(unit):
            return
        named = details.attributes.get("experiment")
        for experiment in [str(named)] if named else self._client.experiments():
            if tracking_event_name == "click":
                self._client.click(experiment, unit)
            elif tracking_event_name == "conversion":
                self._client.conversion(experiment, unit, details.value)


def _unit(context: EvaluationContext | None) -> str | None:
    return context.targeting_key if context else None


def _details(rules: Rules, variant: str) -> FlagResolutionDetails[str]:
    metadata: dict[str, bool | int | float | str] = {"experiment": rules.key, "share": rules.share(variant)}
    if rules.allocation is not None:
        metadata["allocation"] = rules.allocation
    reason = Reason.STATIC if rules.status == "completed" else Reason.SPLIT
    return FlagResolutionDetails(variant, variant=variant, reason=reason, flag_metadata=metadata)


def _problem(value: _T, code: ErrorCode, message: str) -> FlagResolutionDetails[_T]:
    return FlagResolutionDetails(value, error_code=code, error_message=message, reason=Reason.ERROR)


def _no_text(value: _T) -> FlagResolutionDetails[_T]:
    return _problem(value, ErrorCode.TYPE_MISMATCH, "variants are texts: ask for a string")
