"""Would daily metrics be better off in a partition for each month?

Fills PostgreSQL with experiments of 4 variants and a year of data, copies their daily rows into a table that is
partitioned by month, and runs the statements of the service on both. Printed for each: the pages that it touches, which
no other work of the machine changes, and the least time of some runs for planning and for running it.

    ./dev bench partitions                       # 1,000 experiments: 1.46 million rows
    ./dev bench partitions --experiments 5000
"""

import argparse
import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg

from benchmarks.machine import machine
from tests.postgresql import postgresql

PLAIN, PARTED = "experiments_dailymetric", "by_month"
VARIANTS, DAYS, AT_ONCE = 4, 365, 200
FIRST = dt.date(2025, 1, 1)
LAST = FIRST + dt.timedelta(days=DAYS - 1)
_TIMES = 7
_FILL = f"""
INSERT INTO experiments_experiment
    (key, name, status, reward, description, owner, tags, data_version, created_at, updated_at, currency)
SELECT 'e' || n, 'Experiment ' || n, 'active', 'ctr', '', '', '', 1, now(), now(), ''
FROM generate_series(1, %(number)s) n;
INSERT INTO experiments_variant (experiment_id, key, name, is_control, is_active, created_at)
SELECT e.id, 'v' || v, 'v' || v, v = 0, true, now() FROM experiments_experiment e, generate_series(0, {VARIANTS - 1}) v;
INSERT INTO experiments_dailymetric
    (variant_id, date, impressions, clicks, conversions, value_sum, value_squares, updated_at)
SELECT v.id, d::date, 1000, 50, 5, 0, 0, now()
FROM generate_series('{FIRST}'::date, '{LAST}'::date, interval '1 day') d, experiments_variant v ORDER BY d, v.id;
"""  # noqa: S608 (constants of this module, here and below)
_BY_MONTH = f"""
CREATE TABLE {PARTED} (LIKE {PLAIN} INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING CONSTRAINTS, PRIMARY KEY (id, date),
    UNIQUE (variant_id, date),
    FOREIGN KEY (variant_id) REFERENCES experiments_variant (id) DEFERRABLE INITIALLY DEFERRED)
    PARTITION BY RANGE (date)
"""
_READ = (
    "SELECT v.experiment_id, m.date, m.variant_id, m.impressions, m.clicks "
    "FROM experiments_variant v JOIN {table} m ON m.variant_id = v.id "
)


class Question(NamedTuple):
    """A statement of the service, with the table to be filled in."""

    name: str
    sql: str


def _questions() -> list[Question]:
    ids = ", ".join(map(str, range(1, AT_ONCE + 1)))
    recent = LAST - dt.timedelta(days=6)
    values = ", ".join(
        f"({variant}, '{LAST}', 1001, 51, 5, 0, 0, now())" for variant in range(1, VARIANTS + 1)
    )
    window = f"m.date BETWEEN '{FIRST}' AND '{LAST}'"
    return [
        Question(
            "POST of a day, 4 variants",
            "INSERT INTO {table} (variant_id, date, impressions, clicks, conversions, value_sum, value_squares, "  # noqa: S608
            f"updated_at) VALUES {values} ON CONFLICT (variant_id, date) DO UPDATE SET "
            "impressions = excluded.impressions, clicks = excluded.clicks, updated_at = excluded.updated_at",
        ),
        Question("a decision: one experiment, a year", f"{_READ}WHERE v.experiment_id IN (77) AND {window}"),
        Question(
            f"the sweep: {AT_ONCE} experiments, a year",
            f"{_READ}WHERE v.experiment_id IN ({ids}) AND {window}",
        ),
        Question(
            f"the sweep: {AT_ONCE} experiments, 28 days",
            f"{_READ}WHERE v.experiment_id IN ({ids}) AND m.date > '{LAST - dt.timedelta(days=28)}'",
        ),
        Question(
            "the list: 7 days of all",
            "SELECT v.experiment_id, sum(m.impressions) "  # noqa: S608
            "FROM {table} m JOIN experiments_variant v ON v.id = m.variant_id "
            f"WHERE m.date BETWEEN '{recent}' AND '{LAST}' GROUP BY 1",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench partitions", description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000)
    number = parser.parse_args().experiments
    print(machine())
    with postgresql() as url:
        environment = {**os.environ, "DATABASE_URL": url, "DEBUG": "true"}
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"], env=environment, check=True
        )
        with psycopg.connect(url, autocommit=True) as connection:
            _fill(connection, number)
            _print(connection)


def _fill(connection: "psycopg.Connection[Any]", number: int) -> None:
    for setting in ("synchronous_commit = off", "maintenance_work_mem = '256MB'"):
        connection.execute(f"SET {setting}")
    for statement in (_FILL % {"number": number}).split(";")[:-1]:
        connection.execute(statement)
    connection.execute(_BY_MONTH)
    for month, after in _months():
        connection.execute(
            f"CREATE TABLE {PARTED}_{month:%Y_%m} PARTITION OF {PARTED} FOR VALUES FROM ('{month}') TO ('{after}')"
        )
    connection.execute(f"INSERT INTO {PARTED} SELECT * FROM {PLAIN} ORDER BY date, variant_id")  # noqa: S608
    connection.execute("VACUUM ANALYZE")


def _months() -> Iterator[tuple[dt.date, dt.date]]:
    month = FIRST
    while month <= LAST:
        after = (month + dt.timedelta(days=32)).replace(day=1)
        yield month, after
        month = after


class Cost(NamedTuple):
    """Pages touched, and milliseconds of planning and of running."""

    pages: int
    planning: float
    running: float

    def __str__(self) -> str:
        return f"{self.pages:>9,} {self.planning:>9.2f} {self.running:>9.2f}"


def _print(connection: "psycopg.Connection[Any]") -> None:
    (rows,) = connection.execute(f"SELECT count(*) FROM {PLAIN}").fetchone() or (0,)  # noqa: S608
    print(f"{rows:,} rows; one table {_size(connection, PLAIN)}, by month {_size(connection, PARTED)}")
    print(f"{'':36}{'one table: pages, plan, run (ms)':>31}{'by month':>31}")
    for question in _questions():
        plain, parted = (_cost(connection, question.sql.format(table=table)) for table in (PLAIN, PARTED))
        print(f"{question.name:<36}{plain!s:>31}{parted!s:>31}")
    past = f"DELETE FROM {PLAIN} WHERE date < '{FIRST + dt.timedelta(days=31)}'"  # noqa: S608
    print(f"{'a month deleted':<36}{_cost(connection, past, 1)!s:>31}{'DROP TABLE':>31}")
    connection.execute(f"DROP TABLE {PARTED}_{FIRST:%Y_%m}")


def _size(connection: "psycopg.Connection[Any]", table: str) -> str:
    among = "SELECT relid FROM pg_partition_tree(%s) UNION SELECT %s::regclass"
    sql = f"SELECT pg_size_pretty(sum(pg_total_relation_size(relid))) FROM ({among}) one"  # noqa: S608
    (size,) = connection.execute(sql, [table, table]).fetchone() or ("",)
    return str(size)


def _cost(connection: "psycopg.Connection[Any]", sql: str, times: int = _TIMES) -> Cost:
    found = [_explained(connection, sql) for _ in range(times)]
    return Cost(min(c.pages for c in found), min(c.planning for c in found), min(c.running for c in found))


def _explained(connection: "psycopg.Connection[Any]", sql: str) -> Cost:
    row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}").fetchone()
    assert row is not None
    (answer,) = row[0]
    plan = answer["Plan"]
    pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return Cost(pages, answer["Planning Time"], answer["Execution Time"])


if __name__ == "__main__":
    main()
