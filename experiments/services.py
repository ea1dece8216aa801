"""Services: everything that can be done to experiments. Views, commands and the admin call these."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from itertools import chain, count
from typing import Any

from django.core.management.color import no_style
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils.text import slugify
from django.utils.translation import gettext as _

from experiments.audit import record_history, recorded_actor
from experiments.campaign.models import CAMPAIGN_FIELDS, End, Guard, refuse_campaign_problems, tags_text
from experiments.database.pipeline import Step
from experiments.database.prepared import Prepared
from experiments.database.rows import places, rows_of
from experiments.exceptions import (
    ChangedMeanwhileError,
    ConflictError,
    InvalidError,
    Issue,
    ResetForbiddenError,
)
from experiments.metrics import Reward
from experiments.models import MAX_VARIANTS, TRANSITIONS, DailyMetric, Experiment, Status, Variant
from experiments.selectors import find_experiment
from experiments.settings_schema import SettingValue
from experiments.text import NAME_LENGTH, written_day
from experiments.variants import find_winner, must_be_one_of, new_variants, plain_name

# The variant that gets all traffic at the end; a copy gets its own, and no dates.
_AT_END = "on_end_variant"
_OF_ONE_RUN = frozenset({"starts_at", "ends_at", _AT_END})
# Pages in the place of an experiment's key.
_RESERVED_KEYS = frozenset({"new"})
# The part of a key that a name makes; the rest is room for a number.
_KEY_LENGTH = 70
_KEY_END = 80
# An attempt fails only if another request takes the key at that moment.
_KEY_ATTEMPTS = 100


def create_experiment(
    *,
    name: str,
    now: dt.datetime,
    description: str = "",
    status: Status = Status.ACTIVE,
    reward: Reward = Reward.CTR,
    variants: Sequence[str] = (),
    control: str | None = None,
    settings: Mapping[str, SettingValue | None] | None = None,
    campaign: Mapping[str, Any] | None = None,
    pk: int | None = None,
) -> Experiment:
    """Create an experiment under a key made from its name, with a number at its end where the key is taken.

    ``control`` names one of the ``variants``; ``campaign`` holds any of CAMPAIGN_FIELDS; ``pk`` is for imports, whose
    files name experiments by number.
    """
    _refuse_repeated(variants)
    given = dict(campaign or {})
    at_end = given.pop("on_end_variant", None)
    fields = {
        "name": name,
        "description": description,
        "status": status,
        "reward": reward,
        **(settings or {}),
        **_campaign_values(None, given),
    }
    experiment = Experiment(pk=pk, created_at=now, **fields)
    experiment.settings_in_force()
    refuse_campaign_problems(experiment, leave_out=_AT_END, ends_after=now)
    with transaction.atomic():
        experiment = _insert_under_free_key(experiment)
        if variants:
            new = new_variants(experiment.pk, variants, has_control=False, now=now, control=control)
            record_history(Variant.objects.bulk_create(new), created=True)
        if at_end is not None:
            experiment.on_end_variant = find_winner(experiment, at_end, field=_AT_END)
            experiment.save(update_fields=[_AT_END])
        refuse_campaign_problems(experiment)
        if pk is not None:
            _raise_sequence_past_ids()
    return experiment


def _insert_under_free_key(experiment: Experiment) -> Experiment:
    stem = key_from_name(experiment.name)
    for _attempt in range(_KEY_ATTEMPTS):
        experiment.key = _free_key(stem)
        try:
            with transaction.atomic():
                experiment.save(force_insert=True)
        except IntegrityError:
            if not Experiment.objects.filter(key=experiment.key).exists():
                raise
            continue  # another request took the key since we looked
        return experiment
    raise ConflictError(f"Others keep taking the keys after {stem!r}; try again.")


def _free_key(stem: str) -> str:
    """Return the stem, or the stem with the number after the largest in use; the first free one where that is too
    long.
    """
    taken = set(Experiment.objects.filter(key__startswith=stem).values_list("key", flat=True))
    numbers = [int(key[len(stem) + 1 :]) for key in taken if re.fullmatch(re.escape(stem) + r"-[0-9]+", key)]
    numbered = (f"{stem}-{number}" for number in chain([max(numbers, default=1) + 1], count(2)))
    return next(key for key in chain([stem], numbered) if key not in taken and len(key) <= _KEY_END)


def update_experiment(
    *,
    experiment_id: int,
    now: dt.datetime,
    settings: Mapping[str, SettingValue | None] | None = None,
    unchanged_since: dt.datetime | None = None,
    **fields: Any,
) -> Experiment:
    """Change name, description, reward and CAMPAIGN_FIELDS (``fields``) and settings; the rest stays.

    Raises InvalidError where settings or dates clash, or stored rows break a new reward; StatusConflictError for a
    reward that has begun to count; ChangedMeanwhileError where ``unchanged_since``, the experiment's updated_at when it
    was read, no longer holds.
    """
    with transaction.atomic():
        experiment = _locked(experiment_id)
        if unchanged_since not in (None, experiment.updated_at):
            raise ChangedMeanwhileError(
                _(
                    "Somebody changed this experiment while you were editing: see History. Save again to overwrite it."
                )
            )
        if fields.get("reward", experiment.reward) != experiment.reward and experiment.status != Status.DRAFT:
            raise experiment.status_conflict(
                _("is %(status)s; the reward changes only in a draft.") % {"status": experiment.state_word}
            )
        changes = {**_campaign_values(experiment, fields), **(settings or {})}
        if experiment.status == Status.COMPLETED and _differ(experiment, settings or {}):
            raise experiment.status_conflict(_("has ended; its settings are locked."))
        # forms know whole seconds
        is_new_end = _differ(experiment, {"ends_at": changes.get("ends_at", experiment.ends_at)})
        for name, value in changes.items():
            setattr(experiment, name, value)
        experiment.settings_in_force()
        if any(name in changes for name in CAMPAIGN_FIELDS):
            refuse_campaign_problems(experiment, ends_after=now if is_new_end else None)
        if "reward" in changes:
            _refuse_reward_that_rows_break(experiment)
        experiment.data_version += 1
        experiment.updated_at = now
        experiment.save(update_fields=[*changes, "data_version", "updated_at"])
    return experiment


def _differ(experiment: Experiment, values: Mapping[str, Any]) -> bool:
    """Tell if any of the values is another than the experiment has, moments to the second."""
    stored = ((getattr(experiment, name), value) for name, value in values.items())
    return any(_whole_second(before) != _whole_second(after) for before, after in stored)


def _whole_second(value: Any) -> Any:
    return value.replace(microsecond=0) if isinstance(value, dt.datetime) else value


def _campaign_values(experiment: Experiment | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as they are stored: tags as text, a variant that is given by its name as the variant."""
    values = dict(fields)
    tags, at_end = values.get("tags"), values.get(_AT_END)
    if tags is not None:
        values["tags"] = tags_text(tags.split() if isinstance(tags, str) else tags)
    if experiment is not None and isinstance(at_end, str):
        values[_AT_END] = find_winner(experiment, at_end, field=_AT_END)
    return values


def _refuse_reward_that_rows_break(experiment: Experiment) -> None:
    """Refuse a goal that stored rows cannot serve; call under the experiment's lock."""
    goal = experiment.goal
    if goal.is_value:
        return
    trials, successes = goal.trials_count.name, goal.successes_count.name
    stored = DailyMetric.objects.filter(variant__experiment=experiment)
    breaking = stored.filter(**{f"{successes}__gt": F(trials)}).select_related("variant")
    first = breaking.first()
    if first is None:
        return
    message = _(
        "daily rows with more conversions than clicks: %(rows)s, the first on %(date)s (%(variant)s: %(conversions)s "
        "and %(clicks)s). Conversions per click cannot be the goal with them: choose conversions per impression, or "
        "correct them first"
    )
    said = {
        "rows": breaking.count(),
        "date": written_day(first.date),
        "variant": first.variant.name,
        "conversions": first.conversions,
        "clicks": first.clicks,
    }
    raise InvalidError([Issue("reward", "rows_do_not_fit", message % said)])


def archive_experiment(*, experiment_id: int, now: dt.datetime, archived: bool = True) -> Experiment:
    """Archive an experiment that is not running, or bring it back; its data stays."""
    with transaction.atomic():
        experiment = _locked(experiment_id)
        if experiment.status == Status.ACTIVE and archived:
            raise experiment.status_conflict(_("is active; pause or complete it first."))
        experiment.archived_at = (experiment.archived_at or now) if archived else None
        experiment.data_version += 1
        experiment.save(update_fields=["archived_at", "data_version", "updated_at"])
    return experiment


def duplicate_experiment(*, experiment_id: int, now: dt.datetime) -> Experiment:
    """Create a draft with the same active variants, reward, settings, campaign and guards, without dates and data."""
    source = find_experiment(experiment_id)
    variants = list(source.variants.filter(is_active=True))
    with transaction.atomic():
        made = create_experiment(
            name=(_("Copy of %(name)s") % {"name": source.name})[:NAME_LENGTH],
            description=source.description,
            status=Status.DRAFT,
            reward=Reward(source.reward),
            variants=[variant.name for variant in variants],
            control=next((variant.name for variant in variants if variant.is_control), None),
            settings=source.own_settings(),
            campaign=_copied_campaign(source, variants),
            now=now,
        )
        copies = [
            Guard(experiment=made, metric=g.metric, max_fall=g.max_fall, action=g.action, created_at=now)
            for g in source.guards.all()
        ]
        record_history(Guard.objects.bulk_create(copies), created=True)
    return made


def _copied_campaign(source: Experiment, variants: Sequence[Variant]) -> dict[str, Any]:
    """Return what a copy takes over; a variant that it has not cannot get its traffic at the end."""
    campaign = {name: getattr(source, name) for name in CAMPAIGN_FIELDS if name not in _OF_ONE_RUN}
    at_end = next((v.name for v in variants if v.pk == source.on_end_variant_id), None)
    if at_end is None and source.on_end == End.VARIANT:
        campaign["on_end"] = End.PAUSE
    return {**campaign, _AT_END: at_end}


def delete_experiment(*, experiment_id: int) -> None:
    """Delete an experiment with all its data and decisions."""
    with transaction.atomic():
        _locked(experiment_id).delete()


def lock_experiments(ids: Sequence[int] | None = None) -> None:
    """Lock these experiments (or all) until the transaction ends, always in the order of their ids.

    Two callers that want the same ones wait for each other and never deadlock.
    """
    if ids is None:
        list(Experiment.objects.select_for_update().order_by("pk").values_list("pk"))
    elif ids and connection.features.has_select_for_update:  # SQLite lets one transaction write at a time
        # by hand: it begins every decision
        rows_of(
            f"SELECT id FROM experiments_experiment WHERE id IN ({places(ids)}) ORDER BY id FOR UPDATE",  # noqa: S608
            [*ids],
        )


_LOCK = Prepared("SELECT id FROM experiments_experiment WHERE id = %s FOR UPDATE")


def steps_to_lock(experiment_id: int) -> list[Step]:
    """Give the statement that locks an experiment, for those that are sent at once; SQLite needs none."""
    return [(_LOCK, [experiment_id])] if connection.features.has_select_for_update else []


def _locked(experiment_id: int) -> Experiment:
    return find_experiment(experiment_id, Experiment.objects.select_for_update())


def _refuse_repeated(names: Sequence[str]) -> None:
    if len(names) > MAX_VARIANTS:
        message = _("an experiment has at most %(most)s variants") % {"most": MAX_VARIANTS}
        raise InvalidError([Issue("variants", "too_many_variants", message)])
    first: dict[str, str] = {}
    repeated = [
        (index, name, like)
        for index, name in enumerate(names)
        if (like := first.setdefault(plain_name(name), name)) != name or name in names[:index]
    ]
    if repeated:
        raise InvalidError(
            [
                Issue(f"variants[{index}].name", "duplicate", _why_repeated(name, like))
                for index, name, like in repeated
            ]
        )


def _why_repeated(name: str, like: str) -> str:
    if name == like:
        return _("is given twice")
    message = _("differs from '%(known)s' only by case, spaces or width; give it another name")
    return message % {"known": like}


def key_from_name(name: str) -> str:
    """Make a slug that is not a number alone, as it may be in the place of an id, nor the name of a page."""
    slug = slugify(name).strip("-_")
    if slug.isdigit() or slug in _RESERVED_KEYS:
        slug = f"experiment-{slug}"
    return slug[:_KEY_LENGTH].rstrip("-_") or "experiment"


def reset_data(*, allowed: bool) -> dict[str, int]:
    """Delete every experiment with its variants, metrics and allocations; return the number of rows of each."""
    if not allowed:
        raise ResetForbiddenError("Resetting is off here. Set ALLOW_RESET=true to allow it.")
    with transaction.atomic():
        # Writes in progress finish first; later ones find nothing.
        lock_experiments()
        _total, deleted = Experiment.objects.all().delete()
        for model in (Experiment, Variant, Guard):
            model.history.all().delete()
    return deleted


def change_status(
    *,
    experiment_id: int,
    to: Status,
    now: dt.datetime,
    winner_id: int | None = None,
    decision_reason: str = "",
    from_status: Status | None = None,
) -> Experiment:
    """Move an experiment along the transition table, if given only from one status; ``winner_id`` and
    ``decision_reason`` are for completing.

    Raises StatusConflictError with the states that are allowed next.
    """
    if winner_id is not None:
        own = Variant.objects.filter(experiment=experiment_id).order_by("id")
        if not own.filter(pk=winner_id).exists():
            raise InvalidError([Issue("winner", "unknown_variant", must_be_one_of(own))])
    allowed_from = [
        status
        for status, following in TRANSITIONS.items()
        if to in following and from_status in (None, status)
    ]
    movable = Experiment.objects.filter(pk=experiment_id, status__in=allowed_from, archived_at=None)
    ends = to is Status.COMPLETED
    changed = movable.update(
        status=to,
        winner_id=winner_id if ends else None,
        decision_reason=decision_reason if ends else "",
        completed_at=now if ends else None,
        completed_by=(recorded_actor() or "") if ends else "",
        status_before_end=F("status") if ends else "",
        data_version=F("data_version") + 1,
        updated_at=now,
    )
    experiment = find_experiment(experiment_id)
    if changed != 1:
        raise experiment.status_conflict(_why_not(experiment))
    record_history([experiment])
    return experiment


def _why_not(experiment: Experiment) -> str:
    if experiment.archived_at:
        return _("is archived; unarchive it first.")
    following = [status.word for status in sorted(TRANSITIONS[Status(experiment.status)])]
    said = _("is %(status)s; it can become %(following)s.") if following else _("is %(status)s; it stays so.")
    return said % {"status": experiment.state_word, "following": _(" or ").join(following)}


def _raise_sequence_past_ids() -> None:
    """Raise PostgreSQL's sequence of ids, which does not notice ids given by hand."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Experiment]):
            cursor.execute(statement)
