"""Fill a database by copying rows in SQL, for the benchmarks of pages."""

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import django

from tests.postgresql import postgresql

if TYPE_CHECKING:
    from django.db import models
    from django.test import Client

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = ("control", "b", "c", "d", "e")
# Between the ids of an experiment's variants and those of its next copy.
VARIANTS_APART = 10
_EMPTY_JSON = {"postgresql": "CAST('{}' AS jsonb)", "sqlite": "'{}'"}


@contextmanager
def database(*, sqlite: bool) -> Iterator[str]:
    if not sqlite:
        with postgresql() as url:
            yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/bench.sqlite3"


def prepare(url: str) -> None:
    """Set production's settings on this database, migrate it and collect the static files, so that Django is ready."""
    os.environ |= {
        "DATABASE_URL": url, "DEBUG": "false", "SECRET_KEY": "benchmark-" * 6, "ALLOWED_HOSTS": "testserver",
        "DASHBOARD_LOGIN_REQUIRED": "true", "DJANGO_SETTINGS_MODULE": "bandit_project.settings",
        "LOG_LEVEL": "ERROR",
    }  # fmt: skip
    for command in (["migrate", "--verbosity", "0"], ["collectstatic", "--no-input", "--verbosity", "0"]):
        subprocess.run([sys.executable, str(ROOT / "manage.py"), *command], check=True)
    django.setup()


def fill(
    experiments: int, *, days: int, with_inputs: bool = True, variants: Sequence[str] = VARIANTS
) -> None:
    """Run one experiment through all its days in the service, and copy it for the others.

    Copies without their decisions' recorded inputs fit many more on a disk, where no page reads them. Rows are written
    day by day, as in an installation: those of one experiment are far from each other, and ids rise.
    """
    from django.db import connection

    live_through(days, variants)
    slim = {} if with_inputs else {"inputs": _EMPTY_JSON[connection.vendor]}
    copy_experiments(experiments - 1)
    copy_decisions(experiments - 1, **slim)
    settle()


def copy_experiments(times: int) -> None:
    """Copy the one experiment with its variants and days."""
    from experiments.models import DailyMetric, Experiment, Variant

    _copy(Experiment, times, id="id + n", key="key || '-' || n", name="name || ' ' || n")
    _copy(Variant, times, id=f"id + {VARIANTS_APART} * n", experiment_id="experiment_id + n")
    _copy(DailyMetric, times, id=_next_id(DailyMetric, times), variant_id=_own_variant())


def copy_decisions(times: int, **expressions: str) -> None:
    """Copy its decisions with their shares."""
    from allocation.models import Allocation, AllocationShare

    allocation = _next_id(Allocation, times)
    _copy(Allocation, times, id=allocation, experiment_id="experiment_id + n", **expressions)
    own = allocation.replace("(id ", "(allocation_id ")
    # the shares of a decision are written together
    order = "allocation_id, n, id"
    place = f"{_last_id(AllocationShare)} + row_number() OVER (ORDER BY {order})"
    _copy(AllocationShare, times, order, id=place, allocation_id=own, variant_id=_own_variant())


def settle() -> None:
    """Have the next rows get ids behind those of the copies, and collect statistics."""
    from allocation.models import Allocation, AllocationShare
    from experiments.models import DailyMetric, Experiment, Variant

    _go_on_behind([Experiment, Variant, DailyMetric, Allocation, AllocationShare])
    _analyze()


def _own_variant() -> str:
    return f"variant_id + {VARIANTS_APART} * n"


def _next_id(model: "type[models.Model]", times: int) -> str:
    """The id of the n-th copy: behind all originals, those of one original beside each other."""
    return f"{_last_id(model)} + (id - 1) * {times} + n"


def _last_id(model: "type[models.Model]") -> int:
    from django.db.models import Max

    return int(model._default_manager.aggregate(last=Max("pk"))["last"])


def live_through(days: int, variants: Sequence[str]) -> None:
    """Run one experiment through its days, by the service's own demo."""
    from allocation.demo import DemoExperiment, seed_demo
    from experiments.selectors import today

    rates = {name: 0.05 + 0.001 * place for place, name in enumerate(variants)}
    story = DemoExperiment("Bench", "Close variants.", days, 5000, rates)
    seed_demo(today=today(), now=dt.datetime.now(tz=dt.UTC), seed=1, stories=[story])


def _copy(model: "type[models.Model]", times: int, order: str = "id, n", **expressions: str) -> None:
    """Make ``times`` copies of all rows, in this order, with other values of the named columns."""
    from django.db import connection

    columns = [str(field.column) for field in model._meta.concrete_fields]
    values = [expressions.get(column, column) for column in columns]
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < {times}) "  # noqa: S608
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table}, copies "
            f"ORDER BY {', '.join(f'{table}.{name}' if name != 'n' else name for name in order.split(', '))}"
        )


def _go_on_behind(written: "Sequence[type[models.Model]]") -> None:
    """Have the next rows get ids behind those of the copies."""
    from django.core.management.color import no_style
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(written)):
            cursor.execute(statement)


def _analyze() -> None:
    """Collect the statistics that autovacuum would collect later."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def cost(client: "Client", page: str, repeats: int) -> tuple[int, float, int]:
    """Return the queries, the least CPU seconds and the bytes of a page."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        response = client.get(page, secure=True)
        number = len(queries)  # the next request empties the log
    if response.status_code != 200:
        sys.exit(f"{page} answered {response.status_code}")
    times = []
    for _ in range(repeats):
        start = time.process_time()
        client.get(page, secure=True)
        times.append(time.process_time() - start)
    return number, min(times), len(response.content)
