"""Another client's change is committed between any two statements of a request: it is still answered below 500.

Threads meet such a moment by luck. Here each moment of a call is tried: before its n-th statement, for every n, a
second connection deletes the experiment, or records the first events of a new variant and decides with it.
./dev test tries the calls of _ONCE_WRONG; with RESILIENCE=full all are tried, as ./dev bench resilience does.
"""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, transaction
from django.test import Client

from experiments.campaign.models import GuardAction
from experiments.campaign.watch import add_guard, add_note
from experiments.metrics import Reward
from experiments.models import DailyMetric, Experiment
from experiments.services import delete_experiment
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.preview import CsvPreview
from experiments.tables.reading.bounded import within
from experiments.tables.reading.bounds import Bounds
from tests.factory import NOW, TODAY, allocate, counts, make_running, make_table, record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("today")]

_IN_FULL = os.environ.get("RESILIENCE") == "full"
_NUMBERS = itertools.count(1)
_ROW = {"date": TODAY.isoformat(), "variant_name": "control", "impressions": 10, "clicks": 1}


class Call(NamedTuple):
    """A request; ``{e}`` is the experiment's id, and its other names those of ``_World``."""

    method: str
    path: str
    body: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


_V1 = "/api/v1/experiments/{e}/"
_PAGE = "/dashboard/experiments/{e}/"
READS = [
    Call("GET", path)
    for path in (
        "/api/v1/experiments/", _V1, f"{_V1}variants/", f"{_V1}variants/{{v}}/", f"{_V1}metrics/",
        f"{_V1}metrics/?format=csv", f"{_V1}allocation/", f"{_V1}allocations/", f"{_V1}allocations/{{a}}/",
        f"{_V1}statistics/", f"{_V1}statistics/?format=csv", f"{_V1}assignment/?unit=u", f"{_V1}notes/",
        f"{_V1}guards/", "/api/v1/ruleset/", "/experiments", "/experiments/{e}", "/experiments/{e}/history",
        "/allocation?experiment_id={e}", "/allocation?experiment_id={e}&window_days=7", "/dashboard/",
        "/dashboard/experiments.csv", "/dashboard/limits/?variants=3", _PAGE, f"{_PAGE}statistics.csv",
        f"{_PAGE}explore/", f"{_PAGE}traffic/", f"{_PAGE}traffic/decision-log.csv", f"{_PAGE}history/",
        f"{_PAGE}integrate/", f"{_PAGE}report/", f"{_PAGE}everything.zip", f"{_PAGE}simulate/", f"{_PAGE}plan/",
        f"{_PAGE}data/", f"{_PAGE}data/day/", f"{_PAGE}data/upload/", f"{_PAGE}data/daily-metrics.csv",
        f"{_PAGE}data/template.csv", f"{_PAGE}settings/", "/admin/experiments/experiment/",
        "/admin/experiments/experiment/{e}/change/", "/admin/experiments/experiment/{e}/history/",
        "/admin/experiments/dailymetric/", "/admin/allocation/allocation/", "/admin/allocation/allocation/{a}/change/",
        "/metrics",
    )
]  # fmt: skip
WRITES = [
    Call("POST", "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "u"}}),
    Call("POST", "/events", {"experiment_id": "{e}", "date": _ROW["date"], "variants": [_ROW]}),
    Call("POST", "/api/v1/events/", {"rows": [{"experiment_id": "{e}", **_ROW}]}),
    Call("POST", "/api/v1/events/", {"mode": "add", "rows": [{"experiment_id": "{e}", **_ROW}]}),
    Call("POST", "/api/v1/counts/", {"rows": [{"experiment_id": "{e}", **_ROW}]}),
    Call("POST", f"{_V1}variants/", {"name": "late"}),
    Call("PATCH", f"{_V1}variants/{{v}}/", {"name": "renamed"}),
    Call("PATCH", f"{_V1}variants/{{v}}/", {"is_active": False}),
    Call("PATCH", _V1, {"description": "changed"}),
    Call("PUT", _V1, {"name": "Replaced"}),
    *(
        Call("POST", f"{_V1}{act}/", {})
        for act in ("pause", "resume", "start", "complete", "allocation", "archive", "duplicate", "guards/resume")
    ),
    Call("POST", f"{_V1}complete/", {"winner": "variant_b"}),
    Call("POST", f"{_V1}assignments/", {"units": ["u"]}),
    Call("POST", f"{_V1}notes/", {"date": _ROW["date"], "text": "Sale"}),
    Call("DELETE", f"{_V1}notes/{{n}}/", {}),
    Call("POST", f"{_V1}guards/", {"metric": "conversion_rate", "max_fall": 5, "action": "tell"}),
    Call("PATCH", f"{_V1}guards/{{g}}/", {"max_fall": 9}),
    Call("DELETE", f"{_V1}guards/{{g}}/", {}),
    Call("DELETE", _V1, {}),
    *(
        Call("POST", f"{_PAGE}{act}/")
        for act in (
            "pause", "resume", "start", "complete", "recompute", "duplicate", "archive", "delete", "report",
            "settings", "settings/variants/{v}/retire", "settings/variants/{v}/control", "settings/guards/{g}/delete",
            "integrate",
        )
    ),
    Call("POST", f"{_PAGE}settings/variants/", {"name": "late"}),
    Call("POST", f"{_PAGE}settings/variants/{{v}}/rename/", {"variant-{v}-name": "renamed"}),
    Call("POST", f"{_PAGE}settings/guards/", {"metric": "conversion_rate", "max_fall": "5", "action": "tell"}),
    Call("POST", f"{_PAGE}report/", {"days": "30"}),
    Call("POST", f"{_PAGE}data/day/", {"date": _ROW["date"]}),
    Call("POST", "/dashboard/archive/", {"experiment": "{e}"}),
]  # fmt: skip


# Each named something that was gone, or left a row without what it belongs to.
_ONCE_WRONG = {
    f"GET {_V1}assignment/?unit=u",
    f"GET {_V1}statistics/",
    f"POST {_V1}variants/",
    f"PATCH {_V1}variants/{{v}}/",
    f"POST {_V1}notes/",
    f"PATCH {_V1}guards/{{g}}/",
    f"POST {_PAGE}settings/variants/{{v}}/retire/",
    f"GET {_PAGE}data/upload/",
}
_TRIED = [call for call in (*READS, *WRITES) if _IN_FULL or str(call) in _ONCE_WRONG]


class _World(NamedTuple):
    """An experiment with two variants, a day's counts, a decision, a note and a guard."""

    experiment: Experiment
    names: dict[str, int]

    @classmethod
    def make(cls) -> "_World":
        one = make_running(f"Raced {next(_NUMBERS)}")
        made = {
            "e": one.pk,
            "v": one.variants.order_by("id")[1].pk,
            "a": allocate(one).pk,
            "n": add_note(experiment_id=one.pk, date=TODAY, text="Sale", now=NOW).pk,
            "g": add_guard(
                experiment_id=one.pk, metric=Reward.CTR, max_fall=5, action=GuardAction.TELL, now=NOW
            ).pk,
        }
        return cls(one, made)

    def filled(self, value: Any) -> Any:
        """Put the names into a path or a body."""
        if isinstance(value, str):
            for name, number in self.names.items():
                value = value.replace(f"{{{name}}}", str(number))
            return value
        if isinstance(value, dict):
            return {self.filled(key): self.filled(part) for key, part in value.items()}
        return [self.filled(part) for part in value] if isinstance(value, list) else value


def delete(experiment: Experiment) -> None:
    delete_experiment(experiment_id=experiment.pk)


def decide_with_a_new_variant(experiment: Experiment) -> None:
    # In a transaction, as it stands for another worker: writes of this one would wait for the request to lead them.
    with transaction.atomic():
        record(experiment, counts(f"new{next(_NUMBERS)}", 5000, 100))
    allocate(experiment)


class _Moment:
    """Runs an act over a connection of its own before the n-th statement of this thread's; counts the statements."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.number, self.act, self.seen = number, act, 0

    def __call__(self, execute: Any, *arguments: Any) -> Any:
        self.seen += 1
        if self.seen == self.number:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(_over_own_connection, self.act).result()
        return execute(*arguments)


def _over_own_connection(act: Callable[[], None]) -> None:
    """Do it, unless the request holds a lock that the act needs: then it has to wait, and comes after the request."""
    wait = "SET lock_timeout = 50" if connection.vendor == "postgresql" else "PRAGMA busy_timeout = 0"
    try:
        with connection.cursor() as cursor:
            cursor.execute(wait)
        act()
    except OperationalError:
        pass
    finally:
        connection.close()


def _faults(client: Client, call: Call, act: Callable[[Experiment], None]) -> list[str]:
    """Try each moment of a call; what was answered wrongly."""
    faults = []
    for number in itertools.count(1):
        world = _World.make()
        moment = _Moment(number, lambda: act(world.experiment))  # noqa: B023  (called within this turn)
        status = _status(client, call, world, moment)
        if status >= 500:
            faults.append(f"{call}: {status} where it comes before statement {number}")
        if moment.seen < number:
            break
    return faults


def _status(client: Client, call: Call, world: _World, moment: _Moment) -> int:
    body = None if call.body is None else world.filled(call.body)
    is_page = call.path.startswith("/dashboard")
    sent: dict[str, Any] = {} if body is None else {"data": body}
    if not is_page and body is not None:
        sent["content_type"] = "application/json"
    headers = {"Accept": "text/html"} if is_page else {}
    with connection.execute_wrapper(moment):
        answer = getattr(client, call.method.lower())(world.filled(call.path), headers=headers, **sent)
        if answer.streaming:
            for _block in answer.streaming_content:
                pass
    return int(answer.status_code)


@pytest.fixture
def client() -> Client:
    someone = get_user_model().objects.create_superuser("someone", "someone@example.com", "secret")
    client = Client(raise_request_exception=False)
    client.force_login(someone)
    return client


@pytest.mark.parametrize("act", [delete, decide_with_a_new_variant], ids=lambda act: act.__name__)
@pytest.mark.parametrize("call", _TRIED, ids=str)
def test_call__another_client_between_any_two_statements__is_answered_below_500(
    client: Client, call: Call, act: Callable[[Experiment], None]
) -> None:
    assert _faults(client, call, act) == []


_ORDERS = f"date,variant_name,value\n{TODAY},control,5\n{TODAY},control,7\n{TODAY},variant_b,1\n"


@pytest.mark.parametrize("is_watched", [False, True])
def test_orders__day_recorded_anew_between_any_two_statements__keeps_what_was_recorded_last(
    is_watched: bool,
) -> None:
    for number in itertools.count(1):
        one = make_running(f"Ordered {next(_NUMBERS)}")
        record(one, counts("control", 1000, 40), counts("variant_b", 1000, 40))
        others: list[int] = []

        def record_another(one: Experiment = one, others: list[int] = others) -> None:
            # as another worker would: those of this one wait for the import to lead them
            with transaction.atomic():
                record(one, counts("control", 3000, 90, 9))
            others.append(3000)

        moment = _Moment(number, record_another)
        found = CsvPreview.of(one)
        with connection.execute_wrapper(moment):
            report = import_table(
                within(make_table(_ORDERS), Bounds(10, "split it")),
                today=TODAY,
                now=NOW,
                target=Target(one),
                observer=found.observe if is_watched else None,
            )

        [stored] = DailyMetric.objects.filter(variant__experiment=one, variant__name="control", date=TODAY)
        assert report.processed_rows == 3
        assert stored.impressions == (others or [1000])[0]
        assert (stored.conversions, stored.value_sum) == (2, Decimal(12))
        if is_watched:
            [line] = [line for line in found.lines["changed"] if line.effect.row.variant_name == "control"]
            assert line.effect.before is not None
            assert line.effect.before.impressions == stored.impressions
            assert line.effect.row.impressions == stored.impressions
        if moment.seen < number:
            break
