"""The reasons of the decision log: why a split is as it is, recorded in English, and read in any language.

Each sentence is one of a few with names and numbers in it. What is recorded stays English, for programs and for every
reader; a page reads it back and says it in its own language.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from allocation.engine import Decision, Settings
from allocation.engine.evidence.values import LARGEST_PART
from allocation.explanations import large_orders, level_with_leader
from allocation.ledger.guards import Harm
from allocation.limits import LIMITS
from allocation.unjudged import rivals_in
from experiments.metrics import Reward
from experiments.text import NAME_LENGTH, format_number, format_percent

_ONE_VARIANT = gettext_noop("There is one active variant; it gets all traffic.")
_WARM_UP = gettext_noop("Warm-up: {seen} of {needed} impressions so far; traffic moves toward an even split.")
_WARM_UP_ALONE = gettext_noop(
    "Warm-up: fewer than two variants have data in the window; traffic moves toward an even split."
)
_ALL_LOW = gettext_noop("No variant has enough data to be judged; each gets an even share at most.")
_NO_SUCCESS = gettext_noop("No variant has a success yet; there is nothing to compare.")
_LEVEL = gettext_noop("No variant leads: {count} are equally likely to be the best ({chance} each).")
_AHEAD = gettext_noop("{name} leads those with enough data; another variant may be better.")
_LOW = gettext_noop(
    "{count} variants have too little data to be judged; until they have more they get even shares at most."
)
_ONE_ORDER = gettext_noop("One order may make more than {part} of the value of {name}.")
_SEVERAL_ORDERS = gettext_noop("One order may make more than {part} of the value of {count} variants each.")
_WIDENED = "The floors did not fit within the daily cap, which was widened to {cap}."
_STOPPED = gettext_noop("Stopped by a guard; the control gets all traffic until a person resumes.")
_GUARD = gettext_noop(
    "Guard: {name} is more than {fall}% below the control in {ratio}; "
    "the control gets all traffic until a person resumes."
)
_HARMS = gettext_noop("{count} guarded comparisons show harm.")
_COMPLETED = gettext_noop("The experiment is completed; {name} gets all traffic.")
_ON_SCHEDULE = gettext_noop("The experiment ended on schedule; {name} gets all traffic.")
# The column takes 1,000 characters, and names have up to 200: a leader, one with little data and one with a large
# order fit, and a sentence on the cap behind them.
_MOST_NAMED = 900
_LONGEST = 1000
# What pages say where their words are others than those that have been recorded from the beginning.
_SHOWN = {
    LIMITS["control_floor"].reason: gettext_noop(
        "{name} leads: {chance} likely to be the best. Its share is limited by the minimum control share."
    ),
    LIMITS["exploration_floor"].reason: gettext_noop(
        "{name} leads: {chance} likely to be the best. Its share is limited by the minimum exploration share."
    ),
    LIMITS["cap_up"].reason: gettext_noop(
        "{name} leads: {chance} likely to be the best. Its share is limited by the maximum daily increase."
    ),
    LIMITS["cap_down"].reason: gettext_noop(
        "{name} leads: {chance} likely to be the best. Its share is limited by the maximum daily decrease."
    ),
    _WIDENED: gettext_noop(
        "The minimum shares did not fit within the maximum daily change, which was widened to {cap}."
    ),
}
_OF_LIMITS = [limit.reason for limit in LIMITS.values()]
_ALL = [
    _ONE_VARIANT, _WARM_UP, _WARM_UP_ALONE, _ALL_LOW, _NO_SUCCESS, _LEVEL, _AHEAD, _LOW, _ONE_ORDER, _SEVERAL_ORDERS,
    _WIDENED, _STOPPED, _GUARD, _HARMS, _COMPLETED, _ON_SCHEDULE, *_OF_LIMITS,
]  # fmt: skip


def reason_sentence(
    decision: Decision, names: Sequence[str], active: Sequence[bool], settings: Settings
) -> str:
    """State what decided the split, and which limit had to give way."""
    if sum(active) == 1:
        return _ONE_VARIANT
    text = _warm_up(decision, settings) if decision.warm_up else _optimized(decision, names, active)
    if decision.cap > settings.max_daily_shift + 1e-9:
        text += f" {_WIDENED.format(cap=f'{decision.cap:.4f}')}"
    return text


def _warm_up(decision: Decision, settings: Settings) -> str:
    seen = int(decision.window.impressions_so_far)
    if seen < settings.min_impressions:
        return _WARM_UP.format(seen=f"{seen:,}", needed=f"{settings.min_impressions:,}")
    return _WARM_UP_ALONE


def _optimized(decision: Decision, names: Sequence[str], active: Sequence[bool]) -> str:
    low = [
        name for name, is_low in zip(names, decision.low_evidence & decision.active, strict=True) if is_low
    ]
    if len(low) == sum(active):
        return _ALL_LOW
    parts = [_lead(decision, names), *([_too_little(low)] if low else [])]
    part, large = f"{LARGEST_PART:.0%}", large_orders(decision, names)
    named = " ".join([*parts, *(_ONE_ORDER.format(part=part, name=name) for name in large)])
    if len(named) <= _MOST_NAMED:
        return named
    return " ".join([*parts, _SEVERAL_ORDERS.format(part=part, count=len(large))])


def _lead(decision: Decision, names: Sequence[str]) -> str:
    """Name the leader and what its share is limited by; nobody while nothing sets one above the others."""
    if not decision.successes[decision.active].any():
        return _NO_SUCCESS
    if rivals_in(decision, names):
        return _AHEAD.format(name=names[decision.lead])
    chance = float(decision.probability_best[decision.lead])
    level = int(level_with_leader(decision).sum())
    if level > 1:
        return _LEVEL.format(count=level, chance=_likelihood(chance))
    sentence = LIMITS[decision.bound[decision.lead]].reason
    return sentence.format(name=names[decision.lead], chance=_likelihood(chance))


def _too_little(low: Sequence[str]) -> str:
    return LIMITS["low_evidence"].reason.format(name=low[0]) if len(low) == 1 else _LOW.format(count=len(low))


def _likelihood(chance: float) -> str:
    """Format a probability; one that is not certain is never 100%."""
    return "more than 99.9%" if chance > 0.999 else f"{chance:.1%}"


def guard_sentence(harms: Sequence[Harm], names: Mapping[str, str]) -> str:
    """State why a guard gives the control all traffic; ``names`` of the variants, by key."""
    acting = [harm for harm in harms if harm.acts]
    if not acting:
        return _STOPPED
    first = acting[0]
    ratio = ratio_in_english(first.metric)
    text = _GUARD.format(name=names[first.variant], fall=f"{first.max_fall:g}", ratio=ratio)
    return text if len(acting) == 1 else f"{text} {_HARMS.format(count=len(acting))}"


def end_sentence(winner: str, *, on_schedule: bool) -> str:
    """State who gets all traffic at the end."""
    return (_ON_SCHEDULE if on_schedule else _COMPLETED).format(name=winner)


def ratio_in_english(metric: str) -> str:
    """Name a metric within a sentence of the decision log or a mail, whatever the reader's language."""
    with translation.override(None):
        return str(Reward(metric).label).lower()


def in_words(reason: str) -> str:
    """Say a recorded reason in the current language; one of an earlier version's wording stays as it is."""
    said = _read(reason)
    return reason if said is None else " ".join(said)


class _Form(NamedTuple):
    sentence: str
    pattern: re.Pattern[str]


_FACT = re.compile(r"\\\{(\w+)\\\}")


# What can stand for each fact. Only a name is any text, and all are short: so a text is read in as many steps as it has
# characters, whatever somebody calls a variant.
_NAME = f".{{1,{NAME_LENGTH}}}?"
_NUMBER = r"[\d.,e+-]{1,40}"
_CAN_BE: Mapping[str, str] = {
    "name": _NAME,
    "chance": rf"(?:more than )?{_NUMBER}%",
    "part": rf"{_NUMBER}%",
    "ratio": r"[\w ()-]{1,80}?",
}


def _form(sentence: str) -> _Form:
    """Make a pattern of a sentence."""
    pattern = _FACT.sub(lambda fact: f"(?P<{fact[1]}>{_CAN_BE.get(fact[1], _NUMBER)})", re.escape(sentence))
    return _Form(sentence, re.compile(rf"{pattern}(?: |\Z)", re.DOTALL))


# The longer first: the sentence on a leader begins those on the limits that hold its share.
_FORMS = [_form(sentence) for sentence in sorted(set(_ALL), key=len, reverse=True)]


def _read(text: str, forms: Sequence[_Form] = _FORMS) -> list[str] | None:
    """Read a text as sentences, each said in the current language; None if it is not made of them."""
    return _read_from(text, 0, forms, set()) if len(text) <= _LONGEST else None


def _read_from(text: str, start: int, forms: Sequence[_Form], vain: set[int]) -> list[str] | None:
    """Read what follows ``start``. ``vain``: the places after which nothing could be read, each tried once."""
    if start == len(text):
        return []
    if start in vain:
        return None
    for form in forms:
        found = form.pattern.match(text, start)
        if found and (rest := _read_from(text, found.end(), forms, vain)) is not None:
            return [_said(form.sentence, found.groupdict()), *rest]
    vain.add(start)
    return None


def _said(sentence: str, facts: Mapping[str, str]) -> str:
    return _(_SHOWN.get(sentence, sentence)).format_map(
        {key: _FACTS.get(key, str)(text) for key, text in facts.items()}
    )


def _whole(text: str) -> str:
    digits = text.replace(",", "")
    return format_number(int(digits), 0) if digits.isdecimal() else text


def _percent(text: str) -> str:
    """Write ``93.0%`` with as many decimals in the reader's language, and ``more than 99.9%`` in words."""
    found = re.fullmatch(r"(more than )?(\d+)(?:\.(\d+))?%", text)
    if found is None:
        return text
    above, whole, decimals = found.groups(default="")
    shown = format_percent(float(f"{whole}.{decimals}0") / 100, len(decimals))
    return _("more than {chance}").format(chance=shown) if above else shown


def _number(text: str) -> str:
    digits = re.fullmatch(r"\d+(?:\.(\d+))?", text)
    return format_number(float(text), len(digits[1] or "")) if digits else text


def _ratio(text: str) -> str:
    for metric in Reward:
        if ratio_in_english(metric) == text:
            label = str(metric.label)
            return label[:1].lower() + label[1:]
    return text


_FACTS: Mapping[str, Callable[[str], str]] = {
    "seen": _whole,
    "needed": _whole,
    "count": _whole,
    "fall": _number,
    "cap": _number,
    "chance": _percent,
    "part": _percent,
    "ratio": _ratio,
}
