"""Everything of an experiment as one ZIP, written while it is sent: a block of it is in memory at a time.

Only the entries of the history are in memory together, to be sorted.
"""

import csv
import datetime as dt
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS
from django.template.loader import render_to_string

from allocation.exceptions import NoActiveVariantError
from allocation.statistics.csv_file import statistics_download
from allocation.statistics.decision_log import decision_log_lines
from allocation.statistics.experiment import statistics_of
from dashboard.experiment.history.file import HISTORY_COLUMNS, history_lines
from experiments.database.moment import one_moment
from experiments.exceptions import InvalidError
from experiments.models import DailyMetric, Experiment
from experiments.tables.export import metrics_download
from experiments.tables.importing.rows import as_cell

NOTE_COLUMNS = ("date", "text", "author", "written_at")
_BLOCK_LINES = 500
_Blocks = Iterable[str | bytes]


class _Outlet(io.RawIOBase):
    """Collects what the ZIP writes until it is taken; it cannot be sought in, like a connection."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self._blocks.append(bytes(block))
        return len(block)

    def take(self) -> bytes:
        taken = b"".join(self._blocks)
        self._blocks.clear()
        return taken


def experiment_archive(experiment: Experiment, date: dt.date) -> Iterator[bytes]:
    """Yield the ZIP of an experiment from experiment_or_404, file after file, all as of one moment.

    It is read from a replica if the experiment was.
    """
    with one_moment(may_lag=experiment._state.db != DEFAULT_DB_ALIAS):
        yield from _zipped(experiment, date)


def _zipped(experiment: Experiment, date: dt.date) -> Iterator[bytes]:
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, blocks in _files(experiment, date):
            # its length is not known before: without this no file may pass 4 GB
            with archive.open(name, "w", force_zip64=True) as file:
                for block in blocks():
                    _write(file, block)
                    yield outlet.take()
    yield outlet.take()


def _files(experiment: Experiment, date: dt.date) -> Iterator[tuple[str, Callable[[], _Blocks]]]:
    rows = DailyMetric.objects.filter(variant__experiment=experiment).order_by("date", "variant_id")
    yield "README.txt", lambda: [render_to_string("dashboard/experiment/report/fields.txt")]
    yield "settings.json", lambda: [_settings(experiment)]
    yield "results.csv", lambda: _results(experiment, date)
    yield "daily-metrics.csv", lambda: metrics_download(experiment, rows)
    yield "decision-log.csv", lambda: decision_log_lines(experiment)
    yield "notes.csv", lambda: _csv(NOTE_COLUMNS, _notes(experiment))
    yield "history.csv", lambda: _csv(HISTORY_COLUMNS, history_lines(experiment))


def _write(file: IO[bytes], block: str | bytes) -> None:
    file.write(block.encode() if isinstance(block, str) else block)


def _results(experiment: Experiment, date: dt.date) -> _Blocks:
    """Write the numbers of the results page; nothing where there are none yet."""
    try:
        found = statistics_of(experiment, date, with_secondary=False)
        return [statistics_download(experiment.key, found).content]
    except (NoActiveVariantError, InvalidError):
        return []


def _notes(experiment: Experiment) -> Iterator[tuple[object, ...]]:
    for note in experiment.notes.order_by("date", "id"):
        yield note.date, as_cell(note.text), as_cell(note.author), note.created_at.isoformat()


def _csv(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for number, row in enumerate(rows, 1):
        writer.writerow(row)
        if number % _BLOCK_LINES == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _settings(experiment: Experiment) -> str:
    """Write what the experiment is and how it decides, own settings and those in force."""
    facts = {
        "key": experiment.key,
        "name": experiment.name,
        "description": experiment.description,
        "status": experiment.status,
        "reward": experiment.reward,
        "owner": experiment.owner,
        "tags": experiment.tag_list,
        "currency": experiment.currency,
        "value_cap": experiment.value_cap,
        "starts_at": experiment.starts_at,
        "ends_at": experiment.ends_at,
        "created_at": experiment.created_at,
        "decision_reason": experiment.decision_reason,
        "winner": experiment.winner.key if experiment.winner else None,
        "variants": [
            {"key": v.key, "name": v.name, "is_control": v.is_control, "is_active": v.is_active}
            for v in experiment.variants.all()
        ],
        "guards": [
            {"metric": guard.metric, "max_fall": guard.max_fall, "action": guard.action}
            for guard in experiment.guards.all()
        ],
        "own_settings": experiment.own_settings(),
        "settings_in_force": experiment.merged_settings(),
    }
    return json.dumps(facts, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2) + "\n"
