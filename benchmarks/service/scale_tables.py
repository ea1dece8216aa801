"""Sizes, scans and retention of the tables that grow with experiments and days."""

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

_BIG = (
    "experiments_dailymetric",
    "experiments_variant",
    "allocation_allocation",
    "allocation_allocationshare",
)


def print_sizes() -> float:
    """Print bytes a row, heap and TOAST beside indexes, then each index; return those of a decision."""
    print(f"\n{'table':36}{'rows':>12}{'bytes a row':>13}{'of indexes':>12}")
    for table in _BIG:
        rows, heap, indexes = row_of(
            f"SELECT count(*), pg_table_size('{table}'), pg_indexes_size('{table}') FROM {table}"  # noqa: S608
        )
        print(f"{table:36}{rows:12,}{heap / rows:13,.0f}{indexes / rows:12,.0f}")
        for name, size in rows_of(
            f"SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index "  # noqa: S608
            f"WHERE indrelid = '{table}'::regclass ORDER BY 1"
        ):
            print(f"  {name:59}{size / rows:12,.0f}")
    count, size, inputs = row_of(
        "SELECT count(*), pg_total_relation_size('allocation_allocation') "
        "+ pg_total_relation_size('allocation_allocationshare'), avg(pg_column_size(packed_inputs)) "
        "FROM allocation_allocation"
    )
    print(f"a decision with its shares and indexes: {size / count:,.0f} bytes, of them {inputs:,.0f} inputs")
    return float(size / count)


def print_retention() -> None:
    """Print what the retention of the decision log takes away: what a later revision of the same date replaced."""
    from allocation.ledger.entries import prune_superseded

    (before,) = row_of("SELECT count(*) FROM allocation_allocation")
    start = time.process_time()
    deleted = prune_superseded(before=dt.datetime.now(tz=dt.UTC))
    print(f"\nretention: {deleted:,} of {before:,} decisions go; {time.process_time() - start:.1f} s of CPU")


def scans() -> dict[str, int]:
    """The sequential scans of big tables so far."""
    return dict(rows_of(f"SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname IN {_BIG}"))  # noqa: S608


def print_scans(before: Mapping[str, int]) -> None:
    time.sleep(2)  # the server counts with a delay
    more = {name: number - before[name] for name, number in scans().items() if number > before[name]}
    print(f"\nsequential scans of big tables by sweeps and calls: {more or 'none'}")


def rows_of(sql: str) -> list[Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        rows: list[Any] = cursor.fetchall()
    return rows


def row_of(sql: str) -> Any:
    return rows_of(sql)[0]
